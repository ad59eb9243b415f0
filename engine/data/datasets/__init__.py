"""Datasets, one a file. A file here registers itself by `register`."""


def names() -> list[str]:
    """Return every name on the menu, those of installed plug-ins too."""
    from engine.data.datasets.base import datasets  # it imports this package

    return list(datasets())
