"""Which classes does somebody's model fail? Its weights, or its predictions, are taken in."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import streamlit as st

from app.components.page import link_run, page
from app.data import cached
from app.run.actions import ACTOR
from app.text.markdown import literal
from engine.attacks.base import ATTACKS
from engine.data.datasets.base import datasets
from engine.errors import UserError
from engine.models.backbones.base import BACKBONES
from tasks.audits import NORMALISATIONS, AuditRequest, submit_audit
from tasks.imports import ImportRequest, take_in
from tasks.queue.submit import NOT_SENT
from tasks.results.request import EvaluationRequest
from tasks.settings import settings

DONE = "taken-in"


@page
def render() -> None:
    st.title("Audit a model", anchor=False)
    st.caption(
        "A model or predictions of elsewhere become a row among the runs, with every page that "
        "asks which classes pay."
    )
    model, predictions = st.tabs(["A model's weights", "Another tool's predictions"])
    with model:
        _ask_weights()
    with predictions:
        _ask_predictions()
    done = st.session_state.get(DONE)
    if done is not None:
        st.success("Taken in.", icon=":material/check_circle:")
        link_run(done, "Open the run")


def _ask_weights() -> None:
    limit = settings().upload_limit_mb
    with st.form("audit", border=True):
        file = st.file_uploader(
            "Weights",
            type=["safetensors", "pt", "pth", "bin", "ckpt"],
            max_upload_size=limit,
            key="weights",
            help=f"safetensors, or a state dict of torch.save; nothing in it is executed. At most "
            f"{limit:,} MB; caat audit takes larger files.",
        )
        network, data, look = st.columns(3)
        with network:
            backbone = st.selectbox("Network", _networks(), key="network")
            architecture = st.text_input(
                "Architecture",
                key="architecture",
                placeholder="resnet18",
                help="Of torchvision or timm; our own networks have none",
            )
            width = st.text_input("Width", key="width", placeholder="the network's own")
        with data:
            names = {name: source.title for name, source in datasets().items()}
            dataset = st.selectbox(
                "Data", list(names), format_func=lambda name: names[name], key="audit-data"
            )
            normalise = st.selectbox(
                "Normalisation",
                ["as the file says", *NORMALISATIONS],
                key="normalise",
                help="What the images were normalised by when it was trained",
            )
            key = st.text_input(
                "Set of weights", key="key", help="Where the file holds several, such as ema"
            )
        with look:
            attacks = [name for name in ("autoattack", *ATTACKS.names()) if name in ATTACKS.names()]
            attack = st.selectbox("Attack", list(dict.fromkeys(attacks)), key="audit-attack")
            epsilon = st.text_input("Epsilon", "8/255", key="audit-epsilon")
            subset = st.text_input("Images", key="subset", placeholder="all of the test images")
        name = st.text_input("Name", key="audit-name", placeholder="the file's")
        checks = st.checkbox("Security curve and masking checks too", key="checks")
        if not st.form_submit_button("Audit", icon=":material/verified:", type="primary"):
            return
    if file is None:
        st.error("No weights are chosen; choose a file above.", icon=":material/block:")
        return

    def launch() -> str:
        with _as_file(file) as path:
            done = submit_audit(
                AuditRequest(
                    weights=path,
                    called=file.name[:200],
                    model=_model(backbone, architecture.strip(), width.strip()),
                    dataset=dataset,
                    key=key.strip() or None,
                    normalise=normalise if normalise in NORMALISATIONS else None,
                    name=name.strip(),
                    evaluation=EvaluationRequest(
                        attack=attack,
                        knobs={"epsilon": epsilon.strip() or None},
                        subset=_whole("Images", subset),
                        curve=checks,
                        masking=checks,
                    ),
                ),
                actor=ACTOR,
            )
        if not done.sent:
            st.warning(NOT_SENT, icon=":material/cloud_off:")
        return done.run_id

    _take(launch)


def _ask_predictions() -> None:
    with st.form("import", border=True):
        file = st.file_uploader(
            "Predictions",
            type=["csv", "npz", "parquet"],
            max_upload_size=settings().upload_limit_mb,
            key="predictions",
            help="Columns label, clean, and attacked or attacked_NAME: a class from 0 for each "
            "test image; an npz may hold logits",
        )
        left, right = st.columns(2)
        with left:
            by = st.text_input("Measured by", key="by", placeholder="tool x 1.2")
            data = st.text_input(
                "Data", key="import-data", help="One of ours has names for its classes"
            )
        with right:
            attack = st.text_input("Attack", key="import-attack")
            epsilon = st.text_input("Epsilon", key="import-epsilon", placeholder="8/255")
        name = st.text_input("Name", key="import-name", placeholder="the file's")
        if not st.form_submit_button("Import", icon=":material/input:", type="primary"):
            return
    if file is None:
        st.error("No predictions are chosen; choose a file above.", icon=":material/block:")
        return

    def launch() -> str:
        with _as_file(file) as path:
            return take_in(
                ImportRequest(
                    file=path,
                    called=file.name[:200],
                    by=by,
                    data=data.strip(),
                    attack=attack.strip(),
                    epsilon=epsilon.strip() or None,
                    name=name.strip(),
                ),
                actor=ACTOR,
            )

    _take(launch)


def _take(launch: Callable[[], str]) -> None:
    """Take something in and draw the page again; what is wrong with it is told here."""
    try:
        with st.spinner("Checking the file"):
            st.session_state[DONE] = launch()
    except UserError as error:
        for line in str(error).splitlines():
            st.error(literal(line), icon=":material/block:")
        return
    cached.forget_runs()
    st.rerun()


def _networks() -> list[str]:
    return BACKBONES.names()


def _model(backbone: str, architecture: str, width: str) -> dict[str, Any]:
    found: dict[str, Any] = {"backbone": backbone}
    if architecture:
        found["architecture"] = architecture
    if width:
        found["width"] = _whole("Width", width)
    return found


def _whole(what: str, text: str) -> int | None:
    if not text.strip():
        return None
    if not (text.strip().isdecimal() and len(text) < 10):
        raise UserError(f"{what}: {text!r} is not valid; write a whole number, or leave it empty")
    return int(text)


@contextmanager
def _as_file(upload: Any) -> Iterator[Path]:
    """Give an upload as a file with its own ending, gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="caat-upload-") as folder:
        path = Path(folder) / f"upload{Path(upload.name).suffix[:20].lower()}"
        with path.open("wb") as file:
            while chunk := upload.read(1 << 20):
                file.write(chunk)
        yield path


render()
