"""What is asked of a scenario before it is run for the first time: that its fields go together.

A stored scenario is read by `Scenario` alone, whatever is asked of new ones by then: its run can be
shown, resumed, evaluated and cloned for ever. Every door for new ones (form, file, ``--set``)
comes through `new_scenario`. What fields lead to together is told by `engine.realised`.
"""

from collections.abc import Mapping
from typing import Any

from engine.attacks.pgd import QUARTERS
from engine.data.config import meta_per_class
from engine.data.datasets.base import datasets
from engine.mistakes import mistake, mistakes
from engine.realised import (
    evaluation_epsilon,
    latest_share,
    shares_of_run,
)
from engine.rules import RULES
from engine.scenario import Scenario


def new_scenario(values: Mapping[str, Any]) -> Scenario:
    """Validate a scenario that nobody has run yet, and write out what its fields lead to.

    Raises:
        ValidationError: A field is wrong by itself, or does not go with another one.
    """
    scenario = Scenario.model_validate(values)
    _require_known(scenario)
    found = [wrong for rule in RULES for wrong in rule(scenario)]
    if found:
        raise mistakes(found)
    return _written_out(scenario)


def _require_known(scenario: Scenario) -> None:
    """Refuse a dataset that is unknown here: nothing else can be said of the scenario then."""
    name = scenario.data.dataset
    if not scenario.data.source.is_known:
        says = f"{name!r} is unknown; choose {', '.join(datasets())}"
        raise mistake(("data", "dataset"), name, says)


# -- what is derived


def _written_out(scenario: Scenario) -> Scenario:
    """Put numbers where a default cannot go with the other fields, so that they can be seen."""
    changes = {
        "data": _meta_set(scenario),
        "threat": _training_step(scenario),
        "evaluation": _evaluation_steps(scenario),
        "method": _first_epochs(scenario),
    }
    tables = {
        table: getattr(scenario, table).model_copy(update=fields)
        for table, fields in changes.items()
        if fields
    }
    return scenario.model_copy(update=tables) if tables else scenario


def _meta_set(scenario: Scenario) -> dict[str, int]:
    data = scenario.data
    return {} if data.meta_per_class else {"meta_per_class": meta_per_class(data)}


def _training_step(scenario: Scenario) -> dict[str, float]:
    threat = scenario.threat
    if threat.step_size is not None or threat.num_steps >= QUARTERS or not threat.epsilon:
        return {}
    return {"step_size": threat.epsilon / threat.num_steps}


def _evaluation_steps(scenario: Scenario) -> dict[str, float]:
    config, epsilon = scenario.evaluation, evaluation_epsilon(scenario)
    if config.step_size is not None or not epsilon:
        return {}
    on_test = epsilon / min(config.num_steps, QUARTERS)
    on_validation = epsilon / min(config.val_num_steps, QUARTERS)
    own = {} if config.num_steps >= QUARTERS else {"step_size": on_test}
    if config.val_step_size is not None or on_validation == on_test:
        return own
    return {**own, "val_step_size": on_validation}


def _first_epochs(scenario: Scenario) -> dict[str, float]:
    """Let a rule of the method begin at its last chance where the default share is later."""
    own, method = scenario.training.method_epochs, type(scenario.method)
    return {
        name: latest_share(own)
        for name, _, share in shares_of_run(scenario.method)
        if own > 1 and share > latest_share(own) and share == method.model_fields[name].default
    }
