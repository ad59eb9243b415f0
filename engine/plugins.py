"""What a method, a dataset, a backbone or an attack of one's own is made of.

A distribution that is installed beside this one names its classes as entry points, in the groups
``caat_studio.methods``, ``caat_studio.datasets``, ``caat_studio.backbones`` and
``caat_studio.attacks``: docs/plugins.md shows a whole package. Its modules are read by every
command, most of which never compute: ``torch``, ``nn`` and ``F`` of this module load torch at their
first use.
"""

from engine.attacks.base import ATTACKS, Conditions, EvaluationAttack, Procedure
from engine.config import Pixels, Section
from engine.data.datasets.base import DATASETS, Dataset
from engine.errors import UserError
from engine.evaluation.class_errors import ClassErrors
from engine.lazy import F, nn, torch
from engine.meta.characteristics import Characteristics
from engine.methods.base import METHODS, Learner, Method, MethodConfig, Step
from engine.models.backbones.base import BACKBONES, BackboneConfig
from engine.objective import PGD_AT, TRADES, Objective
from engine.perturbation.norms import BALLS
from engine.types import Assignment, Batch, DeviceImages, ImageSet

__all__ = [
    "ATTACKS",
    "BACKBONES",
    "BALLS",
    "DATASETS",
    "METHODS",
    "PGD_AT",
    "TRADES",
    "Assignment",
    "BackboneConfig",
    "Batch",
    "Characteristics",
    "ClassErrors",
    "Conditions",
    "Dataset",
    "DeviceImages",
    "EvaluationAttack",
    "F",
    "ImageSet",
    "Learner",
    "Method",
    "MethodConfig",
    "Objective",
    "Pixels",
    "Procedure",
    "Section",
    "Step",
    "UserError",
    "nn",
    "torch",
]
