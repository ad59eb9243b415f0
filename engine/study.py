"""A study: methods by scenarios by seeds, as one table says it."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Annotated, Any

from pydantic import Field, ValidationError, field_validator, model_validator

from engine.config import Section
from engine.empty import Empty
from engine.errors import UserError
from engine.mistakes import error_lines, mistake
from engine.names import require_name
from engine.new_scenario import new_scenario
from engine.scenario import NAME_LENGTH, Scenario
from engine.search_space import Search

TABLES = tuple(name for name in Scenario.model_fields if name not in ("name", "seed", "method"))
"""Tables of a scenario that a study may fill in: everything but the method's own."""
OF_ROWS = ("sweep", "scenarios", "family")
"""Keys of a method's table that are about the study, not about the runs."""
Values = dict[str, Any]
LAST_SEED = 2**31 - 1


class Study(Section):
    """Methods by scenarios by seeds; each combination is a run, called a cell."""

    name: str = Field(min_length=1, max_length=NAME_LENGTH, description="What the study is called")
    seeds: tuple[int, ...] = Field(min_length=1, description="Seeds of each combination")
    base: Values = Field(default_factory=dict, description="Tables that all cells share")
    scenarios: dict[str, Values] = Field(
        default={"": {}},
        min_length=1,
        description="Scenarios by name: the tables in which each differs from base",
    )
    methods: dict[str, Values] = Field(
        min_length=1,
        description="Methods by a name of their own: fields of the method, its `name` where it is "
        "another one, tables in which its runs differ; `sweep`: a list of values for any of these "
        "by its path, each combination a row of its own; `scenarios`: the only ones that it runs "
        "in; `family`: what rows share that are settings of one method",
    )
    search: Annotated[Search | None, Empty("nothing is tried")] = Field(
        None, description="Settings that `caat study search` tries"
    )

    @field_validator("name")
    @classmethod
    def _name_shows_all(cls, name: str) -> str:
        require_name(name)
        return name

    @field_validator("seeds", mode="before")
    @classmethod
    def _seeds_are_seeds(cls, seeds: object) -> object:
        if not isinstance(seeds, list | tuple) or not seeds:
            raise ValueError(f"{seeds!r} is not valid; write a list of whole numbers")
        for seed in seeds:
            if type(seed) is not int or not 0 <= seed <= LAST_SEED:
                raise ValueError(f"{seed!r} is not valid; allowed: whole numbers, 0 to {LAST_SEED}")
        twice = sorted({seed for seed in seeds if seeds.count(seed) > 1})
        if twice:
            raise ValueError(f"{twice[0]} stands there twice; write each seed once")
        return seeds

    @field_validator("methods")
    @classmethod
    def _methods_have_names(cls, methods: dict[str, Values]) -> dict[str, Values]:
        if "" in methods:
            raise ValueError("one has no name of its own; write [methods.NAME]")
        for name, fields in methods.items():
            _require_sweep(name, fields.get("sweep", {}))
            if not isinstance(fields.get("family", ""), str):
                raise ValueError(f"{name}.family: {fields['family']!r} is not valid; write a name")
        return methods

    @field_validator("base")
    @classmethod
    def _base_is_of_a_scenario(cls, base: Values) -> Values:
        return _only_tables(base)

    @field_validator("scenarios")
    @classmethod
    def _scenarios_are_tables(cls, scenarios: dict[str, Values]) -> dict[str, Values]:
        for tables in scenarios.values():
            _only_tables(tables)
        return scenarios

    @model_validator(mode="after")
    def _names_are_there(self) -> "Study":
        for name, fields in self.methods.items():
            only = fields.get("scenarios", [])
            if not isinstance(only, list) or any(one not in list(self.scenarios) for one in only):
                allowed = ", ".join(map(repr, self.scenarios))
                raise mistake(
                    ("methods", name, "scenarios"),
                    only,
                    f"{only!r} is not valid; allowed: a list of {allowed}",
                )
        for name in self.search.space if self.search else ():
            if name not in self.methods:
                raise mistake(
                    ("search", "space", name),
                    name,
                    f"no method has this name; choose {', '.join(self.methods)}",
                )
        return self


def _require_sweep(method: str, sweep: object) -> None:
    if not isinstance(sweep, Mapping):
        raise ValueError(f"{method}.sweep is not valid; write [methods.NAME.sweep] with lists")
    for path, values in sweep.items():
        if not isinstance(values, list) or not values:
            raise ValueError(f"{method}.sweep.{path}: {values!r} is not valid; write a list")
        twice = [value for place, value in enumerate(values) if value in values[:place]]
        if twice:
            raise ValueError(f"{method}.sweep.{path}: {twice[0]!r} stands there twice")


def _only_tables(values: Values) -> Values:
    for name in values:
        if name not in TABLES:
            raise ValueError(
                f"{name!r} does not go here; allowed: {', '.join(TABLES)} (methods and seeds have "
                "places of their own)"
            )
    return values


@dataclass(frozen=True)
class Cell:
    """One run of a study, by the names of the file."""

    scenario_name: str
    method_name: str
    seed: int
    scenario: Scenario
    family: str = ""
    """What the file calls the method that a sweep made this row of; the row's own name if none."""

    @property
    def title(self) -> str:
        return _title(self.scenario_name, self.method_name)


def _title(scenario: str, method: str) -> str:
    return f"{method}, {scenario}" if scenario else method


def read_study(values: Mapping[str, Any]) -> Study:
    """Validate a study's own fields, not yet its cells.

    Raises:
        UserError: One line a mistake, with the field.
    """
    try:
        return Study.model_validate(values)
    except ValidationError as error:
        lines = error_lines(error, Study)
        raise UserError(*(f"{field}: {text}" for field, text in lines.items())) from None


def cells(study: Study) -> list[Cell]:
    """Return every run: seed by seed, so that all methods can be compared early.

    Raises:
        UserError: A line for each mistake, with the cells' names and the field; or two cells of one
            scenario are the same run.
    """
    lines: dict[str, None] = {}
    found: list[Cell] = []
    for seed in study.seeds:
        for scenario, differs in study.scenarios.items():
            shared = _over(study.base, differs)
            for row in _rows(study, scenario):
                title = _title(scenario, row.name)
                values = _over(shared, row.tables)
                named = {"name": title[:NAME_LENGTH], "seed": seed, "method": row.method}
                try:
                    made = new_scenario({**values, **named})
                except ValidationError as error:
                    told = error_lines(error, Scenario).items()
                    lines |= {f"{title}: {field}: {text}": None for field, text in told}
                    continue
                found.append(Cell(scenario, row.name, seed, made, row.family))
    if lines:
        raise UserError(*lines)
    _require_apart(found)
    return found


@dataclass(frozen=True)
class _Row:
    """A method of the file at one point of its sweep."""

    name: str
    family: str
    method: Values
    tables: Values


def _rows(study: Study, scenario: str) -> Iterator[_Row]:
    """Yield every method that runs in a scenario, at every point of its sweep."""
    for method, fields in study.methods.items():
        if scenario not in fields.get("scenarios", [scenario]):
            continue
        sweep, family = fields.get("sweep", {}), fields.get("family", method)
        plain = {name: value for name, value in fields.items() if name not in OF_ROWS}
        for point in product(*sweep.values()):
            chosen = dict(zip(sweep, point, strict=True))
            whole = at_point(plain, chosen)
            told = f", {point_in_words(chosen)}" if chosen else ""
            yield _Row(
                f"{method}{told}",
                family,
                {"name": method, **{key: whole[key] for key in whole if key not in TABLES}},
                {key: whole[key] for key in whole if key in TABLES},
            )


def at_point(fields: Mapping[str, Any], point: Mapping[str, Any]) -> Values:
    """Return a method's table with settings, by their paths, in the place of its own."""
    whole = dict(fields)
    for path, value in point.items():
        whole = _over(whole, _nested(path, value))
    return whole


def point_in_words(point: Mapping[str, Any]) -> str:
    """Say settings by their paths: ``beta = 1.5, training.lr = 0.1``."""
    return ", ".join(f"{path} = {_said(value)}" for path, value in point.items())


def _nested(path: str, value: Any) -> Values:
    """Return ``{"training": {"lr": value}}`` for ``training.lr``."""
    for name in reversed(path.split(".")):
        value = {name: value}
    found: Values = value
    return found


def _said(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _over(below: Mapping[str, Any], above: Mapping[str, Any]) -> Values:
    """Lay one table over another; a plug-in of another name takes none of the other's fields."""
    names = (below.get("name"), above.get("name"))
    if None not in names and names[0] != names[1]:
        return dict(above)
    merged = dict(below)
    for key, value in above.items():
        old = merged.get(key)
        if isinstance(old, Mapping) and isinstance(value, Mapping):
            value = _over(old, value)
        merged[key] = value
    return merged


def _require_apart(found: list[Cell]) -> None:
    known: dict[str, Cell] = {}
    for cell in found:
        other = known.setdefault(cell.scenario.digest(), cell)
        if other is not cell:
            raise UserError(
                f"{cell.title}: is the same run as {other.title}; leave one of them out"
            )
