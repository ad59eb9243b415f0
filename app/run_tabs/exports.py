"""The run's records, curves and model as files, made when they are asked for."""

import tempfile
from pathlib import Path

import streamlit as st

from app.data import cached
from app.text.markdown import explained
from db.reads.rows import RunDetail
from engine.errors import UserError
from tasks.results.export_request import KINDS, ExportKind, ExportRequest

_MADE = "export-made"
"""The last file of this session: run, kind, ending and content."""
NAMES = {
    "metrics": "Losses and errors",
    "classes": "Errors by class",
    "samples": "Samples' weights",
    "evaluations": "Test predictions",
    "suspects": "Label suspects",
    "model": "Model",
    "torch-export": "Model (torch.export)",
    "onnx": "Model (ONNX)",
    "card": "Model card",
    "tensorboard": "Curves (TensorBoard)",
    "mlflow": "Curves (MLflow)",
    "wandb": "Curves (W&B)",
}


def draw(run: RunDetail) -> None:
    """Offer one export at a time: what it is, which file, and the same as a command."""
    st.subheader("Export", anchor=False)
    left, right = st.columns([2, 1], vertical_alignment="bottom")
    with left:
        what = st.selectbox("What", list(KINDS), key="export-what", format_func=NAMES.__getitem__)
    kind = KINDS[what]
    with right:
        usual_first = kind.endings[::-1]
        ending = st.selectbox("File", usual_first, key=f"export-ending-{what}")
    missing = _why_not(kind)
    st.caption(f"{kind.holds}." if missing is None else explained(missing))
    is_wanted = st.button(
        "Make the file", icon=":material/build:", key="export", disabled=missing is not None
    )
    if is_wanted:
        _make(run.id, what, ending)
    made = st.session_state.get(_MADE)
    if made is not None and made[:3] == (run.id, what, ending):
        st.download_button(
            "Download",
            made[3],
            file_name=f"{what}-{run.id[:8]}{ending}",
            icon=":material/download:",
            key="export-download",
            on_click="ignore",
        )
    st.code(f"caat export {run.id[:8]} --what {what} --out {what}{ending}", language="bash")


def _make(run_id: str, what: str, ending: str) -> None:
    """Make a file and keep it for the download, or say why there is none."""
    from tasks.results import export

    st.session_state.pop(_MADE, None)
    with tempfile.TemporaryDirectory(prefix="caat-") as folder, st.spinner("Making the file"):
        out = Path(folder) / f"{what}{ending}"
        try:
            export.export(cached.database(), run_id, ExportRequest(what), out=out)
        except UserError as error:
            st.error(explained(str(error).removeprefix("RUN: ")), icon=":material/error:")
            return
        except OSError as error:
            st.error(explained(f"No file can be written there: {error.strerror or error}"))
            return
        st.session_state[_MADE] = (run_id, what, ending, out.read_bytes())


def _why_not(kind: ExportKind) -> str | None:
    try:
        kind.require_extra()
    except UserError as error:
        return str(error).removeprefix("--what: ")
    return None
