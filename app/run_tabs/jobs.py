"""Evaluations that workers make of a run: what was asked for, how far each is, and another one."""

import streamlit as st

from app.components.dialog import asked
from app.components.run_line import badge
from app.data import cached
from app.data import evaluations as looks
from app.run.actions import ACTOR, action_buttons
from app.text.markdown import explained, literal
from app.text.progress import whereabouts
from db.reads.rows import RunDetail, RunRow
from engine.attacks.base import ATTACKS
from engine.errors import UserError
from tasks import jobs
from tasks.queue.submit import NOT_SENT
from tasks.results.request import EvaluationRequest


def draw(run: RunDetail) -> None:
    """Draw the run's jobs, and a form that queues another."""
    active = _active(cached.jobs(run.id))
    every = cached.REFRESH_SECONDS if active else None
    st.fragment(_draw_jobs, run_every=every)(run.id, active=active)
    if not run.is_active:
        _draw_form(run)


def _active(found: list[RunRow]) -> list[str]:
    return [job.id for job in found if job.is_active]


def _draw_jobs(run_id: str, *, active: list[str]) -> None:
    found = cached.jobs(run_id)
    if asked():
        st.rerun()
    if _active(found) != active:  # one has ended: what it found stands above
        looks.evaluations.clear()
        st.rerun()
    if not found:
        return
    st.subheader("Jobs about this run", anchor=False)
    for job in found:
        _draw_job(job)


def _draw_job(job: RunRow) -> None:
    with st.container(horizontal=True, vertical_alignment="center", key=f"job-{job.id}"):
        badge(job)
        st.page_link(
            "views/run.py",
            label=literal(f"{job.kind}: {job.name}"),
            query_params={"id": job.id},
        )
        st.space("stretch")
        action_buttons(job, f"job-{job.id[:8]}")
    if job.is_active:
        st.progress(min(job.progress, 1.0), text=literal(whereabouts(job)))
    elif job.message:
        st.caption(literal(job.message))


def _draw_form(run: RunDetail) -> None:
    st.subheader("Evaluate once more", anchor=False)
    st.caption(
        "A worker attacks the model that the run ended with; what it says of every image is stored "
        "beside the run."
    )
    with st.form("evaluate", border=False):
        left, right = st.columns(2)
        with left:
            attack = st.selectbox("With the attack", list(ATTACKS.names()), key="evaluate-attack")
        with right:
            subset = st.number_input(
                "Images",
                min_value=1,
                value=None,
                placeholder="All",
                key="evaluate-subset",
                help="A stratified part of the test images; what it leaves out is not looked at",
            )
        curve = st.checkbox("Robust error by radius", key="evaluate-curve")
        masking = st.checkbox("Look for masked gradients", key="evaluate-masking")
        if st.form_submit_button("Queue it", icon=":material/playlist_add:"):
            request = EvaluationRequest(
                attack=attack or "pgd", subset=subset, curve=curve, masking=masking
            )
            _queue(run, request)
    st.caption("Other radii, norms, steps and seeds, here or in the queue:")
    st.code(f"caat evaluate {run.id[:8]} --attack apgd --epsilon 4/255 --queue", language="bash")


def _queue(run: RunDetail, request: EvaluationRequest) -> None:
    try:
        done = jobs.submit_evaluation(run.id, request, actor=ACTOR)
    except UserError as error:
        st.error(explained(str(error)), icon=":material/error:")
        return
    told = "Queued" if done.created else "It is asked for already"
    st.toast(told if done.sent else NOT_SENT, icon=":material/info:")
    cached.forget_runs()
    st.rerun()
