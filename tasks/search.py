"""The search for a method's front: settings proposed by Optuna, tried as ordinary runs.

Each scenario and method of a study's file has an Optuna study of its own, which minimises natural
and worst-class robust error together on the search split. A setting that is tried is a cell of the
study "NAME, search": it waits in the queue, is listed, stopped and resumed as any run, and one that
has been tried already, here or elsewhere, is not trained again. Whoever is interrupted goes on.
"""

import hashlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from statistics import fmean
from typing import TYPE_CHECKING, Any

from db import studies
from db.models import ENDED, RunStatus
from db.reads import comparison
from db.studies import Found
from engine.errors import UserError
from engine.search_space import Range, Search
from engine.study import Cell, Study, at_point, cells, point_in_words
from tasks.queue.place import ANYWHERE, Place
from tasks.settings import open_database, settings
from tasks.study import extend_study, wanted_cells

if TYPE_CHECKING:
    from optuna import Study as OptunaStudy
    from optuna.trial import FrozenTrial, Trial

OBJECTIVES = ("natural_error", "worst_robust_error")
"""Both are minimised, on the search split."""
POLL_SECONDS = 2.0
_RUNS = "runs"
"""Where a trial keeps the ids of its runs, by the seed."""


@dataclass(frozen=True)
class Tried:
    """A setting that was tried.

    Attributes:
        scenario: As the file calls it.
        method: As the file calls it.
        point: The setting: values by their paths.
        errors: `OBJECTIVES`, mean over the seeds.
    """

    scenario: str
    method: str
    point: dict[str, Any]
    errors: tuple[float, float]


@dataclass(frozen=True)
class _Front:
    """One scenario and method: what is asked, and what is under way."""

    scenario: str
    method: str
    asked: "OptunaStudy"
    waiting: list["Trial | FrozenTrial"] = field(default_factory=list)

    @property
    def num_done(self) -> int:
        return sum(trial.state.is_finished() for trial in self.asked.trials)


def search_name(study: Study) -> str:
    """Return the name of the study that the tried settings are cells of."""
    return _named(study, ", search")


def _named(study: Study, end: str) -> str:
    return f"{study.name[: studies.NAME_LENGTH - len(end)]}{end}"


def search(
    study: Study,
    *,
    actor: str,
    parallel: int,
    told: Callable[[str], None],
    place: Place = ANYWHERE,
) -> list[Tried]:
    """Try settings until each scenario and method has had its number; return the fronts.

    Args:
        study: With a table ``search``.
        actor: Who asks.
        parallel: Settings that are under way at once, over all.
        told: Is told of each setting that ended, in one line.
        place: Where the runs are done.

    Raises:
        UserError: The study has no such table, or a setting cannot be.
    """
    table = _table_of(study)
    _require_possible(study)
    fronts = list(_fronts(study, table))
    while any(front.waiting or front.num_done < table.trials for front in fronts):
        _ask(study, table, fronts, parallel=parallel, actor=actor, place=place)
        if not any(_tell(front, told) for front in fronts):
            time.sleep(POLL_SECONDS)
    return [tried for front in fronts for tried in _best(front)]


def _table_of(study: Study) -> Search:
    if study.search is None:
        raise UserError("search: is required; write [search.space.METHOD] with ranges of settings")
    return study.search


def _require_possible(study: Study) -> None:
    """Refuse a file of which some setting cannot be, before anything is queued."""
    table = _table_of(study)
    for method, ranges in table.space.items():
        point = {path: values.first for path, values in ranges.items()}
        for scenario in _scenarios_of(study, method):
            _cells(study, scenario, method, point=point)


def _scenarios_of(study: Study, method: str) -> list[str]:
    only = study.methods[method].get("scenarios", list(study.scenarios))
    return [scenario for scenario in study.scenarios if scenario in only]


def _cells(study: Study, scenario: str, method: str, *, point: dict[str, Any]) -> list[Cell]:
    """Return the runs of one setting, one for each seed of the search."""
    table = _table_of(study)
    data = {**study.base.get("data", {}), "search_per_class": table.per_class}
    sweep = {path: [value] for path, value in point.items()}
    one = study.model_copy(
        update={
            "seeds": table.seeds,
            "base": {**study.base, "data": data},
            "scenarios": {scenario: study.scenarios[scenario]},
            "methods": {method: {**study.methods[method], "sweep": sweep}},
        }
    )
    return cells(one)


def _fronts(study: Study, table: Search) -> Iterator[_Front]:
    """Yield what is to be searched, with what an earlier call left under way."""
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    folder = settings().data_dir / "searches"
    folder.mkdir(exist_ok=True)
    storage = JournalStorage(JournalFileBackend(str(folder / "optuna.log")))
    kinds = {"tpe": optuna.samplers.TPESampler, "nsga2": optuna.samplers.NSGAIISampler}
    for scenario in study.scenarios:
        for method in table.space:
            if scenario not in _scenarios_of(study, method):
                continue
            asked = optuna.create_study(
                study_name=_identity(study, scenario, method),
                storage=storage,
                directions=["minimize"] * len(OBJECTIVES),
                load_if_exists=True,
            )
            # Another seed each time, or what was proposed before is proposed again.
            asked.sampler = kinds[table.sampler](seed=table.seeds[0] + len(asked.trials))
            states = (optuna.trial.TrialState.RUNNING,)
            left = asked.get_trials(deepcopy=False, states=states)
            yield _Front(scenario, method, asked, [t for t in left if _RUNS in t.user_attrs])


def _identity(study: Study, scenario: str, method: str) -> str:
    """Return what an Optuna study is called: what its settings do is a part of it."""
    ranges = _table_of(study).space[method]
    point = {path: values.first for path, values in ranges.items()}
    said = [values.model_dump_json() for values in ranges.values()]
    said += [cell.scenario.digest() for cell in _cells(study, scenario, method, point=point)]
    digest = hashlib.sha256("".join(said).encode()).hexdigest()[:8]
    return f"{study.name} / {scenario} / {method} / {digest}"


def _ask(
    study: Study,
    table: Search,
    fronts: list[_Front],
    *,
    parallel: int,
    actor: str,
    place: Place,
) -> None:
    """Have settings proposed and queued until enough are under way, front by front in turn."""
    while sum(len(front.waiting) for front in fronts) < parallel:
        free = [f for f in fronts if f.num_done + len(f.waiting) < table.trials]
        if not free:
            return
        front = min(free, key=lambda one: one.num_done + len(one.waiting))
        trial = front.asked.ask()
        point = {
            path: _suggested(trial, path, values)
            for path, values in table.space[front.method].items()
        }
        found = _cells(study, front.scenario, front.method, point=point)
        extend_study(search_name(study), found, actor=actor, place=place)
        trial.set_user_attr(_RUNS, _run_ids(search_name(study), found))
        trial.set_user_attr("point", point)
        front.waiting.append(trial)


def _suggested(trial: "Trial", path: str, values: Range) -> Any:
    if values.choices:
        return trial.suggest_categorical(path, list(values.choices))
    assert values.low is not None
    assert values.high is not None
    if values.whole:
        return trial.suggest_int(path, round(values.low), round(values.high), log=values.log)
    return values.value(trial.suggest_float(path, values.low, values.high, log=values.log))


def _run_ids(name: str, found: list[Cell]) -> list[str]:
    """Return the ids of the runs of cells that a study has."""
    with open_database().read() as session:
        there = studies.look_up(session, name, wanted_cells(found), numerics=0)
    return [run_id for origin, run_id in there if origin is Found.THERE and run_id is not None]


def _tell(front: _Front, told: Callable[[str], None]) -> bool:
    """Tell Optuna of each setting whose runs have all ended; return whether there was one."""
    from optuna.trial import TrialState

    ended = False
    for trial in list(front.waiting):
        errors = _errors(trial.user_attrs[_RUNS])
        if errors is None:
            continue
        front.waiting.remove(trial)
        ended = True
        point = point_in_words(trial.user_attrs["point"])
        name = ", ".join(filter(None, (front.method, point, front.scenario)))
        if not errors:
            front.asked.tell(trial.number, state=TrialState.FAIL)
            told(f"{name}: failed or was stopped")
            continue
        front.asked.tell(trial.number, list(errors))
        said = ", ".join(f"{100 * error:.1f}" for error in errors)
        told(f"{name}: natural, worst robust error {said} %")
    return ended


def _errors(run_ids: list[str]) -> tuple[float, ...] | None:
    """Return the mean errors of runs; nothing of runs that failed; None while one has not ended."""
    with open_database().read() as session:
        stands = studies.statuses_of(session, run_ids)
        if any(stands.get(run_id) not in (*ENDED, None) for run_id in run_ids):
            return None
        if any(stands.get(run_id) is not RunStatus.SUCCEEDED for run_id in run_ids):
            return ()
        table = comparison.overall_errors(session, run_ids, "test", names=OBJECTIVES)
    return tuple(fmean(table.loc[table["name"] == name, "value"]) for name in OBJECTIVES)


def _best(front: _Front) -> list[Tried]:
    """Return the settings that no other dominates, least natural error first."""
    best = sorted(front.asked.best_trials, key=lambda trial: trial.values)
    return [
        Tried(
            front.scenario,
            front.method,
            trial.user_attrs["point"],
            (trial.values[0], trial.values[1]),
        )
        for trial in best
    ]


def chosen_study(study: Study, fronts: list[Tried]) -> dict[str, Any]:
    """Return the study of the found settings: each a row, on the test images and the seeds."""
    methods: dict[str, dict[str, Any]] = {}
    for tried in fronts:
        fields = {"name": tried.method, **study.methods[tried.method]}
        row = methods.setdefault(
            f"{tried.method}, {point_in_words(tried.point)}",
            {**at_point(fields, tried.point), "family": tried.method, "scenarios": []},
        )
        row["scenarios"].append(tried.scenario)
    found = {"name": _named(study, ", found"), "seeds": list(study.seeds), "base": study.base}
    if list(study.scenarios) == [""]:
        for row in methods.values():
            del row["scenarios"]
        return {**found, "methods": methods}
    return {**found, "scenarios": dict(study.scenarios), "methods": methods}
