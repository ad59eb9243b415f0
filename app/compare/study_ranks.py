"""The rows of a study ranked over all its scenarios and seeds together."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from app.compare.contest import by_seed
from app.compare.study import StudyTable
from engine.evaluation.ranks import Ranks, cliques, ranks


@dataclass(frozen=True)
class StudyRanks:
    """Average ranks of what every scenario has.

    Attributes:
        rows: title, method, rank, last_level (`app.charts.average_ranks`), n; best first.
        found: The test behind them.
        left_out: Titles that not every scenario has.
    """

    rows: pd.DataFrame
    found: Ranks
    left_out: list[str]


def study_ranks(tables: Sequence[StudyTable], name: str) -> StudyRanks | None:
    """Rank by one measure within each scenario and seed; None where there are not two of both.

    Scenarios measured otherwise than the first are left out, and so are seeds that some row lacks.
    """
    alike = [table for table in tables if table.protocol == tables[0].protocol]
    known = [{row["title"]: row for row in table.rows.to_dict("records")} for table in alike]
    every = list(dict.fromkeys(title for rows in known for title in rows))
    common = [title for title in every if all(title in rows for rows in known)]
    settings = []
    for rows in known if len(common) > 1 else ():
        seeds = [by_seed(rows[title], name) for title in common]
        shared = set.intersection(*(set(found) for found in seeds))
        settings += [[found[seed] for found in seeds] for seed in sorted(shared)]
    values = [errors for errors in settings if not np.isnan(errors).any()]
    if len(values) < 2:
        return None
    found = ranks(values)
    sets = cliques(found.mean, found.critical_difference)
    last = {members[0]: found.mean[members[-1]] for members in sets}
    table = pd.DataFrame(
        {
            "title": common,
            "method": [known[0][title]["method"] for title in common],
            "rank": found.mean,
            "last_level": [last.get(place, np.nan) for place in range(len(common))],
            "n": found.n,
        }
    )
    left_out = [title for title in every if title not in common]
    return StudyRanks(table.sort_values("rank", ignore_index=True), found, left_out)
