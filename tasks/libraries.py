"""May networks of another library be built? That a library is broken is no fault of the rest."""

from collections.abc import Iterator

from tasks.finding import Finding


def networks() -> Iterator[Finding]:
    """Say of torchvision whether it belongs to torch; loading it takes seconds."""
    from engine.errors import UserError
    from engine.models.backbones._foreign import library

    try:
        library("torchvision", "torchvision.models")
    except UserError as error:
        told = str(error).partition(": ")[2]
        yield Finding("networks", True, f"{told}; until then torchvision:NAME cannot be built")
        return
    yield Finding("networks", True, "torchvision:NAME can be built")
