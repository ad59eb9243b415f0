"""``caat figure``: the figures of a study's page as files."""

import xml.etree.ElementTree as ET

import pytest

SCENARIOS = ("noise", "standard")


@pytest.fixture
def study(studio):
    """Two scenarios, two methods, three seeds."""
    for first, scenario in enumerate(SCENARIOS):
        for place, method in enumerate(("caat", "trades")):
            for seed in range(3):
                run_id = studio.finished("R", study="S", method={"name": method}, seed=seed)
                studio.measured(run_id, [0.2] * 9 + [0.3 + 0.1 * place + 0.01 * seed])
                studio.called(run_id, "S", scenario, f"my {method}", place=2 * first + place)
    return studio


def figure(caat, out, *words: str):
    return caat("figure", "S", "--out", str(out), *words)


@pytest.mark.parametrize(
    ("what", "says"),
    [
        ("ranking", "Ranking by Robust, worst: 1. my caat, 2. my trades"),
        ("differences", "Differences to my caat: my trades 10.0 %"),
        ("classes", "Error by method and class, largest: my trades"),
        ("class-lines", "Error by method and class, largest: my trades"),
        ("ranks", "Ranks: my caat 1.00, my trades 2.00"),
        ("fronts", "Fronts: robust, worst"),
    ],
)
def test_every_figure_of_the_page_is_written_and_said(study, caat, tmp_path, what, says):
    out = tmp_path / "figure.html"
    code, said, _ = figure(caat, out, "--what", what)
    assert code == 0
    assert said.startswith(f"{out}: {says}")
    page = out.read_text()
    assert "my trades" in page
    assert "<script src=" not in page  # it is whole without the network


def test_scenario_error_and_reference_are_those_that_are_asked_for(study, caat, tmp_path):
    words = ("--scenario", "standard", "--error", "robust_error", "--against", "my trades")
    _, said, _ = figure(caat, tmp_path / "f.html", "--what", "differences", *words)
    assert "Differences to my trades: my caat -1.0 %" in said


def test_a_vector_graphic_is_drawn_by_the_browser_of_the_machine(study, caat, tmp_path):
    out = tmp_path / "figure.svg"
    assert figure(caat, out)[0] == 0
    assert "my trades" in "".join(ET.fromstring(out.read_text()).itertext())
    pdf = tmp_path / "figure.pdf"
    assert figure(caat, pdf)[0] == 0
    assert pdf.read_bytes().startswith(b"%PDF")


def test_without_a_browser_one_line_says_what_to_install(study, caat, tmp_path, monkeypatch):
    monkeypatch.setenv("BROWSER_PATH", str(tmp_path / "none"))
    out = tmp_path / "figure.svg"
    code, _, said = figure(caat, out)
    assert code == 2
    assert said == (
        "caat: --out: a .svg takes Chrome or Chromium, and none is found; install one (Debian: apt "
        "install chromium), or write .html\n"
    )
    assert not out.exists()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--scenario", "x"], "--scenario: 'x' is not valid; choose noise, standard"),
        (["--error", "loss"], "--error: 'loss' is not valid; choose natural_error, "),
        (["--against", "wat"], "--against: 'wat' is no row; choose my caat, my trades"),
        (["--out", "f.jpg"], "--out: 'f.jpg' ends otherwise; allowed: .svg, .pdf, .png, .html"),
        (["--out", "none/f.svg"], "--out: the folder none does not exist"),
    ],
)
def test_what_cannot_be_drawn_is_one_line(study, caat, tmp_path, words, says):
    code, _, said = figure(caat, tmp_path / "f.html", *words)
    assert code == 2
    assert said.startswith(f"caat: {says}")
    assert len(said.splitlines()) == 1


def test_a_study_that_is_not_is_one_line_with_those_that_are(study, caat, tmp_path):
    code, _, said = caat("figure", "T", "--out", str(tmp_path / "f.html"))
    assert code == 2
    assert said == "caat: STUDY: no finished run belongs to 'T'; the newest are 'S'\n"
