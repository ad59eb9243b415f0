"""``caat evaluate``: its options, and what it says."""

from typing import Annotated, Any, Literal

import typer

from app.cli.options import ACTOR
from app.cli.queued import say_queued
from app.cli.terminal import say, say_json

RunId = Annotated[str, typer.Argument(metavar="RUN", help="A run's id, or how it starts")]
Subset = Annotated[int | None, typer.Option(min=1, help="Stratified part of the test images")]
Epsilon = Annotated[str | None, typer.Option(help="Radius, like 8/255; the run's if left out")]
Norm = Annotated[str | None, typer.Option(help="linf or l2; the run's if left out")]
Steps = Annotated[int | None, typer.Option(help="Steps of PGD")]
Seed = Annotated[int | None, typer.Option(help="Of every draw; the run's if left out")]
Protocol = Annotated[
    Literal["pixel", "as-released"],
    typer.Option(help="as-released: that of CAAT's released code, beside pixels"),
]


def evaluate(  # noqa: PLR0913 - one a command-line option
    run_id: RunId,
    *,
    attack: Annotated[str, typer.Option(help="pgd, apgd, autoattack or square")] = "pgd",
    subset: Subset = None,
    epsilon: Epsilon = None,
    norm: Norm = None,
    steps: Steps = None,
    restarts: Annotated[int | None, typer.Option(help="Random starts of the attack")] = None,
    seed: Seed = None,
    protocol: Protocol = "pixel",
    curve: Annotated[bool, typer.Option("--curve", help="Robust error by radius")] = False,
    masking: Annotated[bool, typer.Option("--masking", help="Look for masked gradients")] = False,
    queue: Annotated[bool, typer.Option("--queue", help="Have a worker do it, as a job")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout")] = False,
) -> None:
    """Attack the model that a run ended with; what it says of every image is stored."""
    from tasks import commands
    from tasks.results.request import EvaluationRequest

    request = EvaluationRequest(
        attack=attack,
        knobs={"norm": norm, "epsilon": epsilon, "num_steps": steps, "restarts": restarts},
        subset=subset,
        seed=seed,
        as_released=protocol == "as-released",
        curve=curve,
        masking=masking,
    )
    if queue:
        from tasks import jobs

        done = jobs.submit_evaluation(commands.find_run(run_id), request, actor=ACTOR)
        return say_queued(done, as_json=as_json)
    from tasks.results.evaluate import evaluate as look
    from tasks.settings import open_database

    told = look(open_database(), commands.find_run(run_id), request)
    if as_json:
        return say_json(told)
    _print_errors(told)
    if "as_released" in told:
        typer.echo()
        _print_errors(told["as_released"])
        say(f"  {told['as_released']['evaluation_card']['space']}")
    _print_curve(told.get("curve"), told["evaluation_card"]["norm"])
    return _print_masking(told.get("masking"))


def _print_errors(told: dict[str, Any]) -> None:
    from app.text.evaluation_card import threat_of, under_if_attacked

    card = told["evaluation_card"]
    say(f"{told['name']}; {card['split']}, n = {card['n']:,}; {card['checkpoint']}")
    for name, value in told["metrics"].items():
        low, high = value["worst_interval"]
        attacked = under_if_attacked(name, threat_of({}, card))
        say(
            f"  {name.replace('_', ' '):15} {value['average']:6.1%}   worst class "
            f"{value['worst_class']}: {value['worst']:.1%} ({low:.1%} to {high:.1%}){attacked}"
        )


def _print_curve(told: dict[str, Any] | None, norm: str) -> None:
    from engine.numbers import in_255ths

    if told is None:
        return
    findings = told["findings"]
    typer.echo(f"\nrobust error by radius in {norm}")
    for epsilon, wrong in zip(findings["epsilon"], findings["wrong"], strict=True):
        typer.echo(f"  {in_255ths(epsilon):8} {sum(wrong) / sum(findings['count']):6.1%}")


def _print_masking(told: dict[str, Any] | None) -> None:
    if told is None:
        return
    typer.echo("\nmasked gradients")
    for check in told["findings"]["checks"]:
        say(f"  {'ok  ' if check['passed'] else 'BAD '} {check['name']}: {check['reason']}")
