"""What a person does to many runs at once, run by run, and the sentence that answers."""

from collections import Counter
from collections.abc import Callable, Sequence

from db import studies
from db.errors import DatabaseError
from engine.errors import UserError
from engine.names import require_name
from tasks import commands
from tasks.jobs import submit_evaluation
from tasks.results.request import EvaluationRequest
from tasks.settings import open_database

MOST_TOLD = 3
"""Kinds of answers that a sentence names."""
LONGEST_STUDY = 200


def stop(run_ids: Sequence[str], actor: str) -> str:
    return _each(run_ids, lambda run_id: commands.stop(run_id, actor))


def resume(run_ids: Sequence[str], actor: str) -> str:
    return _each(run_ids, lambda run_id: commands.resume(run_id, actor))


def delete(run_ids: Sequence[str], actor: str) -> str:
    return _each(run_ids, lambda run_id: commands.delete(run_id, actor))


def evaluate(run_ids: Sequence[str], actor: str, *, attack: str) -> str:
    """Queue an evaluation of each run under one attack, with its usual knobs."""

    def ask(run_id: str) -> str:
        found = submit_evaluation(run_id, EvaluationRequest(attack=attack), actor=actor)
        return "Evaluation queued" if found.created else "Evaluation asked for already"

    return _each(run_ids, ask)


def add_to_study(run_ids: Sequence[str], study: str) -> str:
    """Have a study share runs, which stay those of the study that launched them.

    Raises:
        UserError: A study cannot be called so; nothing was changed.
    """
    name = study.strip()
    if not name:
        raise UserError("study: no name is given")
    if len(name) > LONGEST_STUDY:
        raise UserError(f"study: {len(name):,} letters, of which {LONGEST_STUDY} are stored")
    try:
        require_name(name)
    except ValueError as error:
        raise UserError(f"study: {error}") from None
    with open_database().write() as session:
        added = studies.share(session, name, run_ids)
    return f"{added} of {len(run_ids)} runs added to the study '{name}'"


def _each(run_ids: Sequence[str], do: Callable[[str], str]) -> str:
    """Do it to each run; a refusal of one is counted and stops no other."""
    answers: Counter[str] = Counter()
    for done, run_id in enumerate(run_ids):
        try:
            answers[do(run_id).replace(run_id, "the run")] += 1
        except UserError as error:
            answers[f"Refused: {str(error).replace(run_id, 'the run')}"] += 1
        except DatabaseError as error:
            answers[f"Left out as the database does not answer ({error})"] += len(run_ids) - done
            break
    told = [f"{number} × {answer}" for answer, number in answers.most_common(MOST_TOLD)]  # noqa: RUF001
    more = len(answers) - len(told)
    return "; ".join(told) + (f"; and {more} other answers" if more else "")
