"""The calls of a save, counted, and one of them broken."""

import errno
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

FAULTS = ("KILL", "ENOSPC", "EIO")


class Breaker:
    """Breaks one call, counted from 1; with 0 it only keeps the names of all.

    A broken write has written half of its bytes.
    """

    def __init__(self, fault: str, at: int) -> None:
        self.fault, self.at = fault, at
        self.calls: list[str] = []

    def due(self, name: str) -> bool:
        """Count a call; tell whether it is the one to be broken."""
        self.calls.append(name)
        return len(self.calls) == self.at

    def error(self) -> OSError:
        """End this process, or return the error that a broken call raises."""
        if self.fault == "KILL":
            os.kill(os.getpid(), signal.SIGKILL)
        number: int = getattr(errno, self.fault)
        return OSError(number, os.strerror(number))

    def arm(self) -> None:
        """Count all calls of this process from here on; it never takes it back."""
        for owner, name in (
            (os, "open"),
            (os, "fsync"),
            (Path, "mkdir"),
            (Path, "replace"),
            (Path, "unlink"),
        ):
            setattr(owner, name, self._counted(name, getattr(owner, name)))
        self._arm_open()
        self._arm_commit()

    def _counted(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*given: Any, **named: Any) -> Any:
            if self.due(name):
                raise self.error()
            return real(*given, **named)

        return call

    def _arm_open(self) -> None:
        real, breaker = Path.open, self

        def opened(path: Path, mode: str = "r", *given: Any, **named: Any) -> Any:
            if mode != "wb":
                return real(path, mode, *given, **named)
            if breaker.due("create"):
                raise breaker.error()
            return _Torn(real(path, mode, *given, **named), breaker)

        setattr(Path, "open", opened)  # noqa: B010 - a method of someone else's class

    def _arm_commit(self) -> None:
        """A database says it its own way; and a commit may be lost on the way back, too."""
        real, pause = Session.commit, time.sleep

        def commit(session: Session) -> None:
            for name in ("commit", "committed"):
                if name == "committed":
                    real(session)
                if self.due(name):
                    raise OperationalError("COMMIT", {}, self.error())

        setattr(Session, "commit", commit)  # noqa: B010
        setattr(time, "sleep", lambda seconds: pause(min(seconds, 0.01)))  # noqa: B010


class _Torn:
    """A file whose writes and flushes can break."""

    def __init__(self, file: Any, breaker: Breaker) -> None:
        self.file, self.breaker = file, breaker

    def __enter__(self) -> "_Torn":
        return self

    def __exit__(self, *error: object) -> None:
        self.file.close()

    def write(self, content: bytes) -> None:
        if self.breaker.due("write"):
            self.file.write(content[: len(content) // 2])
            self.file.flush()
            raise self.breaker.error()
        self.file.write(content)

    def flush(self) -> None:
        if self.breaker.due("flush"):
            raise self.breaker.error()
        self.file.flush()

    def fileno(self) -> int:
        return int(self.file.fileno())
