"""A command of Celery's to the workers (``inspect``, ``control``): which, and with what.

As with messages of runs, whoever reaches the broker may publish anything: what is obeyed is a
command that we know, with arguments that it takes, and it is handed on in our own words.
"""

import base64
import json
import re
from collections.abc import Mapping
from typing import Any

from tasks.queue.message import UnreadableError, as_json, body_of, mapping

COMMANDS = "celery.pidbox"
"""Where Celery publishes commands."""
REPLIES = "reply.celery.pidbox"
MOST_BYTES = 65_536
_MOST_LISTED = 1000
_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")

ARGUMENTS: Mapping[str, tuple[str, ...]] = {
    "ping": (),
    "active": ("safe",),
    "reserved": (),
    "scheduled": (),
    "revoked": (),
    "registered": ("taskinfoitems", "builtins"),
    "query_task": ("ids",),
    "stats": (),
    "active_queues": (),
    "clock": (),
    "conf": ("with_defaults",),
    "report": (),
    "enable_events": (),
    "disable_events": (),
    "heartbeat": (),
    "revoke": ("task_id", "terminate", "signal"),
    "terminate": ("task_id", "signal"),
    "shutdown": (),
}
"""The commands that a worker obeys, and what each takes.

Celery's others change what is not Celery's here (pools, queues, limits), or write files.
"""
NEEDED = {"revoke": "task_id", "terminate": "task_id", "query_task": "ids"}
REFUSED = "refused"
"""What stands for any other command, so that who asked gets an answer."""
_NAME = re.compile(r"[a-z_]{1,40}")
_OLD_NAMES = {f"dump_{name}": name for name in ("active", "reserved", "revoked", "conf")} | {
    "dump_schedule": "scheduled",
    "dump_tasks": "registered",
}


def command_in(entry: bytes) -> bytes:
    """Return a command in our own words; one that a worker does not obey as `REFUSED`.

    Raises:
        UnreadableError: It is none.
    """
    if len(entry) > MOST_BYTES:
        raise UnreadableError(f"it has {len(entry):,} bytes, a command at most {MOST_BYTES:,}")
    told = mapping(body_of(mapping(as_json(entry), "it")), "its body")
    name = told.get("method")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise UnreadableError("it names no command")
    name = _OLD_NAMES.get(name, name)
    arguments = mapping(told.get("arguments") or {}, "its arguments")
    body = {
        "method": name if name in ARGUMENTS else REFUSED,
        "arguments": _known(name, arguments) if name in ARGUMENTS else {"name": name},
        "destination": _words(told.get("destination") or [], "its destination") or None,
        **_pattern(told),
        **_reply(told),
    }
    return json.dumps(
        {
            "body": base64.b64encode(json.dumps(body).encode()).decode(),
            "content-encoding": "utf-8",
            "content-type": "application/json",
            "headers": {},
            "properties": {
                "delivery_mode": 1,
                "delivery_info": {"exchange": COMMANDS, "routing_key": ""},
                "priority": 0,
                "body_encoding": "base64",
                "delivery_tag": "command",
            },
        }
    ).encode()


def _known(name: str, arguments: dict[str, Any]) -> dict[str, Any]:
    known = {key: value for key, value in arguments.items() if key in ARGUMENTS[name]}
    if name in NEEDED:
        told = known.get(NEEDED[name])
        known[NEEDED[name]] = _words([told] if isinstance(told, str) else told, NEEDED[name])
    for key, value in known.items():
        if isinstance(value, list):
            _words(value, key)
        elif isinstance(value, dict):
            raise UnreadableError(f"its {key} is no word and no list of words")
    return known


def _words(value: Any, what: str) -> list[str]:
    if not isinstance(value, list) or len(value) > _MOST_LISTED:
        raise UnreadableError(f"{what} is no list of at most {_MOST_LISTED} words")
    if not all(isinstance(word, str) for word in value):
        raise UnreadableError(f"{what} is no list of words")
    return value


def _pattern(told: dict[str, Any]) -> dict[str, Any]:
    """Return which workers are meant, if a pattern says so; one that cannot be read means none."""
    pattern, matcher = told.get("pattern"), told.get("matcher")
    if not pattern and not matcher:
        return {}
    if not isinstance(pattern, str) or matcher != "glob":
        raise UnreadableError("its pattern is no glob")
    return {"pattern": pattern, "matcher": matcher}


def _reply(told: dict[str, Any]) -> dict[str, Any]:
    """Return who wants an answer, if anybody does."""
    if not told.get("reply_to"):
        return {}
    to, ticket = mapping(told["reply_to"], "its sender").get("routing_key"), told.get("ticket")
    if not all(isinstance(text, str) and _ID.fullmatch(text) for text in (to, ticket)):
        raise UnreadableError("its sender has no address")
    return {"reply_to": {"exchange": REPLIES, "routing_key": to}, "ticket": ticket}
