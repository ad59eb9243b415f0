"""A scenario file and what ``--set`` does to it."""

import pytest

from app.scenario.toml_in import read_scenario
from engine.errors import UserError


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "scenario.toml"
    path.write_text('[threat]\nepsilon = "16/255"\n[evaluation]\nstep_size = "2/255"\n')
    return path


def test_another_norm_is_refused_over_lengths_that_the_file_wrote_for_its_own(file):
    with pytest.raises(UserError, match=r"^threat\.epsilon: '16/255' is the file's length in linf"):
        read_scenario(file, ["threat.norm=l2"])
    with pytest.raises(UserError, match=r"^evaluation\.step_size: '2/255' .* --set evaluation"):
        read_scenario(file, ["threat.norm=l2", "threat.epsilon=0.5"])


def test_another_norm_is_taken_with_lengths_of_its_own_or_without_any(file):
    left_out = ["threat.norm=l2", "threat.epsilon=", "evaluation.step_size="]
    assert read_scenario(file, left_out).threat.epsilon == 0.072
    for epsilon in ("threat.epsilon=0.3", "\ufeffthreat.epsilon = 0.3"):
        given = ["threat.norm=l2", epsilon, "evaluation.step_size=0.1"]
        assert read_scenario(file, given).threat.epsilon == 0.3
    assert read_scenario(file, ["threat.norm=linf"]).threat.epsilon == pytest.approx(16 / 255)


def test_fields_that_do_not_go_together_are_one_line_each(file):
    changes = ["data.imbalance.factor=1000", "training.patience=200"]
    with pytest.raises(UserError) as error:
        read_scenario(file, changes)
    lines = str(error.value).splitlines()
    assert [line.partition(":")[0] for line in lines] == [
        "data.imbalance.factor",
        "training.patience",
    ]
