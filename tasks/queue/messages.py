"""The messages in the broker's queue: one a waiting run, and nothing else.

What cannot be read (see `tasks.queue.message`) is set aside after one look.
"""

import contextlib
import logging
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import redis

from tasks.queue import broker
from tasks.queue.message import QUEUE, UnreadableError, message, task_id_in
from tasks.queue.sent_event import sent_event
from tasks.settings import settings

PREFIX = "caat:"
"""Of every key of ours, as other programs may use the same broker."""
KEY = f"{PREFIX}{QUEUE}"
SET_ASIDE = f"{PREFIX}set-aside"
"""The newest messages that could not be read, shortened."""
SET_ASIDE_COUNT = f"{PREFIX}set-aside-count"
"""How many there were since they were last forgotten."""

_MOST_KEPT, _MOST_SHOWN = 100, 300
_AT_ONCE = 20
_QUIET_SECONDS = 60.0
"""Of messages that are set aside the log tells once in so long."""

Client = Any
"""A client of the broker: redis.Redis, whose types know no bytes."""

log = logging.getLogger(__name__)
_told_at = float("-inf")


@dataclass(frozen=True)
class SetAside:
    """The messages that could not be read.

    Attributes:
        count: How many there were since they were last forgotten.
        newest: The newest of them first: why, and how each began; at most a hundred.
    """

    count: int
    newest: list[str]


def send(tasks: Iterable[str]) -> None:
    """Put the message of each of these task ids into the queue, unless it waits there already.

    Raises:
        redis.exceptions.RedisError: The broker did not answer.
    """
    messages = {message(task): task for task in tasks}
    if not messages:
        return
    with _broker() as client:
        try:
            missing = _missing(client, list(messages))
        except redis.exceptions.ResponseError as error:
            repair_key(client, error)
            missing = list(messages)
        pipe = client.pipeline()
        for one in missing:
            pipe.lrem(KEY, 0, one).lpush(KEY, one)  # never twice, whoever sends meanwhile
            pipe.publish(_events(client), sent_event(messages[one]))
        pipe.execute()


def _events(client: Client) -> str:
    """Return where Celery's tools listen for events of what is sent."""
    return f"{PREFIX}/{client.get_connection_kwargs().get('db', 0)}.celeryev/task.sent"


def _missing(client: Client, messages: list[bytes]) -> list[bytes]:
    pipe = client.pipeline(transaction=False)
    for one in messages:
        pipe.execute_command("LPOS", KEY, one)
    return [one for one, place in zip(messages, pipe.execute(), strict=True) if place is None]


def withdraw(task: str) -> None:
    """Take a task's message out of the queue, as its run waits no longer; best effort."""
    with contextlib.suppress(redis.exceptions.RedisError), _broker() as client:
        client.lrem(KEY, 0, message(task))


def remove_surplus(num_waiting: int, waiting: Callable[[], Iterable[str]]) -> None:
    """Take out what is more than one message for each waiting run, if there is more.

    Args:
        num_waiting: How many runs wait.
        waiting: Gives their task ids; asked after the messages were read, so that a run whose
            message was read is among them.

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
        for entry, task in found:
            if task not in known or task in seen:
                client.lrem(KEY, 1, entry)
            seen.add(task)
    return None


def _entries(client: Client) -> Iterator[tuple[bytes, str]]:
    """Give the queue's messages with their task ids; set the others aside."""
    for start in range(0, client.llen(KEY), _AT_ONCE):
        for entry in client.lrange(KEY, start, start + _AT_ONCE - 1):
            try:
                yield entry, task_id_in(entry)
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
