"""A file of weights is read, unwrapped and fitted, or refused in one line with nothing executed."""

import resource
import time
from collections import OrderedDict

import pytest
import torch
from safetensors.torch import save_file

from engine.errors import UserError
from engine.models.backbones.base import BACKBONES
from engine.models.fit import Shape, fit, require_fit
from engine.models.weights_file import LARGEST, chosen, read_states
from tests.engine.hostile_weights import HOSTILE

SHAPE = Shape(1, 8, 10)


def network(name="small-cnn", **fields):
    torch.manual_seed(0)
    return BACKBONES[name](**fields).build(1, 8, 10)


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_is_one_line_soon_and_runs_nothing(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    file = tmp_path / HOSTILE[name][0]
    file.write_bytes(HOSTILE[name][1]())
    before, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    with pytest.raises(UserError, match=rf"^WEIGHTS: [^\n]*{file.name} holds no weights[^\n]*$"):
        read_states(file, "WEIGHTS")
    assert time.process_time() - began < 2
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 256 * 1024
    assert [path.name for path in tmp_path.iterdir()] == [file.name]


def test_a_file_of_10_gb_is_refused_unread(tmp_path):
    file = tmp_path / "huge.pt"
    with file.open("wb") as handle:
        handle.truncate(10 * 10**9)
    with pytest.raises(UserError, match=rf"has 10,000,000,000 bytes; allowed: at most {LARGEST:,}"):
        read_states(file, "WEIGHTS")


def test_what_is_no_plain_file_is_not_waited_for(tmp_path):
    import os

    os.mkfifo(tmp_path / "pipe.pt")
    for name, why in (
        ("pipe.pt", "it is no plain file"),
        ("gone.pt", "No such file"),
        ("", "Is a"),
    ):
        with pytest.raises(UserError, match=rf"cannot be read \({why}"):
            read_states(tmp_path / name, "WEIGHTS")


def test_a_state_dict_that_names_code_is_told_what_it_names(tmp_path):
    file = tmp_path / "a.pt"
    file.write_bytes(HOSTILE["code-alone"][1]())
    with pytest.raises(UserError, match=r"without executing what it names \(\w+"):
        read_states(file, "WEIGHTS")


@pytest.mark.parametrize(
    "wrapped",
    [
        lambda w: w,
        lambda w: {f"module.{n}": v for n, v in w.items()},
        lambda w: {f"model.module.{n}": v for n, v in w.items()},
        lambda w: {f"_orig_mod.{n}": v for n, v in w.items()},
        lambda w: {"n_averaged": torch.tensor(3), **{f"module.{n}": v for n, v in w.items()}},
        lambda w: {"epoch": 3, "optimizer": {"state": {0: torch.ones(2)}}, "state_dict": w},
        lambda w: {"checkpoint": {"model": OrderedDict(w)}},
        lambda w: {n: v.half() for n, v in w.items()},
        lambda w: (
            {"mean": torch.zeros(1, 1, 1, 1), "std": torch.ones(1, 1, 1, 1)}
            | {f"backbone.{n}": v for n, v in w.items()}
        ),
    ],
)
@pytest.mark.parametrize("ending", ["pt", "legacy.pt", "safetensors"])
def test_the_usual_wrappers_are_taken_off(wrapped, ending, tmp_path):
    weights = network(width=4).state_dict()
    held = wrapped(weights)
    if ending == "safetensors":
        held = {name: value for name, value in held.items() if isinstance(value, torch.Tensor)}
        save_file(held or weights, tmp_path / "a.safetensors")
    else:
        torch.save(held, tmp_path / f"a.{ending}", _use_new_zipfile_serialization=ending == "pt")
    own = chosen(read_states(tmp_path / f"a.{ending}", "W"), None, called="a", field="W")
    found = fit(own, BACKBONES["small-cnn"](width=4), SHAPE)
    assert found.is_whole
    for name, value in weights.items():
        torch.testing.assert_close(found.weights[f"backbone.{name}"], value, atol=1e-3, rtol=1e-3)


def test_averaged_weights_beside_the_last_are_offered_for_choice(tmp_path):
    weights = network(width=4).state_dict()
    torch.save(
        {"state_dict": weights, "ema": {n: v + 1 for n, v in weights.items()}}, tmp_path / "a"
    )
    states = read_states(tmp_path / "a", "W")
    with pytest.raises(UserError, match="choose one with --key: state_dict, ema"):
        chosen(states, None, called="a", field="W")
    with pytest.raises(UserError, match="holds no 'best'; choose state_dict, ema"):
        chosen(states, "best", called="a", field="W")
    assert torch.equal(
        chosen(states, "ema", called="a", field="W")["0.bias"], weights["0.bias"] + 1
    )


@pytest.mark.parametrize(
    ("held", "asked", "fits"),
    [
        (("small-cnn", {"width": 7}), ("small-cnn", {}), "it fits small-cnn of width 7"),
        (("small-cnn", {"width": 4}), ("resnet32", {}), "it fits small-cnn of width 4"),
        (("preact-resnet18", {"width": 8}), ("mlp", {}), "it fits preact-resnet18 of width 8"),
    ],
)
def test_weights_of_another_network_are_told_which_they_fit(held, asked, fits):
    weights = network(held[0], **held[1]).state_dict()
    with pytest.raises(UserError) as refused:
        require_fit(weights, BACKBONES[asked[0]](**asked[1]), SHAPE, called="W: a", on="digits")
    text = str(refused.value)
    assert fits in text
    assert "\n" not in text
    assert text.count(".weight") + text.count(".bias") + text.count(".running") <= 12


def test_weights_for_other_classes_are_told_for_how_many():
    weights = BACKBONES["small-cnn"]().build(1, 8, 100).state_dict()
    with pytest.raises(
        UserError, match=r"7\.weight is 100 x 128, there it is 10 x 128.*100 classes"
    ):
        require_fit(weights, BACKBONES["small-cnn"](), SHAPE, called="W: a", on="digits")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers_are_refused(value):
    weights = network(width=4).state_dict()
    weights["5.bias"][0] = value
    with pytest.raises(UserError, match=r"holds NaN or infinite numbers, in backbone\.5\.bias"):
        require_fit(weights, BACKBONES["small-cnn"](width=4), SHAPE, called="W: a", on="digits")


def test_batch_norms_of_old_versions_lack_their_count_and_fit():
    net = network("resnet32")
    old = {n: v for n, v in net.state_dict().items() if not n.endswith("num_batches_tracked")}
    assert fit(old, BACKBONES["resnet32"](), SHAPE).is_whole
