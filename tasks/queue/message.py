"""One message: a queued run's task id in the words of Celery's protocol, and nothing else.

Whoever reaches the broker may write anything into it. So a message is never acted upon: a task id
is read from it, and all else comes from here.
"""

import base64
import json
import re
from typing import Any

from db.models import DEFAULT_QUEUE
from tasks.queue_names import at_broker

TASK = "tasks.train.train_run"

MOST_BYTES = 16_384
"""Ours have 700; what is longer is refused before it is parsed."""
_RUN_ID = re.compile(r"[0-9a-f]{32}")
_TASK_ID = re.compile(r"([0-9a-f]{32})\.([1-9][0-9]{0,8})")
_ASKS_FOR_MORE = ("eta", "expires", "group", "chord", "stamped_headers", "compression")


class UnreadableError(ValueError):
    """The message is none of ours; the text says in what."""


def task_id(run_id: str, times_queued: int) -> str:
    """Return what Celery calls a run that was queued so many times by now.

    It is another one with each time, since Celery throws away for ever what was revoked once.
    """
    return f"{run_id}.{times_queued}"


def run_of(task: str) -> tuple[str, int]:
    """Return the run of a task id, and how many times it was queued.

    Raises:
        UnreadableError: It is not the id of a task of ours.
    """
    found = _TASK_ID.fullmatch(task)
    if not found:
        raise UnreadableError("its id is not that of a queued run")
    return found[1], int(found[2])


def message(task: str, queue: str = DEFAULT_QUEUE) -> bytes:
    """Return a task's message in a queue, the same bytes each time, so that it can be found."""
    run_id, _ = run_of(task)
    nothing = {"callbacks": None, "errbacks": None, "chain": None, "chord": None}
    body = base64.b64encode(json.dumps([[run_id], {}, nothing]).encode()).decode()
    return json.dumps(
        {
            "body": body,
            "content-encoding": "utf-8",
            "content-type": "application/json",
            "headers": {
                "lang": "py",
                "task": TASK,
                "id": task,
                "root_id": task,
                "parent_id": None,
                "eta": None,
                "expires": None,
                "group": None,
                "retries": 0,
                "timelimit": [None, None],
                "argsrepr": f"['{run_id}']",
                "kwargsrepr": "{}",
            },
            "properties": {
                "correlation_id": task,
                "delivery_mode": 2,
                "delivery_info": {"exchange": "", "routing_key": at_broker(queue)},
                "priority": 0,
                "body_encoding": "base64",
                "delivery_tag": task,
            },
        }
    ).encode()


def task_id_in(entry: bytes) -> str:
    """Return the task id in an entry of the queue.

    Raises:
        UnreadableError: It is not the message of a run, or asks for more than one.
    """
    if len(entry) > MOST_BYTES:
        raise UnreadableError(f"it has {len(entry):,} bytes, ours have at most {MOST_BYTES:,}")
    told = mapping(as_json(entry), "it")
    headers = mapping(told.get("headers"), "its headers")
    if headers.get("task") != TASK:
        raise UnreadableError("it names another task than ours")
    if told.get("content-type") != "application/json":
        raise UnreadableError("its content is not JSON by its own word")
    more = [name for name in _ASKS_FOR_MORE if headers.get(name)]
    if more:
        raise UnreadableError(f"it asks for more than a message of ours: {', '.join(more)}")
    task = headers.get("id")
    run_id, _ = run_of(task if isinstance(task, str) else "")
    if _argument(body_of(told)) != run_id:
        raise UnreadableError("its id is that of another run than its argument")
    return str(task)


def body_of(told: dict[str, Any]) -> Any:
    """Return what the body of a message holds.

    Raises:
        UnreadableError: It cannot be decoded.
    """
    encoding = mapping(told.get("properties"), "its properties").get("body_encoding")
    body = told.get("body")
    if not isinstance(body, str):
        raise UnreadableError("its body is no text")
    if encoding is None:
        return as_json(body.encode("utf-8", "replace"))
    if encoding != "base64":
        raise UnreadableError("its body is in an unknown encoding")
    try:
        return as_json(base64.b64decode(body, validate=True))
    except ValueError as error:
        raise UnreadableError("its body cannot be decoded") from error


def _argument(body: Any) -> str:
    shape = (list, dict, dict)
    if not isinstance(body, list) or tuple(map(type, body)) != shape:
        raise UnreadableError("its body is no list of arguments")
    arguments, named, embedded = body
    if len(arguments) != 1 or named or any(embedded.values()):
        raise UnreadableError("its arguments are not one run's id and nothing else")
    if not isinstance(arguments[0], str) or not _RUN_ID.fullmatch(arguments[0]):
        raise UnreadableError("its argument is no run's id")
    return arguments[0]


def mapping(value: Any, what: str) -> dict[str, Any]:
    """Return a JSON object, named in the refusal if it is none."""
    if not isinstance(value, dict):
        raise UnreadableError(f"{what} cannot be read as a JSON object")
    return value


def as_json(data: bytes) -> Any:
    """Return what JSON says; None if it is none."""
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        return None  # which no caller takes for what it wants
