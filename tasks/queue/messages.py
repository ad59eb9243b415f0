"""The messages in the broker's queue: one a waiting run, and nothing else.

Whoever reaches the broker may write anything into it. So a message is never acted upon: a run's id
is read from it, and all else comes from here. What cannot be read is set aside after one look.
"""

import base64
import contextlib
import json
import logging
import re
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import redis

from tasks.queue import broker
from tasks.settings import settings

TASK = "tasks.train.train_run"
QUEUE = "caat"
PREFIX = "caat:"
"""Of every key of ours, as other programs may use the same broker."""
KEY = f"{PREFIX}{QUEUE}"
SET_ASIDE = f"{PREFIX}set-aside"
"""The newest messages that could not be read, shortened."""
SET_ASIDE_COUNT = f"{PREFIX}set-aside-count"
"""How many there were since they were last forgotten."""

MOST_BYTES = 16_384
"""Ours have 700; what is longer is set aside before it is parsed."""
_MOST_KEPT, _MOST_SHOWN = 100, 300
_AT_ONCE = 20
_RUN_ID = re.compile(r"[0-9a-f]{32}")
_ASKS_FOR_MORE = ("eta", "expires", "group", "chord", "stamped_headers", "compression")
_QUIET_SECONDS = 60.0
"""Of messages that are set aside the log tells once in so long."""

Client = Any
"""A client of the broker: redis.Redis, whose types know no bytes."""

log = logging.getLogger(__name__)
_told_at = float("-inf")


class UnreadableError(ValueError):
    """The message is none of ours; the text says in what."""


@dataclass(frozen=True)
class SetAside:
    """The messages that could not be read.

    Attributes:
        count: How many there were since they were last forgotten.
        newest: The newest of them first: why, and how each began; at most a hundred.
    """

    count: int
    newest: list[str]


def message(run_id: str) -> bytes:
    """Return a run's message, the same bytes each time, so that the broker can look for it."""
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
                "id": run_id,
                "root_id": run_id,
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
                "correlation_id": run_id,
                "delivery_mode": 2,
                "delivery_info": {"exchange": "", "routing_key": QUEUE},
                "priority": 0,
                "body_encoding": "base64",
                "delivery_tag": run_id,
            },
        }
    ).encode()


def run_id_in(entry: bytes) -> str:
    """Return the run's id in an entry of the queue.

    Raises:
        UnreadableError: It is not the message of a run, or asks for more than one.
    """
    if len(entry) > MOST_BYTES:
        raise UnreadableError(f"it has {len(entry):,} bytes, ours have at most {MOST_BYTES:,}")
    told = _mapping(_json(entry), "it")
    headers = _mapping(told.get("headers"), "its headers")
    if headers.get("task") != TASK:
        raise UnreadableError("it names another task than ours")
    if told.get("content-type") != "application/json":
        raise UnreadableError("its content is not JSON by its own word")
    more = [name for name in _ASKS_FOR_MORE if headers.get(name)]
    if more:
        raise UnreadableError(f"it asks for more than a message of ours: {', '.join(more)}")
    return _argument(_body(told))


def _body(told: dict[str, Any]) -> Any:
    encoding = _mapping(told.get("properties"), "its properties").get("body_encoding")
    body = told.get("body")
    if not isinstance(body, str):
        raise UnreadableError("its body is no text")
    if encoding is None:
        return _json(body.encode("utf-8", "replace"))
    if encoding != "base64":
        raise UnreadableError("its body is in an unknown encoding")
    try:
        return _json(base64.b64decode(body, validate=True))
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


def _mapping(value: Any, what: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise UnreadableError(f"{what} cannot be read as a JSON object")
    return value


def _json(data: bytes) -> Any:
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        return None  # which no caller takes for what it wants


def send(run_ids: Iterable[str]) -> None:
    """Put a message for each of these runs into the queue, unless it waits there already.

    Raises:
        redis.exceptions.RedisError: The broker did not answer.
    """
    messages = [message(run_id) for run_id in run_ids]
    if not messages:
        return
    with _broker() as client:
        try:
            missing = _missing(client, messages)
        except redis.exceptions.ResponseError as error:
            repair_key(client, error)
            missing = messages
        pipe = client.pipeline()
        for one in missing:
            pipe.lrem(KEY, 0, one).lpush(KEY, one)  # never twice, whoever sends meanwhile
        pipe.execute()


def _missing(client: Client, messages: list[bytes]) -> list[bytes]:
    pipe = client.pipeline(transaction=False)
    for one in messages:
        pipe.execute_command("LPOS", KEY, one)
    return [one for one, place in zip(messages, pipe.execute(), strict=True) if place is None]


def withdraw(run_id: str) -> None:
    """Take a run's message out of the queue, as the run waits no longer; best effort."""
    with contextlib.suppress(redis.exceptions.RedisError), _broker() as client:
        client.lrem(KEY, 0, message(run_id))


def remove_surplus(num_waiting: int, waiting: Callable[[], Iterable[str]]) -> None:
    """Take out what is more than one message for each waiting run, if there is more.

    Args:
        num_waiting: How many runs wait.
        waiting: Gives their ids; asked after the messages were read, so that a run whose message
            was read is among them.

    Raises:
        redis.exceptions.RedisError: The broker did not answer.
    """
    with _broker() as client:
        try:
            if client.llen(KEY) <= num_waiting:
                return None
        except redis.exceptions.ResponseError as error:
            return repair_key(client, error)
        found = list(_entries(client))
        known, seen = set(waiting()), set[str]()
        for entry, run_id in found:
            if run_id not in known or run_id in seen:
                client.lrem(KEY, 1, entry)
            seen.add(run_id)
    return None


def _entries(client: Client) -> Iterator[tuple[bytes, str]]:
    """Give the queue's messages with their runs; set the others aside."""
    for start in range(0, client.llen(KEY), _AT_ONCE):
        for entry in client.lrange(KEY, start, start + _AT_ONCE - 1):
            try:
                yield entry, run_id_in(entry)
            except UnreadableError as error:
                if client.lrem(KEY, 1, entry):  # else another was first, and counts it
                    set_aside(client, entry, str(error))


def set_aside(client: Client, entry: bytes, reason: str) -> None:
    """Keep the beginning of a message that could not be read, and count it."""
    global _told_at
    at = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime())
    note = f"{at} UTC, {reason}: {entry[:_MOST_SHOWN]!r}"
    if time.monotonic() >= _told_at + _QUIET_SECONDS:
        log.warning("A message could not be read and was set aside: %s", reason)
        _told_at = time.monotonic()
    for _ in range(2):
        try:
            pipe = client.pipeline()
            pipe.lpush(SET_ASIDE, note).ltrim(SET_ASIDE, 0, _MOST_KEPT - 1).incr(SET_ASIDE_COUNT)
            pipe.execute()
        except redis.exceptions.ResponseError:
            client.delete(SET_ASIDE, SET_ASIDE_COUNT)  # someone put something else there
        else:
            return


def repair_key(client: Client, error: redis.exceptions.ResponseError) -> None:
    """Put away what stands in the queue's place and is no queue.

    Raises:
        redis.exceptions.ResponseError: The error was about something else.
    """
    if "WRONGTYPE" not in str(error):
        raise error
    kind = client.type(KEY).decode()
    if kind in ("list", "none"):  # mended already
        return
    client.delete(KEY)
    set_aside(client, b"", f"the queue's key held a {kind}")


def set_aside_messages() -> SetAside:
    """Return what was set aside.

    Raises:
        redis.exceptions.RedisError: The broker did not answer.
    """
    with _broker() as client:
        try:
            newest = client.lrange(SET_ASIDE, 0, _MOST_KEPT - 1)
            count = int(client.get(SET_ASIDE_COUNT) or 0)
        except (redis.exceptions.ResponseError, ValueError):
            return SetAside(0, [])  # the next one that is set aside puts it right
    return SetAside(max(count, len(newest)), [_printable(note) for note in newest])


def _printable(note: bytes) -> str:
    """Return what can be shown anywhere, as others may write into the list too."""
    told = note[: 10 * _MOST_SHOWN].decode("ascii", "replace")
    return "".join(letter if letter.isprintable() else "?" for letter in told)


def forget() -> None:
    """Forget the messages that were set aside.

    Raises:
        redis.exceptions.RedisError: The broker did not answer.
    """
    with _broker() as client:
        client.delete(SET_ASIDE, SET_ASIDE_COUNT)


@contextlib.contextmanager
def _broker() -> Iterator[Client]:
    with contextlib.closing(broker.client(settings().broker_url)) as client:
        yield client
