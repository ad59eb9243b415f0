"""The threat model: how far an image may be moved, and the attack used in training."""

from typing import Annotated, Any

from pydantic import Field, ValidationInfo, field_validator, model_validator

from engine.config import Derived, Pixels, Section
from engine.empty import Empty
from engine.perturbation.norms import LINF_EPSILON, NormName, require_within

_EMPTY_RADIUS = Empty(
    "8/255 in linf, and in l2 what goes with it for the size of the images: 0.5 for 3 x 32 x 32"
)


class ThreatConfig(Section):
    """The threat model, in pixels of an image in [0, 1], and the attack used in training."""

    norm: NormName = Field(
        "linf",
        description="Norm of the perturbation: the largest change of a value, or the square root "
        "of the sum of squared changes",
    )
    epsilon: Annotated[Pixels, Derived(), _EMPTY_RADIUS] = Field(
        LINF_EPSILON,
        ge=0,
        description="Radius of the ball, in pixels of [0, 1]; write 8/255. At most 1 in linf, the "
        "square root of the number of values of an image in l2",
    )
    step_size: Annotated[Pixels | None, Empty("epsilon / 4")] = Field(
        None,
        gt=0,
        description="Step of the training attack, written out where fewer than 4 steps would not "
        "reach the edge of the ball",
    )
    num_steps: int = Field(10, ge=1, le=200, description="Steps of the training attack")
    epsilon_warmup_epochs: int = Field(
        0,
        ge=0,
        le=999,
        description="Epochs of the method in which the radius in training rises from 0 in a line",
    )

    @model_validator(mode="before")
    @classmethod
    def _radius_goes_with_the_norm(cls, values: Any) -> Any:
        """Leave an empty radius to the default, which l2 has for a size of images alone."""
        if not isinstance(values, dict) or values.get("epsilon") is not None:
            return values
        if values.get("norm") == "l2":
            raise ValueError("norm l2 needs a radius; its default depends on the images")
        return {name: value for name, value in values.items() if name != "epsilon"}

    @field_validator("epsilon", "step_size")
    @classmethod
    def _fits_every_image(cls, distance: float | None, info: ValidationInfo) -> float | None:
        """Say a mistake in l-inf here, beside others; l2's limit depends on the images."""
        if distance is not None and info.data.get("norm") == "linf":
            require_within(distance, "linf", num_values=1)
        return distance

    @property
    def step(self) -> float:
        return self.epsilon / 4 if self.step_size is None else self.step_size

    def share_at(self, epochs_done: float) -> float:
        """Return the share of every radius in training after so many epochs of the method."""
        if epochs_done >= self.epsilon_warmup_epochs:
            return 1.0
        return epochs_done / self.epsilon_warmup_epochs
