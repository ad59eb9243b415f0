"""The command ``caat``: it looks whether the packages beside it are ours, and hands over."""

import sys

from caat_studio.place import shadowed


def console() -> None:
    """Run the command line; with another's package in its way, say so in a line."""
    for told in shadowed():
        sys.stderr.write(f"caat: {told}\n")
        sys.exit(1)
    from app.cli.main import console as run

    run()


if __name__ == "__main__":
    console()
