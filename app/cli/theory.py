"""``caat theory``: the theory lab on the command line."""

import math
from inspect import Parameter, Signature, signature
from typing import TYPE_CHECKING, Annotated, Any

import typer
from pydantic import ValidationError

from app.cli.terminal import say_json
from engine.empty import described
from engine.errors import UserError
from engine.theory.mixture import Setting

if TYPE_CHECKING:
    from engine.theory.mixture import PerClass, Solution
    from engine.theory.solver import Draw


def register(cli: typer.Typer) -> None:
    """Add the command; its options are the fields of `Setting`, and `theory`'s own."""
    fields = [
        Parameter(
            name,
            Parameter.KEYWORD_ONLY,
            default=info.default,
            annotation=Annotated[info.annotation, typer.Option(help=described(info))],
        )
        for name, info in Setting.model_fields.items()
    ]
    own = [p for p in signature(theory).parameters.values() if p.kind is Parameter.KEYWORD_ONLY]
    theory.__signature__ = Signature(fields + own)  # type: ignore[attr-defined]  # typer reads it
    cli.command()(theory)


def theory(
    *,
    monte_carlo: Annotated[
        int, typer.Option(min=0, max=10_000_000, help="Count errors over N samples of each class")
    ] = 0,
    seed: Annotated[int, typer.Option(min=0, help="Of the samples")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object, nothing else")] = False,
    **fields: Any,
) -> None:
    """Solve the Gaussian mixture: the boundary, and the errors of both classes."""
    from engine.mistakes import error_lines
    from engine.theory.solver import draw_errors, solve

    try:
        setting = Setting(**fields)
    except ValidationError as error:
        lines = error_lines(error, Setting).items()
        raise UserError(*(f"--{_option(name)}: {text}" for name, text in lines)) from None
    solution = solve(setting)
    drawn = draw_errors(setting, solution.b, monte_carlo, seed=seed) if monte_carlo else None
    if as_json:
        say_json(_as_json(solution, drawn))
    else:
        _print(setting, solution, drawn)


def _option(name: str) -> str:
    return name.replace("_", "-")


def _as_json(solution: "Solution", drawn: "Draw | None") -> dict[str, Any]:
    """Return the answer; ``b`` is null where every sample gets the same label."""
    told: dict[str, Any] = {
        "b": solution.b if math.isfinite(solution.b) else None,
        "natural_error": solution.natural_error._asdict(),
        "robust_error": solution.robust_error._asdict(),
    }
    if drawn is not None:
        counted = {name: errors._asdict() for name, errors in drawn.by_name().items()}
        told["monte_carlo"] = {"n": drawn.n, **counted}
    return told


def _print(setting: Setting, solution: "Solution", drawn: "Draw | None") -> None:
    from app.text.format import percent
    from app.text.labels import metric
    from app.theory.words import how_fair, where
    from engine.theory.solver import standard_error

    typer.echo(where(setting, solution))
    typer.echo(f"{'':16}{'class +':>10}{'class -':>10}{'average':>10}{'gap':>16}")
    for name, errors in solution.by_name().items():
        _print_row(metric(name), errors)
    if drawn is not None:
        typer.echo(f"Counted over {drawn.n:,} samples of each class, and the standard errors:")
        for name, errors in drawn.by_name().items():
            _print_row(metric(name), errors)
            exact = solution.by_name()[name]
            strays = (percent(standard_error(share, drawn.n), 2) for share in exact)
            typer.echo(f"{'':16}" + "".join(f"{f'({stray})':>10}" for stray in strays))
    for line in how_fair(setting):
        typer.echo(line)


def _print_row(title: str, errors: "PerClass") -> None:
    from app.text.format import percent, points

    shares = (percent(share, 2) for share in (*errors, errors.average))
    cells = "".join(f"{share:>10}" for share in shares)
    typer.echo(f"{title:16}{cells}{points(errors.gap, 2):>16}")
