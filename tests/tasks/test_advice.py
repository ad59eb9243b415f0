"""``caat launch`` says on stderr what is to be known of a scenario, and queues it all the same."""

import json


def test_a_launch_tells_of_few_validation_images_beside_its_answer(told_here):
    code, said, err = told_here("launch", "scenario.toml", "--json")
    assert code == 0
    assert json.loads(said)["run_id"]
    (line,) = [line for line in err.splitlines() if "val_per_class" in line]
    assert line.startswith("caat: data.val_per_class: caat steers by the errors on 5 validation")
    code, _, err = told_here("launch", "scenario.toml", "--set", "method.name=trades")
    assert code == 0
    assert "val_per_class" not in err
