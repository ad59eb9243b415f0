"""What every table shares: the base class, how names and types are stored, and fixed words."""

from datetime import datetime
from typing import Any, ClassVar
from uuid import uuid4

from sqlalchemy import JSON, Double, Enum, MetaData
from sqlalchemy.orm import DeclarativeBase

from db.status import DEFAULT_QUEUE as DEFAULT_QUEUE
from db.status import RunStatus
from db.types import UtcDateTime

TRAINING = "training"
"""The usual kind of run; a job about one is an evaluation or an export, and has a subject."""
EVALUATION = "evaluation"
EXPORT = "export"
AUDIT = "audit"
"""A model that was trained elsewhere, attacked here."""
IMPORT = "import"
"""Predictions that another tool made: numbers without a model."""
NORMAL_PRIORITY = 5
FINAL = "final"
"""The name of the look at the test data that ends a training."""


class Base(DeclarativeBase):
    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    """Constraints have names of their own, so that a later migration can find them."""
    type_annotation_map: ClassVar[dict[Any, Any]] = {
        datetime: UtcDateTime(),
        float: Double(),
        dict[str, Any]: JSON(none_as_null=True),
        list[Any]: JSON(none_as_null=True),
        RunStatus: Enum(
            RunStatus,
            values_callable=lambda kind: [status.value for status in kind],
            native_enum=False,
            create_constraint=True,
            length=16,
            name="status",
        ),
    }


def new_run_id() -> str:
    """Return an id that is never used again."""
    return uuid4().hex
