"""A finished run, as pages and commands compare it."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from app.compare.protocol import Protocol, digest_of, protocol_of
from app.text.evaluation_card import threat_of
from db.models import FINAL
from db.reads.comparison import AttackedRow, FinishedRow
from engine.names import visible


@dataclass(frozen=True)
class Finished:
    """A finished run under one protocol, as the pages choose and group it."""

    id: str
    title: str
    method: str
    dataset: str
    seed: int
    protocol: Protocol
    protocol_id: str
    scenario_id: str
    """What runs share that differ in nothing but their seed and their name."""
    class_names: tuple[str, ...]
    evaluation: str = FINAL
    """The evaluation of this protocol."""
    made: datetime | None = None
    """When that was made, if it is not the one that ended the training."""
    scenario_name: str = ""
    """What the file of the study that was asked for calls its scenario."""
    cell_name: str = ""
    """And its method, with the point of a sweep."""
    family: str = ""
    """And the method alone."""
    place: int = 0
    """Of its cell in that file."""

    @property
    def label(self) -> str:
        """What the run is called where several may have one name."""
        parts = [self.title, f"seed {self.seed}", self.threat, self.id[:8]]
        return " · ".join(part for part in parts if part)

    @property
    def threat(self) -> str:
        """Norm and radius that its robust errors were measured in; nothing without a card."""
        return threat_of({}, self.protocol)


def shaped(row: FinishedRow) -> Finished:
    """Return a stored run with its protocol and with what it shares with its other seeds."""
    protocol = protocol_of(row.card, row.dataset, row.scenario)
    return Finished(
        id=row.id,
        title=visible(_title(row)),
        method=row.method,
        dataset=row.dataset,
        seed=row.seed,
        protocol=protocol,
        protocol_id=digest_of(protocol),
        scenario_id=_without_seed(row),
        class_names=tuple(visible(str(name)) for name in row.class_names or ()),
        scenario_name=visible(row.cell.scenario) if row.cell else "",
        cell_name=visible(row.cell.method) if row.cell else "",
        family=visible(row.cell.family) if row.cell else "",
        place=row.cell.place if row.cell else 0,
    )


def views(row: FinishedRow, attacks: Iterable[AttackedRow]) -> list[Finished]:
    """Return a stored run once for each protocol that it was measured by, its own test first.

    Args:
        row: The run.
        attacks: On it, newest first; of one protocol the newest counts, and its own test more.
    """
    own = shaped(row)
    found = {own.protocol_id: own}
    for attack in attacks:
        protocol = protocol_of(attack.card, row.dataset, row.scenario)
        key = digest_of(protocol)
        view = replace(
            own,
            protocol=protocol,
            protocol_id=key,
            evaluation=attack.name,
            made=attack.created_at,
        )
        found.setdefault(key, view)
    return list(found.values())


def _title(row: FinishedRow) -> str:
    """Return method and name: runs that are made to be compared often share a name."""
    if not row.name.strip():
        return f"{row.method} on {row.dataset}"
    return row.name if row.method in row.name else f"{row.method} · {row.name}"


def _without_seed(row: FinishedRow) -> str:
    same = {name: value for name, value in row.scenario.items() if name not in ("name", "seed")}
    return hashlib.sha256(json.dumps(same, sort_keys=True).encode()).hexdigest()[:8]
