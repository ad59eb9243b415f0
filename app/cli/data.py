"""``caat data add|list|show|remove``: a person's own data."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.cli.options import AsJson
from app.cli.terminal import say, say_json

if TYPE_CHECKING:
    from engine.data.added.dataset import AddedDataset

cli = typer.Typer(no_args_is_help=True, help="Your own data: add, list, show, remove.")
MOST_CLASSES_SHOWN = 40
Name = Annotated[str, typer.Argument(metavar="NAME", help="As `caat data list` has it")]


@cli.command()
def add(  # noqa: PLR0913 - the options of a command
    path: Annotated[
        Path, typer.Argument(help=".npz, .zip, .csv, .parquet, or a folder of class folders")
    ],
    *,
    name: Annotated[str, typer.Option(help="What it will be called: a-z, 0-9 and -")],
    test: Annotated[Path | None, typer.Option(help="Its test part, of the same kind")] = None,
    test_share: Annotated[
        float | None, typer.Option(help="Share that is drawn for the test part [default: 0.2]")
    ] = None,
    size: Annotated[
        int | None, typer.Option(help="Side of the stored images [default: the median, up to 64]")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check and show, add nothing")] = False,
    as_json: AsJson = False,
) -> None:
    """Check images and labels, say what was found and what is done about it, and add them."""
    from tasks import own_data

    with _Bar(quiet=as_json) as bar:
        staged = own_data.staged(own_data.Wanted(path, name, test, test_share, size), bar)
    try:
        if not as_json:
            _print(staged.dataset)
        if dry_run and staged.same_as:
            say(f"caat: the same images and labels are here already, as {staged.same_as}", err=True)
        if not dry_run:
            own_data.keep(staged)
    finally:
        staged.drop()
    if as_json:
        return say_json(_as_json(staged.dataset) | {"added": not dry_run})
    return say(f"{name}: checked, nothing was added" if dry_run else f"{name}: added")


@cli.command("list")
def list_(as_json: AsJson = False) -> None:
    """List what was added."""
    from tasks import own_data

    found = own_data.added()
    if as_json:
        return say_json({"datasets": [_as_json(one) for one in found]})
    for one in found:
        say(f"{one.name:24}  {_in_short(one)}  {one.facts.added_at[:10]}  {one.facts.source}")
    for name in own_data.damaged():
        say(f"{name:24}  cannot be read here; `caat data remove {name}` takes it away")
    return None


@cli.command()
def show(name: Name, as_json: AsJson = False) -> None:
    """Show the classes of a dataset, and what was found as it was added."""
    from tasks import own_data

    one = own_data.find(name)
    return say_json(_as_json(one)) if as_json else _print(one)


@cli.command()
def remove(name: Name) -> None:
    """Remove a dataset; what runs have recorded of it stays."""
    from tasks import own_data

    say(own_data.remove(name))


def _in_short(one: "AddedDataset") -> str:
    kind = "grey" if one.channels == 1 else "colour"
    return (
        f"{one.facts.num_train:,} + {one.facts.num_test:,} images, {one.size} x {one.size} {kind}, "
        f"{len(one.class_names)} classes"
    )


def _print(one: "AddedDataset") -> None:
    say(f"{one.name}: {_in_short(one)}")
    say(f"from {one.facts.source}, fingerprint {one.facts.fingerprint[:16]}")
    width = min(max(5, *map(len, one.class_names)), 30)
    say(f"{'class':{width}}  {'train':>9}  {'test':>9}")
    rows = list(zip(one.class_names, one.train_counts, one.test_counts, strict=True))
    for name, train, test in rows[:MOST_CLASSES_SHOWN]:
        say(f"{name[:width]:{width}}  {train:>9,}  {test:>9,}")
    if len(rows) > MOST_CLASSES_SHOWN:
        say(f"and {len(rows) - MOST_CLASSES_SHOWN} more")
    for line in one.facts.findings:
        say(f"- {line}")


def _as_json(one: "AddedDataset") -> dict[str, Any]:
    return {"name": one.name, **one.facts.model_dump(mode="json")}


class _Bar:
    """A progress bar on a terminal, one for each thing that goes on."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet, self._what = quiet, ""
        self._bar: Any = None

    def __enter__(self) -> "_Bar":
        return self

    def __exit__(self, *error: object) -> None:
        self._close()

    def __call__(self, what: str, done: int, total: int) -> None:
        from tqdm import tqdm

        if what != self._what:
            self._close()
            self._what = what
            disable = True if self._quiet else None  # None: where there is no terminal
            self._bar = tqdm(total=total, desc=what, unit=" images", disable=disable)
        self._bar.update(done - self._bar.n)

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.close()
