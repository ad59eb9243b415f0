"""Training images before the launch, and what the threat model does to one of them."""

from typing import Any

import streamlit as st

from app.compare.runs import Finished, finished
from app.components.images import amplification, amplified, enlarged, moved
from app.data import cached
from app.text.format import percent
from app.text.markdown import literal
from engine.errors import UserError
from engine.inspection.single_image import Glance
from engine.names import visible
from engine.scenario import Scenario
from engine.types import ImageSet
from tasks.results import preview

NUMBER = 12
PER_ROW = 6


def draw_images(scenario: Scenario) -> None:
    """Draw training images and one attacked image, once they are asked for."""
    source = scenario.data.source
    if not st.toggle("Show training images and an attack", key="images", bind="query-params"):
        return
    if not preview.is_here(scenario.data):
        st.caption(f"{literal(source.title)} is not on this machine yet; the launch fetches it.")
        return
    key = (scenario.data.model_dump_json(), scenario.seed, scenario.training.with_meta)
    shown = _images(key, scenario)
    names = tuple(visible(name) for name in source.class_names)
    _draw_strip(shown, names)
    place = st.selectbox(
        "Attacked image",
        range(len(shown)),
        key="attacked-image",
        format_func=lambda row: f"{row + 1}: {names[shown.labels[row]]}",
    )
    _draw_attack(scenario, shown, place or 0)


@st.cache_data(ttl=600, max_entries=8, show_spinner="Drawing training images")
def _images(key: tuple[object, ...], _scenario: Scenario) -> ImageSet:
    return preview.drawn_images(_scenario, NUMBER)


def _draw_strip(shown: ImageSet, names: tuple[str, ...]) -> None:
    wrong = int((shown.labels != shown.true_labels).sum())
    st.markdown(f"**{len(shown)} training images, drawn at random**")
    for start in range(0, len(shown), PER_ROW):
        rows = range(start, min(start + PER_ROW, len(shown)))
        for column, row in zip(st.columns(PER_ROW), rows, strict=False):
            given, true = names[shown.labels[row]], names[shown.true_labels[row]]
            is_wrong = given != true
            told = f":red[✗ {literal(given)}, is {literal(true)}]" if is_wrong else literal(given)
            with column:
                alt = f"Image {row + 1}, given label {given}" + (
                    f", true {true}" if is_wrong else ""
                )
                st.image(enlarged(shown.images[row]), alt=alt, output_format="PNG")
                st.markdown(f":small[{row + 1}: {told}]")
    if wrong:
        st.caption(f"{wrong} of them with a wrong label, marked ✗.")


def _draw_attack(scenario: Scenario, shown: ImageSet, place: int) -> None:
    key = (
        scenario.data.model_dump_json(),
        scenario.threat.model_dump_json(),
        scenario.model.model_dump_json(),
        (scenario.training.with_meta, scenario.training.start_from),
        scenario.seed,
        place,
    )
    image, label = shown.images[place], int(shown.labels[place])
    looks = {}
    try:
        looks["by the model as it starts"] = _untrained(key, scenario, image, _label=label)
    except UserError as error:
        st.caption(f"The model is not shown as it starts. {literal(str(error))}")
    run = next((run for run in finished() if run.dataset == scenario.data.dataset), None)
    if run is not None:
        try:
            seen = _trained(key, run.id, scenario, _image=image, _label=label)
            looks[f"by a trained model: {_called(run)}, {seen.checkpoint}"] = seen.glance
        except UserError as error:
            st.caption(f"No trained model is shown. {literal(str(error))}")
    deltas = [d for look in looks.values() for name, d in look.deltas.items() if name != "image"]
    factor = amplification(deltas)
    for title, look in looks.items():
        st.markdown(f"**Attacked** {literal(title)}")
        _draw_look(look, image, (label, scenario.data.source.class_names), factor=factor)
    st.caption(
        "Adversary: moved so that the loss on the given label rises; anti-adversary: so that it "
        f"falls; both within the threat model. Changes are shown {factor} times enlarged."
        + ("" if run is not None else " A trained model stands here once a run has finished.")
    )


def _called(run: Finished) -> str:
    return f"{run.title}, seed {run.seed}"


@st.cache_data(ttl=600, max_entries=16, show_spinner="Attacking one image")
def _untrained(key: tuple[object, ...], _scenario: Scenario, _image: Any, *, _label: int) -> Glance:
    return preview.by_untrained(_scenario, _image, _label)


@st.cache_data(ttl=600, max_entries=16, show_spinner="Attacking one image")
def _trained(
    key: tuple[object, ...], run_id: str, _scenario: Scenario, *, _image: Any, _label: int
) -> preview.Trained:
    return preview.by_trained(
        cached.database(), run_id, _scenario.threat, image=_image, label=_label
    )


def _draw_look(
    look: Glance, image: Any, label: tuple[int, tuple[str, ...]], *, factor: int
) -> None:
    given, names = label
    tiles = [("Image", image, _told(look, "image", given, names=names))]
    for name, title in (("adversary", "Adversary"), ("anti_adversary", "Anti-adversary")):
        delta = look.deltas[name]
        tiles.append((title, moved(image, delta), _told(look, name, given, names=names)))
        tiles.append(("Change", amplified(delta, factor), ""))
    for column, (title, pixels, told) in zip(st.columns(len(tiles)), tiles, strict=True):
        with column:
            st.image(enlarged(pixels), alt=f"{title} {told}".strip(), output_format="PNG")
            st.caption(f"**{title}** {literal(told)}")


def _told(look: Glance, view: str, given: int, *, names: tuple[str, ...]) -> str:
    """Say what the model takes a view for, and how sure it is of the given label."""
    called = names[look.predictions[view]]
    return f"says {called}; {percent(look.probabilities[view], 0)} for {names[given]}"
