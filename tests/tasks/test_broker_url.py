"""The broker's URL is refused or read alike by both clients, whatever its password or folder is."""

import os
import subprocess
from pathlib import Path
from urllib.parse import quote

import pytest
import redis
from hypothesis import given
from hypothesis import strategies as st
from redis.connection import parse_url as redis_parts

from db.reads import queries
from db.session import Database
from db.settings import read_settings, sqlite_url
from db.urls import UrlError
from tasks import broker_url
from tasks.queue import broker
from tasks.queue.celery_app import celery_app
from tasks.settings import Settings, settings
from tests.real.studio import Studio
from tests.tasks.environment import forget, mistakes

pytestmark = pytest.mark.usefixtures("no_settings_from_outside")

BROKERS = [
    *("amqp://h", "sentinel://a:1;sentinel://b:2", "sqs://", "garbage", "redis://h:port/0"),
    *("redis://:badport", "redis://h:1/one", "redis://h:1/0?token=hunter2", "redis://:p@ss@h/0"),
    *("redis://:p/ss@h:1/0", "redis+socket://relative", "memory://x", "redis://h:70000/0", "://"),
    *("redis://a..b:1/0", "redis://h:1/0?ssl_cert_reqs=none", "rediss://h?ssl_cert_reqs=maybe"),
]


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
    socket = f"redis+socket://{quote(str(broker_url.socket_path(data_dir)))}"
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
        refused = broker.why_down(broker_url.embedded(data_dir))
        assert refused == "the user or the password is refused"
    finally:
        server.kill()
        server.wait()


def _server(folder: Path, password: str) -> list[str]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CAAT_DATA_DIR", str(folder))
        settings.cache_clear()
        return [*broker.server_command(), "--requirepass", password]


# -- a socket in a data directory of any name


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
        assert len(os.fsencode(broker_url.socket_path(tmp_path / (letter * length)))) <= 104
