"""``caat export RUN --what report``."""

from pathlib import Path

from app.cli.terminal import say
from engine.errors import UserError
from tasks.processes.process import output_file, require_place


def write(run_id: str, out: Path) -> None:
    """Write a run's report.

    Raises:
        UserError: The file's name or folder does not fit.
    """
    if out.suffix != ".html":
        raise UserError(f"--out: {out.name} must end in .html")
    require_place(out)
    # Loaded here alone: a command needs no page, and Streamlit says that it misses its server.
    from streamlit import logger

    logger.set_log_level("error")
    from app.report.run import run_report

    report = run_report(run_id)
    with output_file(out) as file:
        file.write(report)
    say(f"{len(report) / 1e6:.1f} MB in {out}")
