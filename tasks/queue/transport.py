"""Celery's transport for Redis, narrowed: of a message nothing but a run's id is read.

All that is in the broker under our names is one list. Everything else that Celery would keep there
and read back (bindings, priorities, unacknowledged messages, remote control) is left out, so that
nothing can be put into it.
"""

import functools
from typing import Any
from uuid import uuid4

import redis
from kombu.transport import TRANSPORT_ALIASES
from kombu.transport.redis import Channel as RedisChannel
from kombu.transport.redis import PrefixedStrictRedis
from kombu.transport.redis import Transport as RedisTransport

from tasks.queue.messages import (
    PREFIX,
    QUEUE,
    UnreadableError,
    message,
    repair_key,
    run_id_in,
    set_aside,
)


class Client(PrefixedStrictRedis):
    """What the worker's consumer reads with."""

    def parse_response(self, connection: Any, command_name: str, **options: Any) -> Any:
        """Return the answer; a message that was popped only in our own words."""
        if command_name != "BRPOP":
            return self._answer(connection, command_name, **options)
        try:
            popped = self._answer(connection, command_name, **options)
        except redis.exceptions.ResponseError as error:
            repair_key(self._plain(), error)
            return None
        return popped and self._in_our_words(*popped)

    def _answer(self, *words: Any, **options: Any) -> Any:
        return super().parse_response(*words, **options)  # type: ignore[no-untyped-call]

    def _in_our_words(self, key: bytes, entry: bytes) -> tuple[bytes, bytes] | None:
        try:
            run_id = run_id_in(entry)
        except UnreadableError as error:
            set_aside(self._plain(), entry, str(error))
            return None
        mine = message(run_id).replace(
            f'"delivery_tag": "{run_id}"'.encode(), f'"delivery_tag": "{uuid4()}"'.encode()
        )
        return key, mine

    def _plain(self) -> "redis.Redis":
        return redis.Redis(connection_pool=self.connection_pool)


class Channel(RedisChannel):
    """One queue, under one key."""

    def _get_client(self) -> Any:
        return functools.partial(Client, global_keyprefix=PREFIX)

    def _queue_bind(self, *_: Any) -> None:
        """Keep no table of bindings."""

    def get_table(self, exchange: str) -> list[tuple[str, str, str]]:
        """Return the one binding that there is, whatever a table in the broker says."""
        return [(QUEUE, "", QUEUE)] if exchange in ("", QUEUE) else []

    def _size(self, queue: str) -> int:
        try:
            return int(super()._size(queue))  # type: ignore[no-untyped-call]
        except redis.exceptions.ResponseError as error:
            repair_key(redis.Redis(connection_pool=self.pool), error)
            return 0


class Transport(RedisTransport):
    """The transport of every Redis URL of this program."""

    Channel = Channel


def install() -> None:
    """Have Celery use this transport for every Redis URL."""
    for scheme in ("redis", "rediss"):
        TRANSPORT_ALIASES[scheme] = f"{__name__}:Transport"
