"""Options and arguments that several commands have."""

from pathlib import Path
from typing import Annotated

import typer

ACTOR = "command line"
"""Who does it, in the events of a run."""
File = Annotated[Path, typer.Argument(help="Scenario file (TOML)", show_default=False)]
Set = Annotated[list[str] | None, typer.Option("--set", help="a.b=value, over the file's")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object on stdout, nothing else")]
RunId = Annotated[str, typer.Argument(metavar="RUN", help="A run's id, or how it starts")]
Queue = Annotated[
    str | None, typer.Option(help="Only workers that serve it take the run [default: default]")
]
Priority = Annotated[
    int | None, typer.Option(min=0, max=9, help="The highest goes first [default: 5]")
]
Memory = Annotated[
    str | None, typer.Option(help="What the worker's device must have, like 10GiB; '' for any")
]
