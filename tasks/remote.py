"""Commands to this worker from Celery's tools: what they may do, and what a revoke means here."""

from collections.abc import Callable
from typing import Any, NoReturn

from celery.exceptions import WorkerShutdown
from celery.worker.control import Panel

from db.errors import DatabaseError
from db.reads import placement
from tasks import commands
from tasks.processes.secrecy import without_secrets
from tasks.queue.command_message import ARGUMENTS, REFUSED
from tasks.queue.message import UnreadableError, run_of, task_id
from tasks.settings import open_database
from tasks.worker import housekeeping


def narrow() -> None:
    """Keep the commands that a worker obeys, put ours in the place of some, and hide secrets."""
    ours = {"revoke": revoke, "terminate": terminate, "shutdown": shutdown, REFUSED: refuse}
    kept = {name: Panel.data[name] for name in ARGUMENTS} | ours
    Panel.data = {name: _discreet(command) for name, command in kept.items()}


def _discreet(command: Callable[..., Any]) -> Callable[..., Any]:
    def answered(state: Any, **arguments: Any) -> Any:
        return _without_secrets(command(state, **arguments))

    return answered


def _without_secrets(answer: Any) -> Any:
    if isinstance(answer, dict):
        return {str(name): _without_secrets(value) for name, value in answer.items()}
    if isinstance(answer, list | tuple | set):
        return [_without_secrets(value) for value in answer]
    is_plain = answer is None or isinstance(answer, bool | int | float)
    return answer if is_plain else without_secrets(str(answer))


def refuse(state: Any, name: str) -> dict[str, str]:
    """Answer whoever asks for what a worker does not do."""
    return {
        "error": f"a worker of CAAT Studio does not obey {name}; it does {', '.join(ARGUMENTS)}"
    }


def revoke(state: Any, task_id: list[str], **_: Any) -> dict[str, str]:
    """Stop runs by the ids of their tasks, as the dashboard's Stop does; ``terminate`` or not."""
    return {"ok": "; ".join(f"{task}: {_stop(task, state.hostname)}" for task in task_id)}


def terminate(state: Any, task_id: list[str], **_: Any) -> dict[str, str]:
    """Do the same; a trainer is always asked before it is killed."""
    return revoke(state, task_id)


def shutdown(state: Any) -> NoReturn:
    """End this worker as SIGTERM does: its run goes on elsewhere."""
    housekeeping.draining.set()
    raise WorkerShutdown(0)


def _stop(task: str, hostname: str) -> str:
    try:
        run_id, times_queued = run_of(task)
        with open_database().read() as session:
            found = placement.tickets(session, [run_id])
        if not found:
            return "no such run"
        if found[0].times_queued != times_queued:
            return f"it is {task_id(run_id, found[0].times_queued)} by now"
        return commands.stop(run_id, f"celery, heard by {hostname}")
    except (UnreadableError, DatabaseError) as error:
        return str(error)
