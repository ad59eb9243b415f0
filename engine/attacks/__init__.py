"""Attacks of an evaluation, one a file; a file registers itself in `engine.attacks.base`."""


def names() -> list[str]:
    """Return every name on the menu, those of installed plug-ins too."""
    from engine.attacks.base import ATTACKS  # it imports this package

    return ATTACKS.names()
