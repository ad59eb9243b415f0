"""Whatever is in the broker is looked at once, at most starts a run, and never piles up."""

import base64
import json
import time
import zlib

import pytest
import redis
from hypothesis import given
from hypothesis import strategies as st

from db.models import RunStatus
from db.writes import transitions
from tasks.queue.message import (
    MOST_BYTES,
    TASK,
    UnreadableError,
    message,
    task_id_in,
)
from tasks.queue.messages import SET_ASIDE, SET_ASIDE_COUNT, key_of
from tasks.queue_names import at_broker, from_broker, is_queue
from tests.real import stand_in
from tests.real.studio import Studio

KEY = key_of("default")
RUN_ID = "0123456789abcdef" * 2
TASK_ID = f"{RUN_ID}.3"
NOTHING = {"callbacks": None, "errbacks": None, "chain": None, "chord": None}
OTHER = {"task": "celery.backend_cleanup", "args": [], "kwargs": {}, "options": {}}
ANY_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_subnormal=False)
    | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4)
    ),
    max_leaves=12,
)


def changed(*, also: dict[str, object] | None = None, body: object = None, **fields: object):
    """A run's message with something else in some places, and with other headers also."""
    told = json.loads(message(TASK_ID))
    told["headers"] |= also or {}
    if body is not None:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        told["body"] = base64.b64encode(data).decode()
    return json.dumps(told | fields).encode()


BOMB = base64.b64encode(zlib.compress(bytes(5_000_000)))
UNREADABLE = {
    "garbage": b"\x00\xff not JSON",
    "empty": b"",
    "a number": b"7",
    "a list": b"[]",
    "deep": b"[" * 12_000,
    "a huge number": b"9" * 10_000,
    "an empty object": b"{}",
    "body not base64": changed() .replace(b'"body": "', b'"body": "!!'),
    "body not JSON": changed(body=b"\x80\x04}."),
    "body an object": changed(body={"a": 1}),
    "body too short": changed(body=[[RUN_ID]]),
    "body too long": changed(body=[[RUN_ID], {}, NOTHING, 1]),
    "body null": changed(body=b"null"),
    "body no text": changed().replace(b'"body": "', b'"body": 1, "bodx": "'),
    "arguments no list": changed(body=["a", {}, NOTHING]),
    "named arguments no object": changed(body=[[RUN_ID], [], NOTHING]),
    "embedded no object": changed(body=[[RUN_ID], {}, None]),
    "no argument": changed(body=[[], {}, NOTHING]),
    "two arguments": changed(body=[[RUN_ID, RUN_ID], {}, NOTHING]),
    "an argument by name": changed(body=[[], {"run_id": RUN_ID}, NOTHING]),
    "a run id with an escape": changed(body=[["\x1b[2J" + RUN_ID[4:]], {}, NOTHING]),
    "a run id with a newline": changed(body=[[RUN_ID + "\n"], {}, NOTHING]),
    "a run id that is a path": changed(body=[["../../etc/passwd"], {}, NOTHING]),
    "a run id that is a number": changed(body=[[1], {}, NOTHING]),
    "a callback": changed(body=[[RUN_ID], {}, NOTHING | {"callbacks": [OTHER]}]),
    "an error callback": changed(body=[[RUN_ID], {}, NOTHING | {"errbacks": [OTHER]}]),
    "a chain": changed(body=[[RUN_ID], {}, NOTHING | {"chain": [OTHER]}]),
    "a chord": changed(body=[[RUN_ID], {}, NOTHING | {"chord": OTHER}]),
    "another task": changed(also={"task": "no.such.task"}),
    "a task of Celery": changed(also={"task": "celery.backend_cleanup"}, body=[[], {}, NOTHING]),
    "a task that is a list": changed(also={"task": [TASK]}),
    "a time in ten years": changed(also={"eta": "2036-01-01T00:00:00"}),
    "a time that is none": changed(also={"eta": "tomorrow"}),
    "an expiry": changed(also={"expires": {"a": 1}}),
    "a group": changed(also={"group": "g"}),
    "no id": changed(also={"id": None}),
    "the id of no run": changed(also={"id": "7b0c2a56-8a58-4d6c-9a3e-0f5f7c1f2a11"}),
    "the id of another run": changed(also={"id": f"{'f' * 32}.3"}),
    "queued no time": changed(also={"id": f"{RUN_ID}.0"}),
    "queued too often": changed(also={"id": f"{RUN_ID}.{10**9}"}),
    "no headers": changed(headers=[]),
    "no properties": changed(properties=None),
    "another encoding": changed(properties={"body_encoding": "rot13"}),
    "pickle": changed(**{"content-type": "application/x-python-serialize"}),
    "yaml": changed(**{"content-type": "application/x-yaml"}),
    "compressed": changed(also={"compression": "application/x-gzip"}, body=[[RUN_ID], {}, {}]),
    "a bomb": changed(also={"compression": "zlib"}).replace(b'"body": "', b'"body": "' + BOMB),
    "huge": changed(body=[[RUN_ID], {}, NOTHING], padding="x" * 20_000_000),
    "Celery's first protocol": json.dumps(
        {"task": TASK, "id": "1", "args": [RUN_ID], "kwargs": {}}
    ).encode(),
}  # fmt: skip


@pytest.mark.parametrize("entry", UNREADABLE.values(), ids=UNREADABLE.keys())
def test_what_is_not_the_message_of_one_run_is_refused_with_a_short_reason(entry):
    with pytest.raises(UnreadableError) as refused:
        task_id_in(entry)
    assert str(refused.value).isprintable()
    assert len(str(refused.value)) < 150


@given(
    st.text(alphabet="0123456789abcdef", min_size=32, max_size=32),
    st.integers(min_value=1, max_value=999_999_999),
)
def test_a_task_is_read_from_its_own_message(run_id, times_queued):
    task = f"{run_id}.{times_queued}"
    assert task_id_in(message(task)) == task
    assert len(message(task)) < MOST_BYTES


@given(st.from_regex(r"[a-z0-9](-?[a-z0-9]){0,39}", fullmatch=True).filter(lambda q: len(q) < 41))
def test_a_queue_is_read_from_its_name_at_the_broker(queue):
    assert is_queue(queue)
    assert from_broker(at_broker(queue)) == queue
    assert key_of(queue) == f"caat:{at_broker(queue)}"


@pytest.mark.parametrize(
    "name", ["", "caat.", "caat..", "caat.default", "caat.A", "caat.a-", "caat.a--b", "caat.a.b",
             "caat.a\n", f"caat.{'a' * 41}", "elsewhere", "caatx", "x.caat", "set-aside"]
)  # fmt: skip
def test_what_is_no_queue_of_ours_at_the_broker_is_none(name):
    assert from_broker(name) is None


@given(st.binary(max_size=200) | ANY_JSON.map(lambda value: json.dumps(value).encode()))
def test_arbitrary_bytes_and_json_never_fail_in_another_way(entry):
    with pytest.raises(UnreadableError):
        task_id_in(entry)


@given(
    st.sampled_from(["headers", "properties", "content-type", "body"]),
    ANY_JSON,
    ANY_JSON,
)
def test_with_anything_in_any_place_the_only_answer_is_the_run_or_a_refusal(place, inside, body):
    entry = json.loads(changed(body=body)) | {place: inside}
    with pytest.raises(UnreadableError):
        task_id_in(json.dumps(entry).encode())


def broker_of(studio: Studio) -> "redis.Redis":
    return redis.Redis(unix_socket_path=str(studio.socket))


def output(studio: Studio) -> str:
    return (studio.folder / "output.txt").read_text(errors="replace")


def starts_at_a_message(studio: Studio) -> None:
    run_id = studio.queue()
    broker_of(studio).lpush(KEY, message(f"{run_id}.1"))
    studio.wait_for(lambda: studio.run(run_id).attempt == 1, "the claim", 60)
    studio.wait_for(lambda: studio.run(run_id).status != "running", "the end")


@pytest.fixture
def quiet_studio(sqlite_studio):
    """An installation in which only a message starts a run, with a stand-in for the trainer."""
    sqlite_studio.environment["CAAT_SWEEP_SECONDS"] = "600"
    for name, value in stand_in.SETTINGS.items():
        sqlite_studio.environment.setdefault(f"CAAT_{name.upper()}", str(value))
    stand_in.put_in(sqlite_studio)
    sqlite_studio.start_broker()
    return sqlite_studio


def test_a_worker_sets_every_unreadable_message_aside_after_one_look_and_obeys_those_between(
    quiet_studio,
):
    studio, client = quiet_studio, broker_of(quiet_studio)
    client.sadd("caat:_kombu.binding.caat", "garbage", "a\x06\x16b\x06\x16elsewhere", b"\xff")
    client.hset("caat:unacked", "tag", "garbage")
    client.zadd("caat:unacked_index", {"tag": 0})
    client.lpush("caat:caat\x06\x163", b"garbage in a step of priority")
    client.set(SET_ASIDE_COUNT, "no number")
    worker = studio.start_worker()
    starts_at_a_message(studio)
    for entry in UNREADABLE.values():
        client.lpush(KEY, entry)
    client.lpush(KEY, message(f"{'f' * 32}.1"))  # of a run that is not there
    starts_at_a_message(studio)  # or at the look at the table that follows the end of a run
    studio.wait_for(lambda: client.llen(KEY) == 0, "what came before it")
    client.set(KEY, "no list of messages")
    studio.wait_for(lambda: client.exists(KEY) == 0, "the key's mending")
    starts_at_a_message(studio)
    studio.wait_for(lambda: studio.num_messages() == 0, "the last message")
    assert worker.poll() is None
    kept = client.lrange(SET_ASIDE, 0, -1)
    assert len(kept) == len(UNREADABLE) + 2  # the key itself, and what was not acknowledged
    assert max(map(len, kept)) < 2000
    assert client.exists("caat:elsewhere") == 0
    told = output(studio)
    assert "Traceback" not in told
    assert told.count("set aside") == 1
    client.close()


def test_waiting_messages_are_never_more_than_waiting_runs_and_come_back_after_a_loss(
    sqlite_studio,
):
    studio = sqlite_studio
    hurry = {"resend_after_seconds": 0.2, "sweep_seconds": 0.1, **stand_in.SETTINGS}
    studio.environment |= {f"CAAT_{name.upper()}": str(value) for name, value in hurry.items()}
    stand_in.put_in(studio)
    studio.start_broker()
    client = broker_of(studio)
    held = studio.queue()
    stand_in.hold(studio, held)
    studio.start_worker()
    studio.wait_for(lambda: held in stand_in.started(studio), "a busy worker")
    waiting = [studio.queue() for _ in range(110)]
    studio.wait_for(lambda: client.llen(KEY) == len(waiting), "a message for each run")
    until = time.monotonic() + 4  # twenty times the pause after which a message is sent again
    while time.monotonic() < until:
        assert client.llen(KEY) == len(waiting)
        time.sleep(0.01)
    pushed = client.info("commandstats")["cmdstat_lpush"]["calls"]
    assert pushed <= len(waiting) + 2

    client.flushall()
    studio.wait_for(lambda: client.llen(KEY) == len(waiting), "the messages again")
    with studio.database.write() as session:
        for run_id in waiting[10:]:
            assert transitions.request_stop(session, run_id, "tester") is RunStatus.CANCELLED
    for entry in (
        b"garbage",
        message(f"{'f' * 32}.1"),
        message(f"{waiting[0]}.1"),
        changed(body=[[], {}, {}]),
    ):
        client.lpush(KEY, entry)
    studio.wait_for(lambda: client.llen(KEY) == 10, "the messages of the cancelled runs to go")
    assert client.llen(SET_ASIDE) == 2

    stand_in.let_go(studio, held)
    studio.wait_for(lambda: stand_in.started(studio).keys() >= set(waiting[:10]), "every start")
    studio.wait_for(lambda: client.llen(KEY) == 0, "an empty queue")
    assert all(len(starts) == 1 for starts in stand_in.started(studio).values())
    client.close()


def test_the_doctor_tells_of_hostile_messages_and_a_command_shows_them_safely_and_forgets_them(
    told_here, sqlite_studio
):
    def doctors_words() -> list[str]:
        lines = told_here("doctor")[1].splitlines()
        return next((line.split() for line in lines if line.split()[1] == "messages"), [])

    sqlite_studio.start_broker()
    client = broker_of(sqlite_studio)
    assert doctors_words() == []
    garbage = b"\x1b]0;yours\x07\x1b[2J\r\nBAD  broker"
    client.lpush(KEY, garbage, changed(also={"task": "no.such.task"}))
    _, run_id, _ = told_here("launch", "scenario.toml")
    assert client.lrange(KEY, 0, -1) == [message(f"{run_id.strip()}.1")]
    told = (
        "ok messages 2 messages could not be read and were set aside; no run is harmed: "
        "`caat messages` shows them, `caat messages --forget` ends this line"
    )
    assert doctors_words() == told.split()

    client.lpush(SET_ASIDE, b"\x1b[2J forged\nBAD  broker\x00\xff")  # by whoever reaches the broker
    code, out, err = told_here("messages")
    assert (code, err) == (0, "")
    forged, *seen, count = out.splitlines()
    assert forged == "?[2J forged?BAD  broker?\ufffd"
    assert sorted(line.split(" UTC, ")[1].split(":")[0] for line in seen) == [
        "it cannot be read as a JSON object",
        "it names another task than ours",
    ]
    assert any(line.endswith(repr(garbage)) for line in seen)
    assert all(line.isprintable() for line in seen)
    assert count == "3 set aside"
    as_json = json.loads(told_here("messages", "--json")[1])
    assert as_json == {"count": 3, "newest": [forged, *seen]}

    assert told_here("messages", "--forget") == (
        0,
        out.replace(count, f"{count} and forgotten"),
        "",
    )
    assert doctors_words() == []
    assert told_here("messages") == (0, "0 set aside\n", "")
    assert client.lrange(KEY, 0, -1) == [message(f"{run_id.strip()}.1")]
    client.close()


def test_without_a_broker_the_messages_cannot_be_shown_and_that_is_one_line(told_here):
    line = "caat: the broker does not answer: `caat doctor` says more\n"
    assert told_here("messages") == (2, "", line)
    assert told_here("messages", "--forget") == (2, "", line)
