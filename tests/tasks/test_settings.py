"""What the environment says is checked setting by setting; a mistake is one line, wherever."""

import json
import logging
import math
import os
import re
import subprocess
import sys
import threading
import warnings
from pathlib import Path
from urllib.parse import quote

import pytest
import redis
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from redis.connection import parse_url as redis_parts

from app.cli.main import main
from db.errors import SettingsError
from db.reads import queries
from db.session import Database
from db.settings import display_url, read_settings, sqlite_url
from db.urls import UrlError
from tasks import broker_url, doctor
from tasks.processes import secrecy
from tasks.queue import broker
from tasks.queue.celery_app import celery_app
from tasks.settings import Settings, embedded_broker, settings, socket_path
from tests.real.studio import Studio

NUMBERS = [
    *("lease_seconds", "heartbeat_seconds", "sweep_seconds", "resend_after_seconds"),
    *("stop_grace_seconds", "retry_after_seconds", "max_lost_attempts"),
]
WRONG = {
    "CAAT_LEASE_SECONDS": "abc",
    "CAAT_HEARTBEAT_SECONDS": "nan",
    "CAAT_MAX_LOST_ATTEMPTS": "2.5",
    "CAAT_DASHBOARD_PUBLIC": "perhaps",
    "CAAT_DASHBOARD_ADDRESS": "http://localhost:8501/",
    "CAAT_DEVICE": "gpu0",
    "CAAT_DATA_DIR": "/etc/passwd/data",
    "CAAT_BROKER_URL": "amqp://caat:hunter2@rabbit//",
    "CAAT_DATABASE_URL": "postgresql://caat:hunt@er2@host/db",
    "CAAT_BROKER_PASSWORD_FILE": "hunter2",
    "CAAT_RING_AGAIN_SECONDS": "hunter2",
}
BROKERS = [
    *("amqp://h", "sentinel://a:1;sentinel://b:2", "sqs://", "garbage", "redis://h:port/0"),
    *("redis://:badport", "redis://h:1/one", "redis://h:1/0?token=hunter2", "redis://:p@ss@h/0"),
    *("redis://:p/ss@h:1/0", "redis+socket://relative", "memory://x", "redis://h:70000/0", "://"),
    *("redis://a..b:1/0", "redis://h:1/0?ssl_cert_reqs=none", "rediss://h?ssl_cert_reqs=maybe"),
]
PASSWORDS = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), min_size=4, max_size=20
).map(lambda text: f"q7{text}z9")


@pytest.fixture(autouse=True)
def no_settings_from_outside(monkeypatch, tmp_path):
    for name in [name for name in os.environ if name.startswith("CAAT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("CAAT_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)
    forget()
    yield
    forget()


def forget() -> None:
    settings.cache_clear()
    secrecy.secrets.cache_clear()


def mistakes() -> list[str]:
    with pytest.raises(SettingsError) as refused:
        read_settings(Settings)
    return refused.value.mistakes


# -- each setting by itself


@pytest.mark.parametrize("name", NUMBERS)
@given(value=st.floats().filter(lambda v: not 0 <= v <= 1e6) | st.text("abc-+.,", min_size=1))
def test_a_number_that_makes_no_sense_is_named_with_what_is_allowed(name, value):
    variable = f"CAAT_{name.upper()}"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(variable, str(value))
        (told,) = mistakes()
    assert told.startswith(f"{variable}: {str(value)!r} must be a ")
    assert re.search(r"number from [0-9.]+ to [0-9,]+$", told)


@pytest.mark.parametrize("name", NUMBERS)
def test_every_number_that_is_taken_is_finite(name, monkeypatch):
    assert math.isfinite(getattr(read_settings(Settings), name))


def test_all_mistakes_are_told_at_once_and_none_shows_a_secret(monkeypatch):
    for name, value in WRONG.items():
        monkeypatch.setenv(name, value)
    told = mistakes()
    alone = {name for name in WRONG if not name.endswith("_FILE")}
    assert {line.partition(":")[0] for line in told} == alone
    assert "er2" not in "".join(told)


def test_a_heartbeat_must_fit_twice_into_the_lease(monkeypatch):
    monkeypatch.setenv("CAAT_HEARTBEAT_SECONDS", "31")
    assert mistakes()[0].startswith("CAAT_HEARTBEAT_SECONDS: 31 must be at most half of")
    monkeypatch.setenv("CAAT_LEASE_SECONDS", "62")
    assert read_settings(Settings).heartbeat_seconds == 31


@pytest.mark.parametrize("kind", ["file", "below a file", "dead link", "no user"])
def test_a_data_directory_that_can_be_none_is_told(kind, monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    (tmp_path / "dead link").symlink_to(tmp_path / "gone")
    path = {"below a file": "file/data", "no user": "~no-such-user/x"}.get(kind, kind)
    monkeypatch.setenv("CAAT_DATA_DIR", path)
    (told,) = mistakes()
    assert told.startswith(f"CAAT_DATA_DIR: {path!r} cannot be used: ")


def test_a_data_directory_that_cannot_be_made_is_one_line(monkeypatch, capsys):
    monkeypatch.setenv("CAAT_DATA_DIR", "/proc/caat")  # not even root makes a folder there
    forget()
    code, told = command(capsys, monkeypatch, "status")
    assert code == 2
    assert told.startswith("caat: CAAT_DATA_DIR: /proc/caat cannot be used: ")
    assert not {f.part: f for f in doctor.examine()}["data directory"].ok


# -- the file


@pytest.mark.parametrize(
    ("content", "why"),
    [(b"CAAT_DEVICE=cpu\xff\n", "byte 16 is not UTF-8"), ("CAAT_A=1".encode("utf-16"), "UTF-8")],
)
def test_a_dot_env_that_is_no_utf_8_is_one_line(content, why, tmp_path):
    (tmp_path / ".env").write_bytes(content)
    (told,) = mistakes()
    assert told.startswith(".env: ")
    assert why in told


def test_a_byte_order_mark_hides_no_setting(tmp_path):
    (tmp_path / ".env").write_bytes("\ufeffCAAT_SWEEP_SECONDS=7\n".encode())
    assert read_settings(Settings).sweep_seconds == 7
    shown = {s.variable: s for s in doctor.settings_in_force()}["CAAT_SWEEP_SECONDS"]
    assert (shown.value, shown.source) == ("7.0", ".env")


def test_a_mistake_in_the_dot_env_says_where_it_is(tmp_path):
    (tmp_path / ".env").write_text("CAAT_SWEEP_SECONDS=often\n")
    assert "'often' (in .env) must be" in mistakes()[0]


def test_a_mistyped_variable_is_told_with_what_was_meant_and_is_no_fault(monkeypatch, tmp_path):
    monkeypatch.setenv("CAAT_LEASE_SECOND", "hunter2")
    (tmp_path / ".env").write_text("CAAT_BROKERURL=hunter2\n")
    told = [f for f in doctor.examine() if f.part == "unknown setting"]
    assert all(finding.ok for finding in told)
    assert "was CAAT_LEASE_SECONDS meant?" in told[1].text
    assert "was CAAT_BROKER_URL meant?" in told[0].text
    assert "hunter2" not in told[0].text + told[1].text


@pytest.mark.parametrize("place", ["the environment", ".env"])
def test_a_setting_under_its_former_name_is_refused_with_todays_name(place, monkeypatch, tmp_path):
    if place == ".env":
        (tmp_path / ".env").write_text("CAAT_RING_AGAIN_SECONDS=9\n")
    else:
        monkeypatch.setenv("CAAT_RING_AGAIN_SECONDS", "9")
    line = (
        f"CAAT_RING_AGAIN_SECONDS: it is called CAAT_RESEND_AFTER_SECONDS now; rename it in {place}"
    )
    assert mistakes() == [line]
    told = [f for f in doctor.examine() if f.part in ("setting", "unknown setting")]
    assert [(f.ok, f.text) for f in told] == [(False, line)]
    monkeypatch.setenv("CAAT_LEASE_SECONDS", "abc")
    assert [each.partition(":")[0] for each in mistakes()] == [
        *("CAAT_RING_AGAIN_SECONDS", "CAAT_LEASE_SECONDS"),
    ]


def test_a_former_name_without_a_value_is_as_good_as_none(monkeypatch):
    monkeypatch.setenv("CAAT_RING_AGAIN_SECONDS", "")
    monkeypatch.setenv("CAAT_RESEND_AFTER_SECONDS", "9")
    assert read_settings(Settings).resend_after_seconds == 9


def test_a_former_name_is_no_setting_and_todays_is_one():
    assert not Settings.renamed.keys() & Settings.model_fields.keys()
    assert set(Settings.renamed.values()) <= Settings.model_fields.keys()


# -- through the commands


def command(capsys, monkeypatch, *words: str) -> tuple[int, str]:
    monkeypatch.setattr(sys, "argv", ["caat", *words])
    with pytest.raises(SystemExit) as end:
        main()
    return int(end.value.code or 0), capsys.readouterr().err


@pytest.mark.parametrize(("variable", "value"), WRONG.items())
def test_a_command_tells_a_mistake_in_one_line_and_help_works(variable, value, monkeypatch, capsys):
    monkeypatch.setenv(variable, value)
    forget()
    for words in (["status"], ["launch", "x.toml"], ["worker"], ["dashboard"], ["db", "check"]):
        if words[0] == "launch":
            Path("x.toml").write_text("")
        code, told = command(capsys, monkeypatch, *words)
        assert code == 2
        assert told.startswith(f"caat: {variable}")
        assert told.count("\n") == 1
        assert "er2" not in told
    assert command(capsys, monkeypatch, "--version") == (0, "")
    assert command(capsys, monkeypatch, "--help") == (0, "")


@pytest.mark.parametrize(
    "words",
    [
        ("-m", "app.cli.main", "--help"),
        ("-m", "app.cli.main", "up", "--no-demo"),
        ("-m", "tasks.trainer", "0" * 32, "1", "cpu", "1"),
        ("-m", "celery", "-A", "tasks", "inspect", "ping"),
        ("-m", "celery", "-A", "tasks", "worker"),
    ],
)
def test_every_process_tells_it_in_one_line(words):
    environment = {**os.environ, "CAAT_LEASE_SECONDS": "abc", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, *words],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    if "--help" in words:
        assert (done.returncode, done.stderr) == (0, "")
        return
    assert done.returncode == 2
    assert done.stderr.startswith("caat: CAAT_LEASE_SECONDS: 'abc' must be a number")
    assert done.stderr.count("\n") == 1


ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(("variable", "value"), WRONG.items())
def test_the_doctor_survives_every_mistake_and_names_it(variable, value, monkeypatch, capsys):
    monkeypatch.setenv(variable, value)
    forget()
    monkeypatch.setattr(sys, "argv", ["caat", "doctor", "--json"])
    with pytest.raises(SystemExit) as end:
        main()
    said = capsys.readouterr().out
    bad = [f["text"] for f in json.loads(said)["findings"] if f["part"] == "setting"]
    assert end.value.code == 1
    assert len(bad) == 1
    assert bad[0].startswith(variable)
    assert "er2" not in said


# -- the broker's URL


@pytest.mark.parametrize("url", BROKERS)
def test_what_is_no_redis_is_refused_without_being_repeated(url):
    with pytest.raises(UrlError) as refused:
        broker_url.checked(url)
    assert url not in str(refused.value)
    assert "hunter2" not in str(refused.value)


def test_a_password_in_the_user_s_place_is_refused_and_not_repeated(monkeypatch):
    monkeypatch.setenv("CAAT_BROKER_URL", "redis://hunter2@h:1/0")
    (told,) = mistakes()
    assert told.startswith("CAAT_BROKER_URL: it has a user without a password")
    assert "hunter2" not in told
    monkeypatch.setenv("CAAT_BROKER_PASSWORD", "p@ss")
    assert read_settings(Settings).broker_url == "redis://hunter2:p%40ss@h:1/0"


@given(
    scheme=st.sampled_from(["redis", "rediss"]),
    name=st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), max_size=10),
    password=st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), max_size=10),
    port=st.integers(1, 65535),
    number=st.integers(0, 15),
    in_query=st.booleans(),
)
def test_celery_and_redis_py_read_the_same_broker_out_of_a_url(
    scheme, name, password, port, number, in_query
):
    login = (quote(name, safe=""), quote(password, safe=""))
    if in_query:
        given = f"{scheme}://h:{port}?username={login[0]}&password={login[1]}&db={number}"
    else:
        given = f"{scheme}://{login[0]}:{login[1]}@h:{port}/{number}"
    url = broker_url.checked(given)
    direct = redis_parts(broker_url.for_redis(url))
    celery = celery_app.connection_for_write(url)
    assert (direct.get("username", ""), direct.get("password", "")) == (name, password)
    assert (celery.userid or "", celery.password or "") == (name, password)
    assert (direct["host"], direct["port"], direct["db"]) == ("h", port, number)
    assert (celery.hostname, celery.port, int(celery.virtual_host)) == ("h", port, number)
    assert broker_url.checked(url) == url


@pytest.mark.parametrize("how", ["setting", "url", "query"])
def test_a_broker_s_password_of_any_characters_opens_it_to_both_clients(how, data_dir, monkeypatch):
    password = "p@ss/wö:r#d?%41 \"'&;"
    server = subprocess.Popen(_server(data_dir, password))
    encoded = quote(password, safe="")
    socket = f"redis+socket://{quote(str(socket_path(data_dir)))}"
    urls = {
        "setting": socket,
        "url": socket.replace("://", f"://:{encoded}@"),
        "query": f"{socket}?password={encoded}",
    }
    monkeypatch.setenv("CAAT_DATA_DIR", str(data_dir))
    monkeypatch.setenv("CAAT_BROKER_URL", urls[how])
    if how == "setting":
        monkeypatch.setenv("CAAT_BROKER_PASSWORD", password)
    forget()
    try:
        url = settings().broker_url
        for _ in range(100):
            if broker.is_up(url):
                break
        assert broker.why_down(url) is None
        with celery_app.connection_for_write(url) as connection:
            connection.ensure_connection(max_retries=1)
            assert connection.default_channel.client.ping()
        refused = broker.why_down(embedded_broker(data_dir))
        assert refused == "the user or the password is refused"
    finally:
        server.kill()
        server.wait()


def _server(folder: Path, password: str) -> list[str]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CAAT_DATA_DIR", str(folder))
        settings.cache_clear()
        return [*broker.server_command(), "--requirepass", password]


# -- a data directory of any name


def test_a_run_is_launched_and_finished_in_a_data_directory_of_any_name(
    data_dir, migrated_sqlite_file
):
    folder = data_dir / "a#b?c%41 d'\"é;&=+@:\\$[0]"
    folder.mkdir()
    database = Database(sqlite_url(folder / "caat.db"))
    (folder / "caat.db").write_bytes(migrated_sqlite_file.read_bytes())
    studio = Studio(folder, database, sweep_seconds=600)  # only the broker's message starts it
    del studio.environment["CAAT_DATABASE_URL"]
    try:
        studio.start_broker()
        studio.start_worker()

        def listens() -> bool:
            with redis.Redis(unix_socket_path=str(studio.socket)) as client:
                is_listening = any("brpop" in c["cmd"] for c in client.client_list())
            with database.read() as session:
                return is_listening and bool(queries.workers(session))

        studio.wait_for(listens, "a worker that listens")
        run_id = studio.launch("training.epochs=1")
        studio.wait_for_status(run_id, "succeeded")
        assert (folder / "broker" / "broker.sock").is_socket()
    finally:
        studio.close()
        database.dispose()


@pytest.mark.parametrize("letter", ["x", "é", "界"])
def test_a_socket_s_path_fits_the_system_whatever_the_directory_s_name(letter, tmp_path):
    for length in range(80):
        assert len(os.fsencode(socket_path(tmp_path / (letter * length)))) <= 104


# -- secrets


@hypothesis_settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(password=PASSWORDS)
def test_a_planted_secret_is_in_nothing_that_is_told(password, monkeypatch, capsys, caplog):
    encoded = quote(password, safe="")
    monkeypatch.setenv("CAAT_DATABASE_URL", f"postgresql://me:{encoded}@127.0.0.1:9/none")
    monkeypatch.setenv("CAAT_BROKER_URL", f"redis://{encoded}:{encoded}@127.0.0.1:9/0")
    forget()
    secrecy.hide_in_logs()
    caplog.clear()
    said = [repr(settings()), display_url(settings().broker_url)]
    for words in (["doctor"], ["doctor", "--json"], ["status"], ["db", "check"]):
        monkeypatch.setattr(sys, "argv", ["caat", *words])
        with pytest.raises(SystemExit):
            main()
        said += [*capsys.readouterr()]
    logging.getLogger("celery").error("consumer: Cannot connect to %s", settings().broker_url)
    try:
        raise RuntimeError(f"at {settings().database_url}, {password}")
    except RuntimeError:
        logging.getLogger("anyone").exception("It failed")
    told = "\n".join([*said, caplog.text])
    assert "It failed" in told
    for form in (password, encoded, "q7", "z9"):
        assert form not in told


def test_what_a_process_warns_of_and_dies_of_is_told_without_its_secrets(monkeypatch, capsys):
    for owner, name in (
        (sys, "excepthook"),
        (threading, "excepthook"),
        (warnings, "formatwarning"),
    ):
        monkeypatch.setattr(owner, name, getattr(owner, name))
    monkeypatch.setenv("CAAT_BROKER_URL", "redis://:hunter2@127.0.0.1:9/0")
    forget()
    secrecy.hide_in_tracebacks()

    def fail(text: str) -> None:
        raise RuntimeError(text)

    with pytest.raises(RuntimeError) as died:
        fail("all of it: hunter2")
    sys.excepthook(died.type, died.value, died.tb)
    thread = threading.Thread(target=fail, args=("a thread: hunter2",), name="listener")
    thread.start()
    thread.join()
    said = capsys.readouterr().err
    said += warnings.formatwarning(UserWarning("slow: hunter2"), UserWarning, "x.py", 1)
    assert "hunter2" not in said
    assert "RuntimeError: all of it: ***\n" in said
    assert "In thread listener: Traceback" in said
    assert "RuntimeError: a thread: ***\n" in said
    assert "UserWarning: slow: ***\n" in said
