"""Finding wrong labels: the ROC of every score, and that of a guess."""

import pandas as pd

from app.charts.detection_roc import detection_roc
from app.text.palette import MUTED
from tests.app.drawn import holds, hovers, is_reversed, legend, marks, named

WEIGHT, LOSS = "Anti-adversary weight: AUC 0.900", "Loss: AUC 0.125"


def curve(
    name: str, points: list[tuple[float, float, float]], auc: float, within: float = float("nan")
) -> pd.DataFrame:
    table = pd.DataFrame(points, columns=["false", "true", "threshold"])
    return table.assign(name=name, auc=auc, within=within)


def table() -> pd.DataFrame:
    """A weight that finds most wrong labels early, and a loss that finds them last."""
    weight = [(0.0, 0.0, 2.5), (0.1, 0.8, 1.25), (0.3, 1.0, 0.75), (1.0, 1.0, 0.0)]
    loss = [(0.0, 0.0, 9.0), (0.75, 0.0, 4.0), (1.0, 0.5, 2.0), (1.0, 1.0, 0.5)]
    rows = curve("anti_adversary_weight", weight, 0.9), curve("loss", loss, 0.125)
    return pd.concat(rows, ignore_index=True)


def test_false_alarms_go_to_the_right_and_what_is_found_upwards():
    figure = detection_roc(table())
    assert marks(named(figure, WEIGHT)) == [(0, 0), (0.1, 0.8), (0.3, 1), (1, 1)]
    assert marks(named(figure, LOSS)) == [(0, 0), (0.75, 0), (1, 0.5), (1, 1)]
    assert figure.layout.xaxis.title.text == "Right labels that are flagged"
    assert figure.layout.yaxis.title.text == "Wrong labels that are flagged"
    assert not is_reversed(figure.layout.xaxis)
    assert not is_reversed(figure.layout.yaxis)


def test_a_guess_is_the_diagonal_and_is_grey():
    guess = named(detection_roc(table()), "A guess")
    assert marks(guess) == [(0, 0), (1, 1)]
    assert (guess.line.color, guess.line.dash, guess.hoverinfo) == (MUTED, "dot", "skip")


def test_the_legend_tells_each_scores_area_and_keeps_their_order():
    assert legend(detection_roc(table())) == [WEIGHT, LOSS, "A guess"]


def test_both_axes_are_percent_and_hold_everything_from_none_to_all():
    layout = detection_roc(table()).layout
    for axis in (layout.xaxis, layout.yaxis):
        assert axis.tickformat == ".0%"
        assert holds(axis, 0, 1)


def test_the_hover_text_tells_threshold_what_is_found_and_its_price():
    assert hovers(named(detection_roc(table()), WEIGHT))[1] == (
        "<b>Anti-adversary weight</b> beyond 1.250: 80% of the wrong and 10% of the right labels"
        "<extra></extra>"
    )


def test_references_have_lines_of_their_own_beside_the_weight():
    both = pd.concat([table(), curve("margin", [(0.0, 0.0, 1.0), (1.0, 1.0, 0.0)], 0.5)])
    figure = detection_roc(both)
    lines = {trace.name: (trace.line.color, trace.line.dash) for trace in figure.data[:3]}
    assert lines == {
        WEIGHT: ("#3f90da", "solid"),
        LOSS: ("#e76300", "dash"),
        "Margin: AUC 0.500": ("#832db6", "dashdot"),
    }


def test_one_score_is_drawn_with_the_guess_alone():
    figure = detection_roc(table().query("name == 'loss'"))
    assert legend(figure) == [LOSS, "A guess"]


def test_the_area_within_the_classes_stands_beside_that_over_all_where_there_is_one():
    within = curve("loss", [(0.0, 0.0, 1.0), (1.0, 1.0, 0.0)], 0.58, within=0.92)
    assert legend(detection_roc(within)) == ["Loss: AUC 0.580, 0.920 in class", "A guess"]
