"""The tabs of a run's page, in their order, and what draws each."""

from app.run_tabs import attack, classes, live, log, samples, setup

TABS = {
    "Live": live.draw,
    "Classes": classes.draw,
    "Samples": samples.draw,
    "Attack": attack.draw,
    "Setup": setup.draw,
    "Log": log.draw,
}
