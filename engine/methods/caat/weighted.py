"""CAAT whose network says, apart from which side a sample is on, how much it weighs: our own."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from engine.config import ShareOfRun
from engine.empty import Empty
from engine.meta.inputs import Crowd
from engine.meta.prices import PriceKind
from engine.methods.base import METHODS
from engine.methods.caat.config import CaatConfig
from engine.methods.caat.corrected import Bounds


def _own(default: Any, of: str, **limits: Any) -> Any:
    """Return a field of CAAT with another default."""
    return Field(default, description=CaatConfig.model_fields[of].description, **limits)


@METHODS.register
class CaatWeightedConfig(CaatConfig):
    """CAAT that weighs samples too (ours, after Zhou et al. 2023 and Shu et al. 2019).

    With alpha alone a sample that does harm, such as one with a wrong label, can only change sides.
    Here the network, which also reads how much the sample has helped on the meta images so far,
    ranks samples within their class and says how much each weighs; Hedge's prices weigh classes.
    """

    name: Literal["caat-weighted"] = Field(  # type: ignore[assignment]
        "caat-weighted", description="Training method"
    )
    paper: ClassVar[str] = "after Zhou et al., AAAI 2023; how much a sample weighs is our own"
    assigns: ClassVar[str] = (
        "that of `caat` times a sample's strength over the batch's mean, from the same network, "
        "which ranks within a class; class weights by Hedge; bound epsilon"
    )
    protocol: Literal["corrected"] = Field("corrected", description="There is no other")
    bounds: Bounds = _own("fixed", "bounds")
    copies: Literal["both", "sampled"] = _own("sampled", "copies")
    meta_every: int = _own(2, "meta_every", ge=1, le=10_000)
    meta_num_steps: Annotated[int | None, Empty("as in training")] = _own(
        3, "meta_num_steps", ge=1, le=200
    )
    crowd: Crowd = _own("class", "crowd")
    influence: bool = _own(True, "influence")
    strength: bool = _own(True, "strength")
    prices: PriceKind = _own("hedge", "prices")
    eta: float = _own(0.2, "eta", ge=0, le=10)
    fairness_from: Annotated[float, ShareOfRun()] = _own(0.1, "fairness_from", ge=0, le=1)
