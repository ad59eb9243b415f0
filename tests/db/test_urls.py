"""A URL is read in one way or refused, and shown without what it hides."""

from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict
from sqlalchemy import create_engine, text
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.engine import make_url
from sqlalchemy.pool import NullPool

from db.errors import DatabaseUnreachableError, SettingsError
from db.session import Database
from db.settings import DatabaseSettings, display_url, read_settings, sqlite_url
from db.urls import UrlError, check_database_url, redact, split
from tests.real import servers

ROOT = Path(__file__).parents[2]
SECRETS = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), min_size=4, max_size=30
).map(lambda text: f"q7{text}z9")  # as no other text of a URL has it
PLACES = [
    "postgresql://caat:{}@db.example:5432/caat",
    "postgresql+psycopg://caat:{}@[::1]/caat?sslmode=require",
    *(
        f"{base}?{name}={{}}"
        for base in ("postgresql://caat@db/caat", "redis://h:6379/0", "sqlite:////a/b.db")
        for name in (
            *("password", "sslpassword", "passfile", "token", "sslkey", "ssl_keyfile", "options"),
            *("username", "client_secret", "PASSWORD", "x"),
        )
    ),
    "redis://:{}@127.0.0.1:6379/0",
    "redis://{}@127.0.0.1:6379/0",
    "rediss://{}:{}@broker/1",
    "redis+socket://:{}@/run/broker.sock",
    "sentinel://:{}@a:1;sentinel://:{}@b:2",
    "amqp://caat:{}@rabbit//",
    "sqs://KEY:{}@",
    "https://host/{}",
]


@given(secret=SECRETS, place=st.sampled_from(PLACES), encoded=st.booleans())
def test_a_secret_anywhere_in_a_url_is_shown_in_no_spelling(secret, place, encoded):
    shown = display_url(place.replace("{}", quote(secret, safe="") if encoded else secret))
    assert secret not in shown
    assert quote(secret, safe="") not in shown
    assert "q7" not in shown
    assert "z9" not in shown  # no tail either


@given(secret=SECRETS, place=st.sampled_from(PLACES))
def test_why_a_url_is_refused_holds_nothing_of_it(secret, place):
    url = place.replace("{}", secret)
    for check in (split, check_database_url):
        why = ""
        try:
            check(url)
        except UrlError as error:
            why = str(error)
        assert "q7" not in why
        assert "z9" not in why


@pytest.mark.parametrize("password", ["p@ss", "a@b@c", "pa/ss", "12/ss", "12?ss", "1#2", "/"])
def test_a_password_that_would_be_cut_is_refused_with_the_way_out(password, monkeypatch):
    monkeypatch.setenv("CAAT_DATABASE_URL", f"postgresql://caat:{password}@host/caat")
    with pytest.raises(SettingsError, match="CAAT_DATABASE_PASSWORD") as refused:
        read_settings(DatabaseSettings)
    told = str(refused.value)
    assert "\n" not in told
    assert "caat:" not in told
    assert "ss@" not in told


@given(password=st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1))
def test_every_password_that_is_given_by_itself_reaches_the_driver_as_it_is(password):
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("CAAT_DATA_DIR", raising=False)
        patch.setenv("CAAT_DATABASE_URL", "postgresql://caat@postgres/caat")
        patch.setenv("CAAT_DATABASE_PASSWORD", password)
        settings = read_settings(DatabaseSettings)
    _, arguments = PGDialect_psycopg().create_connect_args(make_url(settings.database_url))
    assert (arguments["host"], arguments["dbname"]) == ("postgres", "caat")
    assert arguments["password"] == password
    assert repr(password) not in repr(settings)
    assert ":***@postgres" in display_url(settings.database_url)


def test_a_password_file_ends_with_one_line_break(monkeypatch, tmp_path):
    (tmp_path / "secret").write_bytes("p@ss/wörd \r\n".encode())
    monkeypatch.setenv("CAAT_DATABASE_URL", "postgresql://caat@postgres/caat")
    monkeypatch.setenv("CAAT_DATABASE_PASSWORD_FILE", str(tmp_path / "secret"))
    assert make_url(read_settings(DatabaseSettings).database_url).password == "p@ss/wörd "


def test_a_password_in_place_of_its_file_s_name_is_not_repeated(monkeypatch):
    monkeypatch.setenv("CAAT_DATABASE_URL", "postgresql://caat@postgres/caat")
    monkeypatch.setenv("CAAT_DATABASE_PASSWORD_FILE", "hunter2")
    with pytest.raises(SettingsError, match="CAAT_DATABASE_PASSWORD_FILE") as refused:
        read_settings(DatabaseSettings)
    assert "hunter2" not in str(refused.value)


def test_compose_gives_the_password_as_a_file_beside_the_url():
    lines = (ROOT / "compose.yaml").read_text().splitlines()
    (url,) = (line for line in lines if "CAAT_DATABASE_URL:" in line)
    assert "PASSWORD" not in url.partition(":")[2]
    (file,) = (line for line in lines if "CAAT_DATABASE_PASSWORD_FILE:" in line)
    assert "/run/secrets/database" in file


@given(
    name=st.text(
        st.characters(codec="utf-8", exclude_characters="\0/"), min_size=1, max_size=40
    ).filter(lambda name: name not in (".", ".."))
)
def test_a_sqlite_file_of_any_name_is_the_one_that_is_opened(name):
    url = sqlite_url(Path("/data") / name / "caat.db")
    check_database_url(url)
    assert make_url(url).database == f"/data/{name}/caat.db"


@pytest.mark.parametrize(
    "url",
    [
        "sqlite:////data/what?.db",
        "postgresql://h/db?hunter2=1",
        "postgresql://h/db?hunter2=",
        "postgresql://h:99999/db",
        "postgresql://h/db?port=hunter2",
        "postgresql://h:1/db?host=a&host=b:x",
    ],
)
def test_what_would_open_another_file_or_be_repeated_by_the_driver_is_refused(url):
    with pytest.raises(UrlError):
        check_database_url(url)


def test_libpq_itself_agrees_on_what_a_checked_url_names():
    url = "postgresql://caat:p%40ss%2F%3A%23%3F%25@db.example:6432/studies?sslmode=require"
    check_database_url(url)
    parts, libpq = split(url), conninfo_to_dict(url)
    assert parts.password == libpq["password"] == "p@ss/:#?%"
    assert (parts.host, str(parts.port)) == (libpq["host"], libpq["port"])


def test_a_real_server_opens_to_a_password_of_any_characters_and_to_no_other(monkeypatch):
    with servers.own_postgresql() as server:
        engine = create_engine(server.url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            rules = Path(connection.execute(text("SHOW hba_file")).scalar_one())
            rules.write_text(f"local all locked scram-sha-256\n{rules.read_text()}")
            connection.execute(text("CREATE ROLE locked LOGIN"))
            connection.execute(text("SELECT pg_reload_conf()"))
        url = server.url.set(drivername="postgresql", username="locked", password=None)
        monkeypatch.setenv("CAAT_DATABASE_URL", url.render_as_string())
        for password in ("p@ss/w:o#r?d%41", '\'; "x" $$ [é]', "界 \\ $1"):
            with engine.connect() as connection:
                change = sql.SQL("ALTER ROLE locked PASSWORD {}").format(sql.Literal(password))
                connection.connection.driver_connection.execute(change)
            monkeypatch.setenv("CAAT_DATABASE_PASSWORD", password)
            opened = Database(read_settings(DatabaseSettings).database_url)
            assert opened.revision() is None
            opened.dispose()
            monkeypatch.setenv("CAAT_DATABASE_PASSWORD", f"{password}x")
            with pytest.raises(DatabaseUnreachableError, match="authentication failed") as refused:
                Database(read_settings(DatabaseSettings).database_url).revision()
            assert password not in str(refused.value).replace(":***@", "")


def test_a_short_secret_does_not_shred_a_text():
    assert redact("connection refused", ["e"]) == "connection refused"
    assert redact("for role p%40ss: p@ss", ["p@ss"]) == "for role ***: ***"


def test_a_url_that_is_not_set_is_shown_as_nothing():
    assert display_url("") == ""
    assert "cannot be read" in display_url("no url")


@pytest.mark.parametrize(
    "url", ["redis+socket://:pa/ss@/run/broker.sock", "redis:///p@ss", "unix://:pa?ss@/run/b.sock"]
)
def test_an_at_sign_that_may_be_a_passwords_is_refused(url):
    with pytest.raises(UrlError, match="@"):
        split(url)


def test_the_path_of_a_socket_may_hold_an_at_sign():
    assert split("redis+socket:///run/a@b.sock").path == "/run/a@b.sock"
