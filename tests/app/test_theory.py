"""The theory page: its answer, its claims, its samples, and what it says to bad values."""

import math

import pandas as pd
import pytest

from app.charts.base import charts
from app.theory import tables
from app.theory.claims import CLAIMS
from app.theory.words import place, where, who_pays
from engine.theory.mixture import Setting
from engine.theory.solver import draw_errors, solve
from tests.app.shown import words


def values(page, *names: str) -> list[object]:
    answers = [page.text_input(key=name).value for name in names]
    return [float(answer) if answer else None for answer in answers]


def verdicts(claim: str, **changes: object) -> list[bool]:
    """What holds of a claim at its own parameters, with some of them changed."""
    start = CLAIMS[claim].start.model_copy(update=changes)
    found = {name: solve(row) for name, row in CLAIMS[claim].rows(start).items()}
    return [check.holds for check in CLAIMS[claim].checks(found)]


def test_the_page_answers_in_words_before_it_draws(open_page):
    page = open_page("theory")
    said = words(page)
    assert "The hard class (+) pays: 25.3 % natural error, 8.8 % on the easy class (-)" in said
    assert "Boundary at b = -0.0108 (0-1 loss, closed form)" in said
    assert "Equal natural errors at b = 0.4472" in said
    assert len(page.get("plotly_chart")) == 4


def test_parameters_come_from_the_link(open_page):
    link = {"rho_plus": "0.1", "rho_minus": "0.1", "prior_ratio": "0.1", "k": "1"}
    page = open_page("theory", **link)
    assert values(page, "rho_plus", "rho_minus", "prior_ratio", "k") == [0.1, 0.1, 0.1, 1.0]
    assert "Class + pays: 47.8 % natural error, 0.4 % on class -" in words(page)


def test_a_changed_parameter_changes_the_answer(open_page):
    page = open_page("theory")
    page.text_input(key="rho_plus").set_value("0.1")
    page.text_input(key="rho_minus").set_value("0.1").run()
    assert "30.4 % natural error" in words(page)
    assert "Boundary at b = -0.3178" in words(page)


def test_a_decimal_comma_is_refused_beside_its_field(open_page):
    page = open_page("theory")
    page.text_input(key="rho_plus").set_value("0,05").run()
    assert "'0,05' is not a number; write 0.05 with a point" in words(page)


@pytest.mark.parametrize("key", CLAIMS)
def test_a_claim_sets_its_parameters_and_says_what_holds_there(open_page, key):
    claim = CLAIMS[key]
    page = open_page("theory")
    page.button(key=f"claim-{key}").click().run()
    assert not page.exception
    said = words(page)
    assert page.query_params["claim"] == key
    assert claim.says in said
    assert claim.limits in said
    assert "At its own parameters" in said
    assert values(page, "rho_plus", "k", "noise_plus") == [
        claim.start.rho_plus,
        claim.start.k,
        claim.start.noise_plus,
    ]
    for check in claim.checks({name: solve(row) for name, row in claim.rows(claim.start).items()}):
        assert check.text in said
    table = page.dataframe[0].value
    assert list(table["training"]) == list(claim.rows(claim.start))


def test_one_claim_after_another_leaves_nothing_of_the_first(open_page):
    page = open_page("theory")
    page.button(key="claim-noise").click().run()
    page.button(key="claim-hard-class").click().run()
    assert values(page, "noise_plus", "rho_flipped_plus") == [0.0, None]
    assert "25.3 % natural error" in words(page)
    assert "At its own parameters" in words(page)


def test_a_claim_is_judged_at_the_parameters_in_force(open_page):
    page = open_page("theory", claim="mixing")
    page.button(key="claim-mixing").click().run()
    assert "The natural gap shrinks: +25.6 to +0.4 points" in words(page)
    page.button_group(key="loss").set_value("logistic").run()
    assert "At the parameters below" in words(page)
    assert "The natural gap shrinks: +12.7 to -9.9 points" in words(page)


def test_samples_are_drawn_on_demand_and_the_link_keeps_their_seed(open_page):
    page = open_page("theory")
    assert "standard errors" not in words(page)
    page.button(key="draw").click().run()
    assert page.query_params["seed"] == "0"
    assert "n = 10,000 of each class, seed 0: every counted share is within" in words(page)
    assert page.button(key="draw").label == "Draw others"
    page.button(key="undraw").click().run()
    assert "seed" not in page.query_params
    assert "standard errors" not in words(page)


@pytest.mark.parametrize(
    ("link", "told"),
    [
        ({"rho_plus": "0.9"}, "0.9 is above eta; allowed: at most eta = 0.3"),
        ({"epsilon": "0.5"}, "0.5 is above eta; allowed: at most eta = 0.3"),
        ({"k": "0.5"}, "0.5 is not valid; allowed: 1 to 100"),
        ({"dim": "0"}, "0 is not valid; allowed: a whole number, 1 to 10000"),
    ],
)
def test_a_value_outside_the_theory_is_told_beside_its_field(open_page, link, told):
    page = open_page("theory", **link)
    assert told in words(page)
    assert "Mend the marked fields" in words(page)
    assert not page.get("plotly_chart")


def test_a_link_to_no_claim_and_no_seed_shows_the_answer_alone(open_page):
    page = open_page("theory", claim="nonsense", seed="-1")
    assert "25.3 % natural error" in words(page)
    assert "standard errors" not in words(page)
    assert "At its own parameters" not in words(page)


def test_what_a_claim_s_status_says_is_what_its_checks_find():
    assert verdicts("hard-class") == [True]
    assert verdicts("hard-class", loss="logistic") == [True]
    assert verdicts("hard-class", prior_ratio=2.2) == [False]
    assert verdicts("uniform") == verdicts("uniform", loss="logistic") == [True, True]
    assert verdicts("mixing") == [True, True, False, False, False]
    assert verdicts("mixing", loss="logistic") == [True, False, False, False, False]
    assert verdicts("opposite") == verdicts("opposite", loss="logistic") == [True]
    assert verdicts("imbalance") == verdicts("imbalance", loss="logistic") == [True] * 3
    assert verdicts("imbalance", prior_ratio=10) == [True] * 3
    assert verdicts("noise") == verdicts("noise", k=2.0) == [True, True]
    assert verdicts("frl-cfa") == verdicts("frl-cfa", loss="logistic") == [True]
    assert verdicts("levers") == [True]
    assert verdicts("levers", prior_ratio=1.0) == verdicts("levers", loss="logistic") == [False]
    assert verdicts("restored") == verdicts("restored", loss="logistic") == [True]
    assert verdicts("restored", prior_ratio=0.001, eta=0.1) == [False]


@pytest.mark.parametrize("key", CLAIMS)
def test_a_claim_starts_at_one_of_the_ways_to_train_that_it_compares(key):
    claim = CLAIMS[key]
    rows = [typed(row) for row in claim.rows(claim.start).values()]
    assert typed(claim.start) in rows


@pytest.mark.parametrize(
    ("way", "plus", "minus"),
    [
        ("No perturbation", 0, 0),
        ("Adversary on both", 1, 1),
        ("Adversary on +, anti on -", 1, -1),
        ("Anti on +, adversary on -", -1, 1),
        ("Adversary on + alone", 1, 0),
        ("Anti on - alone", 0, -1),
        ("Adversary on all", 1, 1),
    ],
)
def test_a_way_to_train_has_the_bounds_that_its_name_says(way, plus, minus):
    size = 0.07
    named = [
        claim.rows(claim.start.model_copy(update={"epsilon": size})) for claim in CLAIMS.values()
    ]
    found = {(rows[way].rho_plus, rows[way].rho_minus) for rows in named if way in rows}
    assert found == {(plus * size, minus * size)}


def typed(setting: Setting) -> dict[str, object]:
    """A setting with its numbers as a person types them."""
    return {
        name: round(value, 6) if isinstance(value, float) else value
        for name, value in setting.model_dump().items()
    }


def test_the_two_published_bounds_turn_round_where_the_classes_overlap():
    claim = CLAIMS["frl-cfa"]
    moves = []
    for eta in (0.3, 0.15):
        rows = claim.rows(claim.start.model_copy(update={"eta": eta}))
        uniform, larger, _ = (solve(row).b for row in rows.values())
        moves.append(larger - uniform)
    assert moves[0] > 0 > moves[1]


def test_words_fit_every_kind_of_answer():
    even = Setting(k=1)
    assert who_pays(even, solve(even).natural_error) == (
        "Both classes pay the same: 9.0 % natural error each"
    )
    one_label = Setting(prior_ratio=50)
    assert "every sample is called +" in where(one_label, solve(one_label))
    assert place(-1e-9) == "0.0000"
    assert place(math.inf) == "nowhere"


def test_densities_integrate_to_the_priors_and_move_with_the_bounds():
    setting = Setting(prior_ratio=0.25, rho_plus=0.1)
    table = tables.densities(setting, 0.4)
    step = table["score"][1] - table["score"][0]
    assert (table.groupby("class_index")["density"].sum() * step).tolist() == pytest.approx(
        [0.2, 0.8], abs=1e-3
    )
    assert set(table["boundary"]) == {-0.4}
    assert table["reach"].tolist() == pytest.approx([0.1 * 20**0.5] * len(table))
    plus = table[table["class_index"] == 0]
    shift = plus["score"][plus["trained"].idxmax()] - plus["score"][plus["density"].idxmax()]
    assert shift == pytest.approx(-0.1 * 20**0.5, abs=step)


@pytest.mark.parametrize("moved", tables.SWEEPS)
def test_a_sweep_passes_through_the_bounds_in_force(moved):
    setting = Setting(rho_plus=0.1, rho_minus=0.1 if moved == "both" else -0.1)
    table = tables.sweep(setting, moved)
    current = table["current"].iloc[0]
    found = solve(setting)
    here = table[(table["bound"] - current).abs() < 1e-9]
    assert here["natural_error"].tolist() == pytest.approx(list(found.natural_error))
    assert here["robust_error"].tolist() == pytest.approx(list(found.robust_error))
    other = setting.model_copy(update={"rho_plus": 0.05, "rho_minus": 0.02})
    if moved in ("opposite", "both"):
        assert tables.sweep(other, moved)["current"].isna().all()


def test_drawn_samples_stand_over_the_exact_errors():
    setting = Setting()
    solution = solve(setting)
    alone = charts()["theory_errors"].draw(tables.errors(setting, solution, None))
    assert [trace.type for trace in alone.data] == ["bar"] * 3
    drawn = draw_errors(setting, solution.b, 500, seed=0)
    table = tables.errors(setting, solution, drawn)
    over = charts()["theory_errors"].draw(table)
    counted = over.data[-1]
    assert "n = 500" in counted.name
    assert list(counted.y) == table["estimate"].tolist()
    bars = [x for trace in over.data[:3] for x in trace.x]
    assert list(counted.x) == pytest.approx(bars)


def test_without_a_boundary_none_is_drawn():
    setting = Setting(prior_ratio=50)
    table = tables.densities(setting, solve(setting).b)
    drawn = charts()["score_densities"].draw(table)
    assert "Boundary" not in [trace.name for trace in drawn.data]
    assert not drawn.layout.shapes


def test_a_comparison_is_read_in_percent_and_downloaded_in_shares():
    table = tables.comparison({"one": solve(Setting()), "other": solve(Setting(prior_ratio=50))})
    shown = tables.in_percent(table)
    assert table["natural_error_plus"][0] == pytest.approx(0.2529, abs=5e-5)
    assert shown["natural_error_plus"][0] == pytest.approx(25.29, abs=5e-3)
    assert shown["b"][0] == table["b"][0]
    assert pd.isna(table["b"][1])
