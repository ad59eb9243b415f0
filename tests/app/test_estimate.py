"""The estimate before a launch: measured, scaled, and honest about what is not known."""

import pytest

from app.new_run.estimate import estimate, memory_in_words, time_in_words
from db.reads.throughput import TimedRun, timed_runs
from engine.scenario import Scenario


def timed(method: str, seconds: float, *, epochs=10, num_train=1000, steps=10, **facts) -> TimedRun:
    scenario = Scenario.model_validate(
        {"method": {"name": method}, "threat": {"num_steps": steps}}
    ).as_json()
    known = {"num_train": num_train, "num_parameters": 10**6, "device": "cpu"}
    return TimedRun(method, scenario, epochs, known | facts, seconds)


def planned(*methods: str, seeds: int = 1, epochs: int = 20, steps: int = 10) -> list[Scenario]:
    return [
        Scenario.model_validate(
            {
                "method": {"name": method},
                "seed": seed,
                "training": {"epochs": epochs},
                "threat": {"num_steps": steps},
            }
        )
        for method in methods
        for seed in range(seeds)
    ]


def test_time_grows_with_epochs_images_steps_and_runs():
    earlier = [timed("trades", 60)]
    assert estimate(planned("trades"), earlier, 1000).seconds == pytest.approx(120)
    assert estimate(planned("trades"), earlier, 500).seconds == pytest.approx(60)
    assert estimate(planned("trades", seeds=3), earlier, 1000).seconds == pytest.approx(360)
    other = estimate(planned("trades", steps=21), earlier, 1000)
    assert other.seconds == pytest.approx(240)
    assert other.scaled


def test_each_method_counts_as_its_own_earlier_runs_did():
    earlier = [timed("trades", 60), timed("caat", 200), timed("caat", 220), timed("caat", 210)]
    found = estimate(planned("trades", "caat", "mart"), earlier, 1000)
    assert found.seconds == pytest.approx(120 + 420)
    assert (found.measured, found.unknown) == (4, ["mart"])
    assert "Not in it, as never measured: mart" in time_in_words(found, 3, 1)


def test_runs_of_another_model_or_another_device_say_nothing():
    wide = timed("trades", 60)
    wide.scenario["model"]["width"] = 99
    on_gpu = timed("trades", 1, device="cuda:0")
    assert estimate(planned("trades"), [wide], 1000).measured == 0
    found = estimate(planned("trades"), [on_gpu, timed("trades", 60)], 1000)
    assert (found.device, found.measured, found.seconds) == ("cuda:0", 1, pytest.approx(2))


def test_runs_with_as_many_attack_steps_are_preferred():
    earlier = [timed("trades", 60), timed("trades", 500, steps=20)]
    found = estimate(planned("trades"), earlier, 1000)
    assert (found.seconds, found.scaled) == (pytest.approx(120), False)


def test_the_words_say_where_and_from_what():
    found = estimate(planned("trades", seeds=3), [timed("trades", 60)], 1000)
    assert (
        time_in_words(found, 3, 1)
        == "About 6 min 0 s on cpu, one after the other, from 1 earlier run."
    )
    assert "About 3 min 0 s on cpu, shared by 2 workers" in time_in_words(found, 3, 2)
    assert "at least 12 MiB" in memory_in_words(found)  # 12 MB and 1,797 images of 64 bytes


def test_without_a_measurement_nothing_is_claimed():
    found = estimate(planned("trades"), [], 1000)
    assert "No time can be told yet" in time_in_words(found, 1, 1)
    assert memory_in_words(found) == ""


def test_only_runs_that_finished_in_one_attempt_are_timed(studio):
    finished = studio.finished("A", epochs=4)
    studio.running("B")
    studio.failed("C", "lost")
    with studio.database.read() as session:
        (timed_run,) = timed_runs(session, "digits")
        assert timed_runs(session, "mnist") == []
    assert (timed_run.method, timed_run.epochs) == ("caat", 4)
    assert timed_run.facts["num_train"] == 200
    assert timed_run.seconds >= 0
    assert finished


def test_the_form_says_what_a_launch_will_take(studio, open_page):
    def said(page) -> str:
        return " ".join(caption.value.replace("\\", "") for caption in page.caption)

    assert "No time can be told yet" in said(open_page("new_run"))
    studio.finished("A", model={"name": "small-cnn"})
    import streamlit as st

    st.cache_data.clear()
    assert "from 1 earlier run" in said(open_page("new_run"))
