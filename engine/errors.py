"""Errors that are told to a person: one line each, what is wrong and what to do."""

from engine.names import visible


class UserError(ValueError):
    """The user's input cannot work; nothing was done.

    Each argument is one line, which shows all that it repeats of the input.
    """

    def __str__(self) -> str:
        return "\n".join(visible(str(line)) for line in self.args)


class Diverged(RuntimeError):  # noqa: N818 - says what happened, as Stopped does
    """The loss stopped being a number."""


class Stopped(Exception):  # noqa: N818 - not an error: someone asked the run to stop
    """Training was asked to stop and did, between two steps."""
