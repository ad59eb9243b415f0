from pathlib import Path

import pytest

from db.settings import DatabaseSettings, display_url


@pytest.fixture(autouse=True)
def no_settings_from_outside(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CAAT_DATA_DIR", raising=False)
    monkeypatch.delenv("CAAT_DATABASE_URL", raising=False)


def test_the_default_is_a_sqlite_file_in_the_home_folder():
    settings = DatabaseSettings()
    assert settings.data_dir == Path.home() / ".caat-studio"
    assert settings.database_url == f"sqlite:///{Path.home()}/.caat-studio/caat.db"


def test_a_data_directory_takes_the_default_database_along(monkeypatch, tmp_path):
    monkeypatch.setenv("CAAT_DATA_DIR", "data")
    settings = DatabaseSettings()
    assert settings.data_dir == tmp_path / "data"
    assert settings.database_url == f"sqlite:///{tmp_path}/data/caat.db"


def test_an_empty_variable_is_no_setting(monkeypatch):
    monkeypatch.setenv("CAAT_DATABASE_URL", "")
    assert DatabaseSettings().database_url.startswith("sqlite:///")


def test_a_dot_env_is_read_and_its_other_lines_ignored(tmp_path):
    (tmp_path / ".env").write_text("CAAT_DATABASE_URL=postgresql://db/caat\nCAAT_BROKER_URL=x\n")
    assert DatabaseSettings().database_url == "postgresql://db/caat"


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://caat:hunter2@db.example/caat",
        "postgresql+psycopg://caat@db.example/caat?password=hunter2",
    ],
)
def test_a_password_is_never_shown(url, monkeypatch):
    monkeypatch.setenv("CAAT_DATABASE_URL", url)
    assert "hunter2" not in display_url(url)
    assert "hunter2" not in repr(DatabaseSettings())
