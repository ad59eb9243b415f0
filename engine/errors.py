"""Errors that are told to a person: one line each, what is wrong and what to do."""


class UserError(ValueError):
    """The user's input cannot work; nothing was done."""


class Diverged(RuntimeError):  # noqa: N818 - says what happened, as Stopped does
    """The loss stopped being a number."""


class Stopped(Exception):  # noqa: N818 - not an error: someone asked the run to stop
    """Training was asked to stop and did, between two steps."""
