"""``caat audit``: its options, and what it says."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.cli.evaluate import Epsilon, Norm, Seed, Steps, Subset
from app.cli.import_predictions import import_predictions
from app.cli.options import ACTOR
from app.cli.queued import say_queued
from app.cli.terminal import say, say_json
from engine.errors import UserError

if TYPE_CHECKING:
    from tasks.audits import AuditRequest

Weights = Annotated[Path, typer.Argument(metavar="WEIGHTS", help="safetensors, or of torch.save")]
Backbone = Annotated[
    str, typer.Option(help="A network of `caat methods`, torchvision:NAME or timm:NAME")
]
Own = Annotated[list[str] | None, typer.Option("--set", help="width=32, of the network's own")]
Numbers = Annotated[str | None, typer.Option(help="A number for each channel: 0.49,0.48,0.45")]
Key = Annotated[str | None, typer.Option(help="Which set of weights, where the file holds several")]
Normalise = Annotated[
    str | None, typer.Option(help="none, half, cifar10, cifar100, imagenet or mnist")
]


def register(cli: typer.Typer) -> None:
    """Add the commands that take in what was made elsewhere: a model, or predictions."""
    cli.command()(audit)
    cli.command("import")(import_predictions)


def audit(  # noqa: PLR0913 - one a command-line option
    weights: Weights,
    *,
    backbone: Backbone,
    data: Annotated[str, typer.Option(help="Whose test images it is shown")],
    own: Own = None,
    key: Key = None,
    normalise: Normalise = None,
    mean: Numbers = None,
    std: Numbers = None,
    name: Annotated[str, typer.Option(help="What the row is called")] = "",
    study: Annotated[str | None, typer.Option(help="A study that has it")] = None,
    attack: Annotated[str, typer.Option(help="autoattack, apgd, pgd or square")] = "autoattack",
    subset: Subset = None,
    epsilon: Epsilon = None,
    norm: Norm = None,
    steps: Steps = None,
    restarts: Annotated[int | None, typer.Option(help="Random starts of the attack")] = None,
    seed: Seed = None,
    curve: Annotated[bool, typer.Option("--curve", help="Robust error by radius")] = False,
    masking: Annotated[bool, typer.Option("--masking", help="Look for masked gradients")] = False,
    queue: Annotated[bool, typer.Option("--queue", help="Have a worker do it")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout")] = False,
) -> None:
    """Attack a model that was trained elsewhere; the result is a row among the runs."""
    from tasks.audits import AuditRequest
    from tasks.results.request import EvaluationRequest

    request = AuditRequest(
        weights=weights.expanduser(),
        model={"backbone": backbone, **_fields(own or [])},
        dataset=data,
        evaluation=EvaluationRequest(
            attack=attack,
            knobs={"norm": norm, "epsilon": epsilon, "num_steps": steps, "restarts": restarts},
            subset=subset,
            seed=seed,
            curve=curve,
            masking=masking,
        ),
        key=key,
        normalise=normalise,
        mean=_numbers("--mean", mean),
        std=_numbers("--std", std),
        name=name,
        study=study,
    )
    if queue:
        from tasks.audits import submit_audit

        return say_queued(submit_audit(request, actor=ACTOR), as_json=as_json)
    return _do_it(request, as_json=as_json)


def _do_it(request: "AuditRequest", *, as_json: bool) -> None:
    from app.cli import run, runs
    from app.text.evaluation_card import threat_of, words_of
    from tasks.audits import new_audit

    result = run.run(lambda: new_audit(request), ACTOR, quiet=as_json)
    if as_json:
        say_json(result)
    elif result["run_id"]:
        say(f"{result['run_id']} {result['status']} in {result['seconds']:.1f} s")
        card = result["evaluation_card"]
        runs.print_errors(result["metrics"], threat_of({}, card))
        if card:
            say(f"  {words_of(card)}")
    if result["status"] != "succeeded":
        if result["message"]:
            say(f"caat: {result['message']}", err=True)
        raise typer.Exit(1)


def _fields(written: list[str]) -> dict[str, Any]:
    """Read ``width=32``: whole numbers as such, the rest as text."""
    found: dict[str, Any] = {}
    for one in written:
        name, equals, value = one.partition("=")
        if not equals or not name.strip():
            raise UserError(f"--set: {one!r} is not of the form width=32")
        found[name.strip().removeprefix("model.")] = _value(value.strip())
    return found


def _value(text: str) -> Any:
    return int(text) if text.isdecimal() and len(text) < 20 else text


def _numbers(flag: str, text: str | None) -> tuple[float, ...]:
    from engine.numbers import parse_number

    if text is None:
        return ()
    found = [parse_number(part) for part in text.split(",")]
    if any(number is None for number in found):
        raise UserError(
            f"{flag}: {text!r} is not valid; write a number for each channel, by commas"
        )
    return tuple(number for number in found if number is not None)
