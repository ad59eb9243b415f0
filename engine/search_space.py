"""The table ``search`` of a study: which settings are tried, and how many."""

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from engine.config import Section
from engine.empty import Empty
from engine.mistakes import mistake


class Range(Section):
    """The values that one setting may take: from low to high, or one of some choices."""

    low: Annotated[float | None, Empty("choices")] = Field(None, ge=0, description="Least value")
    high: Annotated[float | None, Empty("choices")] = Field(None, ge=0, description="Largest value")
    log: bool = Field(False, description="Whether small values are tried as often as large ones")
    whole: bool = Field(False, description="Whether only whole numbers are tried")
    choices: tuple[Any, ...] = Field((), description="Values, in place of low and high")

    @model_validator(mode="after")
    def _is_a_range_or_choices(self) -> "Range":
        if self.choices and (self.low, self.high) == (None, None):
            return self
        if self.choices or self.low is None or self.high is None or self.low >= self.high:
            raise ValueError("is not valid; write low and high with low < high, or choices")
        if self.log and self.low <= 0:
            raise ValueError(f"log is not valid from {self.low:g} on; allowed: low above 0")
        return self

    @property
    def first(self) -> Any:
        """A value of it, to see whether the setting exists."""
        return self.choices[0] if self.choices else self.value(float(self.low or 0.0))

    def value(self, number: float) -> float | int:
        """Return a number as it is tried: with four digits, so that a person can say it."""
        return round(number) if self.whole else float(f"{number:.4g}")


class Search(Section):
    """Settings are tried on a search split; the test images stay unseen."""

    trials: int = Field(20, ge=1, le=10_000, description="Settings of each method and scenario")
    sampler: Literal["tpe", "nsga2"] = Field(
        "tpe",
        description="Who proposes settings: TPE (Bergstra et al. 2011) or NSGA-II (Deb et al. "
        "2002), for least natural error and least worst-class robust error together",
    )
    per_class: int = Field(
        400, ge=1, description="Training images per class that settings are judged by"
    )
    seeds: tuple[int, ...] = Field(
        (100,), min_length=1, description="Seeds of every setting that is tried"
    )
    space: dict[str, dict[str, Range]] = Field(
        min_length=1,
        description="Ranges by the method's name in this file and by the setting's path",
    )

    @model_validator(mode="after")
    def _every_method_has_a_range(self) -> "Search":
        empty = [method for method, ranges in self.space.items() if not ranges]
        if empty:
            raise mistake(("space", empty[0]), {}, "has no range; write one setting at least")
        return self
