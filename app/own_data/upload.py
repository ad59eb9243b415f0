"""An upload: checked and shown first, and added by a second click."""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import streamlit as st

from app.own_data.shown import draw_dataset
from app.text.markdown import literal
from engine.data.added.staging import Staged
from engine.errors import UserError
from engine.names import visible
from engine.numbers import parse_number
from tasks import own_data
from tasks.settings import settings

KINDS = ["npz", "zip", "parquet"]
STAGED, TOLD = "own-data-staged", "own-data-told"


def draw_upload() -> None:
    """Take a file, check it, show what was found, and add it."""
    staged: Staged | None = st.session_state.get(STAGED)
    with st.container(border=True):
        st.subheader("Add a dataset", anchor=False)
        if staged is None:
            _draw_fields()
        else:
            _draw_staged(staged)
    if told := st.session_state.pop(TOLD, None):
        st.success(literal(told), icon=":material/check_circle:")


def _draw_fields() -> None:
    limit = settings().upload_limit_mb
    st.caption(
        literal(
            f"A zip of one folder for each class (PNG, JPEG, WebP), an .npz with x and y, or "
            f"Parquet as Hugging Face has it. At most {limit:,} MB here (CAAT_UPLOAD_LIMIT_MB); "
            "larger ones and folders: caat data add PATH --name NAME."
        )
    )
    left, right = st.columns(2)
    shared: dict[str, Any] = {"type": KINDS, "max_upload_size": limit}
    file = left.file_uploader("Images with labels", key="own-data-file", **shared)
    test = right.file_uploader("Test part, if it has one", key="own-data-test", **shared)
    one, two, three = st.columns(3)
    name = one.text_input("Name", key="own-data-name", placeholder="my-photos")
    size = two.text_input("Side in pixels", key="own-data-size", placeholder="median, up to 64")
    share = three.text_input("Share for the test part", key="own-data-share", placeholder="0.2")
    pressed = st.button("Check it", type="primary", key="own-data-check", disabled=file is None)
    if not pressed or file is None:
        return
    try:
        staged = _checked([file, test], name.strip(), size=size, share=share)
    except UserError as error:
        st.error(literal(f"Nothing was added. {error}"), icon=":material/block:")
    except OSError as error:
        st.error(literal(f"Nothing was added. {error.strerror}"), icon=":material/block:")
    else:
        st.session_state[STAGED] = staged
        st.rerun()


def _checked(files: Sequence[Any], name: str, *, size: str, share: str) -> Staged:
    bar = st.progress(0.0, "Storing the upload")
    try:
        with tempfile.TemporaryDirectory(prefix="caat-") as folder:
            paths = [_stored(file, Path(folder) / str(n)) for n, file in enumerate(files) if file]
            wanted = own_data.Wanted(
                paths[0],
                name,
                paths[1] if len(paths) > 1 else None,
                _number(share, "Share for the test part"),
                _whole(size),
            )
            return own_data.staged(
                wanted,
                lambda what, done, total: bar.progress(
                    min(done / total, 1.0), f"{what}: {done:,} of {total:,} images"
                ),
            )
    finally:
        bar.empty()


def _stored(file: Any, folder: Path) -> Path:
    """Write an upload to a folder of its own, under a name that is one there."""
    folder.mkdir()
    path = folder / visible(Path(str(file.name).replace("\\", "/")).name)[-100:]
    with path.open("wb") as sink:
        sink.write(file.getbuffer())
    return path


def _number(text: str, what: str) -> float | None:
    number = parse_number(text) if text.strip() else None
    if text.strip() and number is None:
        raise UserError(f"{what}: {text[:40]!r} is no number")
    return number


def _whole(text: str) -> int | None:
    number = _number(text, "Side in pixels")
    if number is not None and not (number.is_integer() and abs(number) < 10**6):
        raise UserError(f"Side in pixels: {text[:40]!r} is no whole number")
    return None if number is None else int(number)


def _draw_staged(staged: Staged) -> None:
    st.markdown(f"**{literal(staged.dataset.name)}** is checked, and not added yet.")
    with st.container(horizontal=True):
        if staged.same_as is None:
            st.button("Add", type="primary", key="own-data-add", on_click=_add, args=(staged,))
        else:
            same = literal(staged.same_as)
            st.warning(f"The same images and labels are here already, as {same}.")
        st.button("Forget it", key="own-data-forget", on_click=_forget, args=(staged,))
    draw_dataset(staged.dataset, "staged")


def _add(staged: Staged) -> None:
    st.session_state.pop(STAGED, None)
    try:
        one = own_data.keep(staged)
    except UserError as error:
        st.session_state[TOLD] = f"Nothing was added. {error}"
    else:
        st.session_state[TOLD] = f"{one.name} is added; New run lists it."


def _forget(staged: Staged) -> None:
    st.session_state.pop(STAGED, None)
    staged.drop()
