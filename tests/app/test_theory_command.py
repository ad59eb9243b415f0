"""``caat theory`` as people type it."""

import json
import re
import sys
from pathlib import Path

import pytest

from app.cli.main import main


@pytest.fixture
def caat(monkeypatch, capsys):
    """Run the command and return its exit code, output and complaints."""

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["caat", "theory", *arguments])
        with pytest.raises(SystemExit) as end:
            main()
        said = capsys.readouterr()
        return int(end.value.code or 0), said.out, said.err

    return run


DOCUMENT = Path(__file__).parents[2] / "docs" / "theory.md"
ROW = re.compile(
    r"^\| (?:`(.*?)`)? ?\| (none|-?[\d.]+) \| ([\d./]+) \| ([\d./]+) \|$", re.MULTILINE
)


def test_every_row_of_the_document_is_what_the_command_prints(caat):
    rows = ROW.findall(DOCUMENT.read_text())
    assert len(rows) > 20
    for options, *written in rows:
        _, out, _ = caat(*options.split(), "--json")
        told = json.loads(out)
        b = "none" if told["b"] is None else f"{told['b']:.4f}"
        pairs = [told["natural_error"].values(), told["robust_error"].values()]
        errors = ["/".join(f"{share:.4f}" for share in pair) for pair in pairs]
        assert [b.replace("-0.0000", "0.0000"), *errors] == [
            written[0],
            *(re.sub(r"(^|/)\.", r"\g<1>0.", pair) for pair in written[1:]),
        ], options


CONTRACT = (
    "--dim 20 --eta 0.3 --sigma 1 --k 2 --prior-ratio 0.1 --rho-plus 0.1 --rho-minus -0.1 "
    "--epsilon 0.1 --json"
)


def test_json_is_one_object_with_the_boundary_and_both_errors_of_both_classes(caat):
    code, out, err = caat(*CONTRACT.split())
    assert (code, err) == (0, "")
    told = json.loads(out)
    assert set(told) == {"b", "natural_error", "robust_error"}
    assert told["b"] == pytest.approx(-0.6617, abs=5e-5)
    assert told["natural_error"] == pytest.approx({"plus": 0.3669, "minus": 0.0226}, abs=5e-5)
    assert told["robust_error"] == pytest.approx({"plus": 0.4537, "minus": 0.0598}, abs=5e-5)


def test_without_a_boundary_b_is_null(caat):
    _, out, _ = caat("--prior-ratio", "50", "--json")
    told = json.loads(out)
    assert told["b"] is None
    assert told["natural_error"] == {"plus": 0, "minus": 1}
    _, out, _ = caat("--prior-ratio", "50")
    assert "every sample is called +" in out


def test_label_noise_is_solved_with_the_logistic_loss(caat):
    noise = "--k 1 --loss logistic --noise-plus 0.3 --rho-flipped-plus -0.3 --json"
    _, out, _ = caat(*noise.split())
    natural = json.loads(out)["natural_error"]
    assert (natural["plus"] + natural["minus"]) / 2 == pytest.approx(0.119, abs=6e-4)


def test_in_words_the_errors_stand_in_a_table_with_the_fair_bounds(caat):
    code, out, err = caat("--rho-plus", "0.1", "--rho-minus", "0.1")
    assert (code, err) == (0, "")
    assert "Boundary at b = -0.3178" in out
    assert "30.43 %    4.85 %   17.64 %   +25.58 points" in out
    assert "Equal natural errors at b = 0.4472: train with bounds +0.1024 on class +" in out


def test_drawn_samples_stand_beside_the_closed_form(caat):
    _, out, _ = caat("--monte-carlo", "2000", "--seed", "3", "--json")
    drawn = json.loads(out)["monte_carlo"]
    assert drawn["n"] == 2000
    assert drawn["natural_error"]["plus"] == pytest.approx(0.2529, abs=4 * 0.0098)
    _, out, _ = caat("--monte-carlo", "2000", "--seed", "3")
    assert "Counted over 2,000 samples" in out
    assert "(0.97 %)" in out  # sqrt(0.2529 * 0.7471 / 2000)


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ("--epsilon 0.4", "caat: --epsilon: 0.4 is above eta; allowed: at most eta = 0.3"),
        ("--rho-plus 0.4", "caat: --rho-plus: 0.4 is above eta; allowed: at most eta = 0.3"),
        ("--k 0.5", "caat: --k: 0.5 is not valid; allowed: 1 to 100"),
        ("--noise-plus 0.3", "caat: --noise-plus: 0.3 needs the logistic loss; set loss to"),
        ("--prior-ratio inf", "caat: --prior-ratio: inf is not valid; allowed: 0.0001 to 10000.0"),
        ("--dim many", "caat: Invalid value for '--dim'"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(caat, arguments, line):
    code, out, err = caat(*arguments.split(), "--json")
    assert (code, out) == (2, "")
    assert len(err.splitlines()) == 1
    assert err.startswith(line)
