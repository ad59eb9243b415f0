"""The messages in the broker's queues: one a waiting run, and nothing else.

What cannot be read (see `tasks.queue.message`) is set aside after one look.
"""

import contextlib
import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import redis

from tasks.queue import broker
from tasks.queue.message import UnreadableError, message, task_id_in
from tasks.queue.sent_event import sent_event
from tasks.queue_names import at_broker, from_broker
from tasks.settings import settings

PREFIX = "caat:"
"""Of every key of ours, as other programs may use the same broker."""
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


@dataclass(frozen=True)
class Waiting:
    """A run that waits: its task id, and in which queue."""

    task: str
    queue: str

    @property
    def key(self) -> str:
        return key_of(self.queue)

    @property
    def entry(self) -> bytes:
        return message(self.task, self.queue)


def key_of(queue: str) -> str:
    """Return where the broker keeps a queue."""
    return f"{PREFIX}{at_broker(queue)}"


def send(waiting: Iterable[Waiting]) -> None:
    """Put the message of each into its queue, unless it waits there already.

    Raises:
        redis.exceptions.RedisError: The broker did not answer.
    """
    wanted = list(waiting)
    if not wanted:
        return
    with _broker() as client:
        try:
            missing = _missing(client, wanted)
        except redis.exceptions.ResponseError as error:
            repair_keys(client, error)
            missing = wanted
        pipe = client.pipeline()
        for one in missing:  # never twice, whoever sends meanwhile
            pipe.lrem(one.key, 0, one.entry).lpush(one.key, one.entry)
            pipe.publish(_events(client), sent_event(one.task, one.queue))
        pipe.execute()


def _events(client: Client) -> str:
    """Return where Celery's tools listen for events of what is sent."""
    return f"{PREFIX}/{client.get_connection_kwargs().get('db', 0)}.celeryev/task.sent"


def _missing(client: Client, wanted: list[Waiting]) -> list[Waiting]:
    pipe = client.pipeline(transaction=False)
    for one in wanted:
        pipe.execute_command("LPOS", one.key, one.entry)
    return [one for one, place in zip(wanted, pipe.execute(), strict=True) if place is None]


def withdraw(one: Waiting) -> None:
    """Take a message out of its queue, as its run does not wait there any more; best effort."""
    with contextlib.suppress(redis.exceptions.RedisError), _broker() as client:
        client.lrem(one.key, 0, one.entry)


def remove_surplus(numbers: Mapping[str, int], waiting: Callable[[], Iterable[Waiting]]) -> None:
    """Take out what is more than one message for each waiting run, where there is more.

    Args:
        numbers: How many runs wait in each queue.
        waiting: Gives them; asked after the messages were read, so that a run whose message was
            read is among them.

    Raises:
        redis.exceptions.RedisError: The broker did not answer.
    """
    with _broker() as client:
        try:
            found = [
                (Waiting(task, queue), entry)
                for queue, number in numbers.items()
                if client.llen(key_of(queue)) > number
                for entry, task in _entries(client, key_of(queue))
            ]
        except redis.exceptions.ResponseError as error:
            return repair_keys(client, error)
        known, seen = set(waiting()) if found else set(), set[Waiting]()
        for one, entry in found:
            if one not in known or one in seen:
                client.lrem(one.key, 1, entry)
            seen.add(one)
    return None


def _entries(client: Client, key: str) -> Iterator[tuple[bytes, str]]:
    """Give a queue's messages with their task ids; set the others aside."""
    for start in range(0, client.llen(key), _AT_ONCE):
        for entry in client.lrange(key, start, start + _AT_ONCE - 1):
            try:
                yield entry, task_id_in(entry)
            except UnreadableError as error:
                if client.lrem(key, 1, entry):  # else another was first, and counts it
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


def repair_keys(client: Client, error: redis.exceptions.ResponseError) -> None:
    """Put away what stands in the place of queues of ours and is none.

    Raises:
        redis.exceptions.ResponseError: The error was about something else.
    """
    if "WRONGTYPE" not in str(error):
        raise error
    for key in client.scan_iter(match=f"{PREFIX}*", count=1000):
        if from_broker(key.decode("utf-8", "replace").removeprefix(PREFIX)) is None:
            continue
        kind = client.type(key).decode()
        if kind not in ("list", "none"):
            client.delete(key)
            set_aside(client, b"", f"a queue's key held a {kind}")


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
