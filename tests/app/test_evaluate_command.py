"""What the options of ``caat evaluate`` ask for; the evaluation itself is tested where it is."""

import json

import pytest
from typer.testing import CliRunner

from app.cli.main import cli
from tasks.results.evaluate import EvaluationRequest

NO_KNOBS = {"norm": None, "epsilon": None, "num_steps": None, "restarts": None}
PLAIN = {"attack": "pgd", "knobs": NO_KNOBS}


@pytest.fixture
def asked(studio, monkeypatch):
    """Type the command for a run; return the request that is made of it."""
    run_id = studio.finished("Done")
    requests = []

    def look(database, wanted, request):
        assert wanted == run_id
        requests.append(request)
        return {"name": request.attack}

    monkeypatch.setattr("tasks.results.evaluate.evaluate", look)

    def typed(*words: str) -> EvaluationRequest:
        done = CliRunner().invoke(cli, ["evaluate", run_id[:8], "--json", *words])
        assert (done.exit_code, json.loads(done.stdout)) == (0, {"name": requests[-1].attack})
        return requests.pop()

    return typed


@pytest.mark.parametrize(
    ("words", "changed"),
    [
        ([], {}),
        (["--protocol", "pixel"], {}),
        (["--curve"], {"curve": True}),
        (["--masking"], {"masking": True}),
        (["--protocol", "as-released"], {"as_released": True}),
        (["--attack", "apgd"], {"attack": "apgd"}),
        (["--subset", "20"], {"subset": 20}),
        (["--seed", "7"], {"seed": 7}),
        (["--norm", "l2"], {"knobs": NO_KNOBS | {"norm": "l2"}}),
        (["--epsilon", "8/255"], {"knobs": NO_KNOBS | {"epsilon": "8/255"}}),
        (["--steps", "5"], {"knobs": NO_KNOBS | {"num_steps": 5}}),
        (["--restarts", "3"], {"knobs": NO_KNOBS | {"restarts": 3}}),
    ],
)
def test_every_option_asks_for_itself_alone(asked, words, changed):
    assert asked(*words) == EvaluationRequest(**{**PLAIN, **changed})
