"""Celery's transport for Redis, narrowed: of what is read nothing but ids and names is believed.

All that is in the broker under our names are lists of messages, those that a worker has not
acknowledged yet, and answers to Celery's commands. Everything else that Celery would keep there and
read back (bindings, priorities) is left out, so that nothing can be put into it.
"""

import functools
import json
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import redis
from kombu.transport import TRANSPORT_ALIASES
from kombu.transport.redis import Channel as RedisChannel
from kombu.transport.redis import PrefixedRedisPubSub, PrefixedStrictRedis
from kombu.transport.redis import QoS as RedisQoS
from kombu.transport.redis import Transport as RedisTransport

from db.models import DEFAULT_QUEUE
from tasks.queue.command_message import COMMANDS, REPLIES, command_in
from tasks.queue.message import UnreadableError, message, task_id_in
from tasks.queue.messages import PREFIX, repair_keys, set_aside
from tasks.queue_names import at_broker, from_broker

REPLY_SECONDS = 60
"""How long an answer waits for who asked."""


class PubSub(PrefixedRedisPubSub):
    """What commands to all workers are read with."""

    def parse_response(self, *given: Any, **named: Any) -> Any:
        """Return what was published; a command only in our own words."""
        answer = super().parse_response(*given, **named)
        if not answer or bytes(answer[0]) != b"pmessage" or COMMANDS.encode() not in answer[2]:
            return answer
        *where, entry = answer
        return [*where, self._in_our_words(entry)]

    def _in_our_words(self, entry: bytes) -> bytes:
        try:
            return command_in(entry)
        except UnreadableError as error:
            set_aside(redis.Redis(connection_pool=self.connection_pool), entry, str(error))
            return b""


class Client(PrefixedStrictRedis):
    """What the worker's consumer reads with."""

    def pubsub(self, **named: Any) -> PubSub:
        return PubSub(self.connection_pool, global_keyprefix=PREFIX, **named)

    def parse_response(self, connection: Any, command_name: str, **options: Any) -> Any:
        """Return the answer; a message that was popped only in our own words."""
        if command_name != "BRPOP":
            return self._answer(connection, command_name, **options)
        try:
            popped = self._answer(connection, command_name, **options)
        except redis.exceptions.ResponseError as error:
            repair_keys(self._plain(), error)
            return None
        queue = from_broker(bytes(popped[0]).decode("utf-8", "replace")) if popped else None
        if queue is None:  # nothing, or an answer for who asked
            return popped
        return self._in_our_words(queue, popped[1])

    def _answer(self, *words: Any, **options: Any) -> Any:
        return super().parse_response(*words, **options)

    def _in_our_words(self, queue: str, entry: bytes) -> tuple[bytes, bytes] | None:
        try:
            task = task_id_in(entry)
        except UnreadableError as error:
            set_aside(self._plain(), entry, str(error))
            return None
        mine = message(task, queue).replace(
            f'"delivery_tag": "{task}"'.encode(), f'"delivery_tag": "{uuid4()}"'.encode()
        )
        return at_broker(queue).encode(), mine

    def _plain(self) -> "redis.Redis":
        return redis.Redis(connection_pool=self.connection_pool)


class QoS(RedisQoS):
    """What was delivered and not acknowledged; it comes back after the visibility timeout."""

    def restore_by_tag(self, tag: Any, client: Any = None, leftmost: bool = False) -> None:
        """Put one back into the queue, in our own words; set it aside if it is none of ours."""

        def restore(pipe: Any) -> None:
            kept = pipe.hget(self.unacked_key, tag)
            pipe.multi()
            self._remove_from_indices(tag, pipe)
            if kept:
                self._restore(pipe, kept, leftmost=leftmost)

        with self.channel.conn_or_acquire(client) as client:
            client.transaction(restore, self.unacked_key)

    def _restore(self, pipe: Any, kept: bytes, *, leftmost: bool) -> None:
        try:
            entry, _exchange, key = json.loads(kept)
            queue = from_broker(str(key)) or DEFAULT_QUEUE
            mine = message(task_id_in(json.dumps(entry).encode()), queue)
        except (ValueError, TypeError, RecursionError) as error:
            set_aside(redis.Redis(connection_pool=self.channel.pool), kept, str(error)[:150])
        else:
            (pipe.lpush if leftmost else pipe.rpush)(at_broker(queue), mine)


class Channel(RedisChannel):
    """Each queue of ours under one key."""

    QoS = QoS

    def _get_client(self) -> Callable[..., Client]:
        return functools.partial(Client, global_keyprefix=PREFIX)

    def _queue_bind(self, exchange: str, routing_key: str, *names: str) -> None:
        """Keep no table of bindings in the broker."""
        _pattern, queue = names
        if self.typeof(exchange).type == "fanout":
            self._fanout_queues[queue] = (exchange, routing_key.replace("#", "*"))

    def _lookup(self, exchange: str, routing_key: str, default: str | None = None) -> list[str]:
        """Return the queue that is named, or that of who asked for an answer."""
        if exchange == REPLIES:
            return [f"{routing_key}.{REPLIES}"]
        return [at_broker(from_broker(routing_key) or DEFAULT_QUEUE)]

    def _put(self, queue: str, *given: Any, **named: Any) -> None:
        super()._put(queue, *given, **named)
        if queue.endswith(REPLIES):
            with self.conn_or_acquire() as client:
                client.pexpire(queue, 1000 * REPLY_SECONDS)

    def _size(self, queue: str) -> int:
        try:
            return int(super()._size(queue))
        except redis.exceptions.ResponseError as error:
            repair_keys(redis.Redis(connection_pool=self.pool), error)
            return 0


class Transport(RedisTransport):
    """The transport of every Redis URL of this program."""

    Channel = Channel


def install() -> None:
    """Have Celery use this transport for every Redis URL."""
    for scheme in ("redis", "rediss"):
        TRANSPORT_ALIASES[scheme] = f"{__name__}:Transport"
