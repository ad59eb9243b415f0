"""A new scenario of some tables, or the mistakes in them."""

from typing import Any

import pytest
from pydantic import ValidationError

from engine.mistakes import error_lines
from engine.new_scenario import new_scenario
from engine.scenario import Scenario


def mistakes_of(tables: dict[str, Any]) -> dict[str, str]:
    with pytest.raises(ValidationError) as error:
        new_scenario(tables)
    return error_lines(error.value, Scenario)


def tried(tables: dict[str, Any]) -> tuple[Scenario | None, dict[str, str]]:
    """Return the scenario, or its mistakes."""
    try:
        return new_scenario(tables), {}
    except ValidationError as error:
        return None, error_lines(error, Scenario)
