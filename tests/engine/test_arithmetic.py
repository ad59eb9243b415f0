"""Float32 is float32 everywhere but in a training step that is told otherwise."""

import pytest
import torch
from torch import nn

from engine import runtime
from engine.data.preparation import prepare
from engine.errors import UserError
from engine.meta.virtual_step import prediction_with
from engine.methods.base import METHODS
from engine.models.classifier import Classifier
from engine.models.modes import arithmetic
from engine.training.build import initial_model
from engine.training.trainer import Trainer


def flags() -> tuple[bool, bool]:
    return torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32


@pytest.fixture(autouse=True)
def _as_torch_comes():
    """Let the process begin as torch does: convolutions may be rounded."""
    before = flags()
    torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = True, False
    yield
    torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = before


@pytest.fixture
def seen(monkeypatch):
    """Note the flags of every pass of a model, by what it is for."""
    found: dict[str, set[tuple[bool, bool]]] = {"training": set(), "looking": set(), "meta": set()}
    forward, phase = Classifier.forward, ["looking"]

    def watched(self, x):
        found[phase[-1]].add(flags())
        return forward(self, x)

    def within(owner, name, what):
        real = getattr(owner, name)

        def entered(*arguments, **named):
            phase.append(what)
            try:
                return real(*arguments, **named)
            finally:
                phase.pop()

        monkeypatch.setattr(owner, name, entered)

    monkeypatch.setattr(Classifier, "forward", watched)
    monkeypatch.setattr(runtime, "_has_tf32", lambda device: True)
    within(Trainer, "_step", "training")
    for kind in ("caat", "meta-weight-net"):
        policy = METHODS[kind]().build.__annotations__["return"].split(" |")[0]
        module = __import__(METHODS[kind].__module__, fromlist=[policy])
        within(getattr(module, policy), "learn", "meta")
    return found


@pytest.mark.parametrize("method", ["caat", "meta-weight-net"])
@pytest.mark.parametrize("precision", ["float32", "tf32"])
def test_only_a_training_step_in_tf32_may_round(method, precision, run, scenario_of, seen):
    record = run(scenario_of(method, training={"precision": precision, "epochs": 1}))
    rounds = precision == "tf32"
    assert seen["training"] == {(rounds, rounds)}
    assert seen["looking"] == {(False, False)}
    assert seen["meta"] == {(False, False)}
    assert flags() == (False, False)  # what follows in this process is exact, too
    assert record.facts.precision == precision
    assert record.final.card.arithmetic == "float32"


def test_the_flags_come_back_after_an_error():
    inside = []

    def fail() -> None:
        with arithmetic(tf32=False):
            inside.append(flags())
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert inside == [(False, False)]
    assert flags() == (True, False)


def test_tf32_is_refused_where_the_device_has_none(run, scenario_of):
    with pytest.raises(UserError, match=r"'tf32' needs an NVIDIA GPU.* allowed here: float32"):
        run(scenario_of(training={"precision": "tf32"}))


# -- bf16


def test_bf16_is_refused_where_the_device_has_none(run, scenario_of, new_record, monkeypatch):
    monkeypatch.setattr(runtime, "_has_bf16", lambda device: False)
    record = new_record()
    with pytest.raises(UserError) as error:
        run(scenario_of(training={"precision": "bf16"}), record)
    assert str(error.value) == (
        "training.precision: 'bf16' needs a GPU or a CPU with instructions for it (AMX, "
        "AVX-512 BF16), and cpu here has none; allowed here: float32"
    )
    assert record.facts is None


@pytest.mark.parametrize("precision", ["float32", "tf32", "bf16"])
def test_a_backbone_is_rounded_only_where_bf16_is_asked_for(precision, scenario_of):
    scenario = scenario_of(training={"precision": precision})
    model = initial_model(scenario, prepare(scenario.data, 0, None))
    assert model.bf16 is (precision == "bf16")


def test_bf16_rounds_the_backbone_only_and_not_in_an_evaluation():
    torch.manual_seed(0)
    model = Classifier(nn.Sequential(nn.Flatten(), nn.Linear(64, 5)), torch.zeros(1), torch.ones(1))
    x = torch.rand(7, 1, 8, 8, requires_grad=True)
    exact = model(x)
    model.bf16 = True
    rounded = model(x)
    assert rounded.dtype == torch.float32
    assert not torch.equal(rounded, exact)
    assert torch.equal(rounded, rounded.bfloat16().float())
    torch.testing.assert_close(rounded, exact, rtol=0.05, atol=0.05)
    with model.in_float32():
        assert torch.equal(model(x), exact)
    assert model.bf16
    rounded.sum().backward()
    assert all(p.grad.dtype == torch.float32 for p in model.parameters())


def test_the_meta_step_looks_at_a_bf16_model_in_float32():
    torch.manual_seed(0)
    model = Classifier(nn.Sequential(nn.Flatten(), nn.Linear(64, 5)), torch.zeros(1), torch.ones(1))
    x, parameters = torch.rand(7, 1, 8, 8), dict(model.named_parameters())
    exact = model(x)
    model.bf16 = True
    assert torch.equal(prediction_with(model, parameters, train=False)(x), exact)
    assert model.bf16
