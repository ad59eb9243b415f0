"""A device is not waited for: between two words to the observer nothing asks for a value."""

import traceback
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from engine.data.preparation import prepare
from engine.methods.base import METHODS
from engine.training.epoch_record import EpochRecord
from engine.training.trainer import Trainer

READS = ("_local_scalar_dense", "nonzero", "masked_select", "aten.equal", "unique", "bincount")
"""Operations whose result decides what the host does next, by a part of their names."""
ON_THE_HOST = "torch/optim/adam.py"
"""Adam asks for its count of steps, which is kept on the host."""


class Reads(TorchDispatchMode):
    """Counts what would make the host wait for a device, by the line of ours that asks."""

    def __init__(self) -> None:
        super().__init__()
        self.found: Counter[str] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = str(func)
        by_mask = name.startswith(("aten.index.Tensor", "aten.index_put")) and any(
            place is not None and place.dtype == torch.bool for place in args[1]
        )
        if by_mask or any(part in name for part in READS):
            frames = traceback.extract_stack()
            if not any(ON_THE_HOST in frame.filename for frame in frames):
                ours = [frame for frame in frames if "/engine/" in frame.filename]
                self.found[f"{name} at {ours[-1].filename}:{ours[-1].lineno}"] += 1
        return func(*args, **(kwargs or {}))


WAYS = {
    **{name: {} for name in METHODS.names()},
    "caat as-released": {"protocol": "as-released", "meta_every": 1},
    "caat sampled": {"copies": "sampled", "meta_every": 1, "prices": "hedge"},
    "caat worst-class": {"meta_objective": "worst-class", "meta_every": 1, "bounds": "grad"},
    "caat with more inputs": {
        "crowd": "class",
        "influence": True,
        "strength": True,
        "meta_every": 1,
    },
    "meta-weight-net with trades": {"loss": "trades", "meta_every": 1},
    "faal from the start": {"fairness_from": 0.0},
    "cfa from the start": {"fairness_from": 0.0},
}


@pytest.mark.parametrize("way", WAYS)
def test_a_step_that_is_not_told_asks_the_device_for_nothing(way, scenario_of, new_record):
    scenario = scenario_of(
        way.split()[0],
        data={"train_size": 480},
        method=WAYS[way],
        training={"clip_norm": 1.0, "awp_gamma": 0.005, "record_steps": True},
    )
    data = prepare(scenario.data, 0, Path("not-used"))
    trainer = Trainer(scenario, data, new_record(), device=torch.device("cpu"))
    trainer.run_epoch(1)
    epoch, record = 2, EpochRecord(len(data.train), trainer.device)
    trainer._begin(epoch)
    trainer.model.train()
    batches = list(trainer.batches.epoch(epoch))
    with Reads() as reads:
        for number in range(2):  # of 30 steps each third is told
            trainer._begin_step(epoch, number)
            record.add(trainer._step(epoch, number, batches[number]))
            trainer._tell(epoch, number + 1, record)
    assert not reads.found
    with Reads() as reads:
        trainer._tell(epoch, 3, record)
    assert reads.found  # the loss that is told is a value


def test_the_count_sees_what_a_host_waits_for():
    values = torch.arange(4.0)
    with Reads() as reads:
        bool(values.any())
        values[values > 1]
        values.nonzero()
    assert sum(reads.found.values()) >= 3
