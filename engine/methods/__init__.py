"""Training methods, one a file. A file here registers itself in `METHODS`."""


def names() -> list[str]:
    """Return every name on the menu, those of installed plug-ins too."""
    from engine.methods.base import METHODS  # it imports this package

    return METHODS.names()
