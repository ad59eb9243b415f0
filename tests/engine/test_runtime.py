import pytest
import torch

from engine import runtime
from engine.errors import UserError
from engine.runtime import device_name, find_device, pick_device, versions
from engine.seeds import derive_seed, initialising, numpy_stream, torch_stream


def test_the_cpu_is_always_there():
    assert pick_device("cpu") == torch.device("cpu")
    assert pick_device("auto").type in ("cpu", "cuda")


@pytest.mark.parametrize("name", ["cuda:99", "tpu?", "mps", "meta", "", "cuda:x", "cuda:-1"])
def test_a_device_that_is_not_here_is_one_line(name):
    with pytest.raises(UserError) as error:
        pick_device(name)
    assert str(error.value).startswith("device: ")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["cpu", "auto"])
def test_the_device_that_is_found_without_torch_is_the_one_that_torch_picks(name):
    device = pick_device(name)
    assert find_device(name)[:2] == (str(device), device_name(device))


@pytest.mark.parametrize("name", ["cuda:99", "tpu?"])
def test_a_device_that_torch_does_not_have_is_not_found_for_the_same_reason(name):
    with pytest.raises(UserError) as picked:
        pick_device(name)
    with pytest.raises(UserError) as found:
        find_device(name)
    assert str(found.value) == str(picked.value)


@pytest.mark.parametrize(("processor", "told"), [("Xeon 6", "Xeon 6"), ("", "riscv64")])
def test_a_cpu_is_called_by_its_processor_or_else_by_its_machine(processor, told, monkeypatch):
    monkeypatch.setattr("platform.processor", lambda: processor)
    monkeypatch.setattr("platform.machine", lambda: "riscv64")
    assert device_name(torch.device("cpu")) == told


def test_versions_name_what_a_number_depends_on():
    assert set(versions()) == {"caat-studio", "torch", "numpy", "python"}
    assert versions()["torch"] == torch.__version__


def test_streams_differ_by_seed_purpose_and_epoch():
    seeds = {
        derive_seed(seed, purpose, epoch)
        for seed in (0, 1)
        for purpose in ("shuffle", "noise")
        for epoch in (0, 1, 11)
    }
    assert len(seeds) == 12
    assert all(0 <= seed < 2**63 for seed in seeds)
    assert derive_seed(1, "1", 1) != derive_seed(1, "11", 0)


def test_a_stream_is_the_same_wherever_it_is_made():
    first, again = (torch.rand(5, generator=torch_stream(3, "shuffle", 2)) for _ in range(2))
    assert torch.equal(first, again)
    assert numpy_stream(3, "split").random() == numpy_stream(3, "split").random()


def test_initialising_gives_the_same_layer_and_leaves_the_global_stream_alone():
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    with initialising(5, "model"):
        first = torch.nn.Linear(3, 3).weight.detach().clone()
    assert torch.equal(torch.rand(3), expected)
    with initialising(5, "model"):
        assert torch.equal(torch.nn.Linear(3, 3).weight, first)


def test_who_asks_for_a_device_in_a_process_of_its_own_is_told_in_lines(capsys):
    assert runtime._answer("cpu") == 0
    name, *_ = capsys.readouterr().out.splitlines()
    assert name == "cpu"
    assert runtime._answer("tpu?") == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith("device: ")
    assert told.err.count("\n") == 1
