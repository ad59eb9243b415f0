"""Backbones, one a file. A file here registers itself in `BACKBONES`."""


def names() -> list[str]:
    """Return every name on the menu, those of installed plug-ins too."""
    from engine.models.backbones.base import BACKBONES  # it imports this package

    return BACKBONES.names()
