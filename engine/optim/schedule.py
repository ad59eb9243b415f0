"""How long a model learns and how fast: the learning rate as a closed form of epoch and step."""

import math
from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, field_validator

from engine.config import Section
from engine.empty import Empty

ONE_CYCLE_FROM = 25
"""one-cycle begins at lr over this, and ends at that over ONE_CYCLE_TO (Smith and Topin, 2018)."""
ONE_CYCLE_TO = 1e4


class ScheduleConfig(Section):
    """Epochs and learning rate. Nothing here has a state, so a resumed run goes on exactly."""

    epochs: int = Field(30, ge=1, le=1000, description="Passes over the training set")
    warm_start_epochs: int = Field(
        0,
        ge=0,
        le=999,
        description="The first so many of these epochs train naturally, before the method begins",
    )
    warm_start_lr: Annotated[float | None, Empty("the run's lr")] = Field(
        None, gt=0, le=10, description="Learning rate of the warm start, falling as a cosine"
    )
    lr: float = Field(0.05, gt=0, le=10, description="Largest learning rate")
    schedule: Literal["constant", "cosine", "multistep", "cyclic", "one-cycle"] = Field(
        "cosine",
        description="How the learning rate changes: constant, cosine and multistep from epoch to "
        "epoch; cyclic (triangles) and one-cycle from step to step",
    )
    warmup_epochs: int = Field(
        0, ge=0, le=999, description="Epochs in which the rate rises to lr, step by step, in a line"
    )
    milestones: tuple[float, ...] = Field(
        (0.5, 0.75),
        description="multistep: shares of the run after which the rate is divided by 10",
    )
    lr_floor: float = Field(
        0.0, ge=0, lt=1, description="cosine, cyclic: lowest rate, as a share of lr"
    )
    num_cycles: int = Field(1, ge=1, le=1000, description="cyclic: triangles in the run")
    rise: float = Field(
        0.3, gt=0, lt=1, description="cyclic, one-cycle: share of a cycle in which the rate rises"
    )

    @field_validator("warm_start_epochs")
    @classmethod
    def _warm_start_leaves_an_epoch(cls, warm_start: int, info: ValidationInfo) -> int:
        if warm_start and warm_start >= info.data.get("epochs", math.inf):
            raise ValueError(
                f"{warm_start} is not valid with epochs {info.data['epochs']}; "
                f"allowed: a whole number, 0 to {info.data['epochs'] - 1}"
            )
        return warm_start

    @field_validator("warmup_epochs")
    @classmethod
    def _warmup_fits(cls, warmup: int, info: ValidationInfo) -> int:
        if not warmup or not {"epochs", "warm_start_epochs", "schedule"} <= info.data.keys():
            return warmup
        if info.data["schedule"] in ("cyclic", "one-cycle"):
            raise ValueError(
                f"{warmup} is not valid with schedule {info.data['schedule']}, which rises by "
                f"itself; allowed: 0"
            )
        own = info.data["epochs"] - info.data["warm_start_epochs"]
        if warmup >= own:
            raise ValueError(
                f"{warmup} is not valid with {own} epochs of the method; "
                f"allowed: a whole number, 0 to {own - 1}"
            )
        return warmup

    @field_validator("milestones")
    @classmethod
    def _milestones_are_shares(cls, milestones: tuple[float, ...]) -> tuple[float, ...]:
        if any(not 0 < share < 1 for share in milestones):
            raise ValueError(
                f"{list(milestones)} is not valid; every milestone lies between 0 and 1"
            )
        return milestones

    @property
    def method_epochs(self) -> int:
        """Epochs that the method has after the warm start."""
        return self.epochs - self.warm_start_epochs

    def lr_at(self, epoch: int, number: int = 0, num_steps: int = 1) -> float:
        """Return the learning rate of a step.

        Args:
            epoch: Counted from 1.
            number: Steps taken in this epoch before this one.
            num_steps: Steps of an epoch.
        """
        if epoch <= self.warm_start_epochs:
            lr = self.lr if self.warm_start_lr is None else self.warm_start_lr
            return _cosine(lr, 0.0, (epoch - 1) / self.warm_start_epochs)
        epochs_done = epoch - 1 - self.warm_start_epochs
        steps_done = epochs_done * num_steps + number
        if epochs_done < self.warmup_epochs:
            return self.lr * (steps_done + 1) / (self.warmup_epochs * num_steps)
        low = self.lr * self.lr_floor
        match self.schedule:
            case "cosine":
                share = (epochs_done - self.warmup_epochs) / (
                    self.method_epochs - self.warmup_epochs
                )
                return _cosine(self.lr, low, share)
            case "multistep":
                done = epochs_done / self.method_epochs
                return float(self.lr * 0.1 ** sum(done >= share for share in self.milestones))
            case "cyclic":
                cycles = steps_done * self.num_cycles / (self.method_epochs * num_steps)
                place = cycles % 1
                up = place / self.rise if place < self.rise else (1 - place) / (1 - self.rise)
                return low + (self.lr - low) * up
            case "one-cycle":
                return _one_cycle(
                    self.lr, self.rise, steps_done, total=self.method_epochs * num_steps
                )
        return self.lr


def _cosine(high: float, low: float, share: float) -> float:
    """Fall from high to low along half a cosine."""
    return low + (high - low) * (1 + math.cos(math.pi * share)) / 2


def _one_cycle(lr: float, rise: float, steps_done: int, *, total: int) -> float:
    """Rise to lr and fall to almost nothing, each along half a cosine."""
    first = lr / ONE_CYCLE_FROM
    top, last = max(rise * total - 1, 0.0), total - 1
    if steps_done <= top:
        return _cosine(first, lr, steps_done / top) if top else lr
    return _cosine(lr, first / ONE_CYCLE_TO, (steps_done - top) / (last - top))
