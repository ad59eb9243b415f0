from pathlib import Path

import pytest
from pydantic import field_validator

from db.errors import RequirementError, SettingsError
from db.settings import DatabaseSettings, display_url, read_settings


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


class OddSettings(DatabaseSettings):
    """Settings with one rule of each kind, whose words tempt a reader to guess."""

    lamp: str = "on"
    door: str = "open"

    @field_validator("lamp")
    @classmethod
    def _lamp(cls, value: str) -> str:
        if value != "on":
            raise RequirementError("ought to be on")
        return value

    @field_validator("door")
    @classmethod
    def _door(cls, value: str) -> str:
        if value != "open":
            raise ValueError("must is in it, and mould")
        return value


def test_the_kind_of_a_rule_and_not_its_first_word_decides_how_its_line_goes_on(monkeypatch):
    monkeypatch.setenv("CAAT_LAMP", "off")
    monkeypatch.setenv("CAAT_DOOR", "shut")
    monkeypatch.setenv("CAAT_DATABASE_URL", "mysql://host/caat")
    with pytest.raises(SettingsError) as error:
        read_settings(OddSettings)
    assert sorted(error.value.mistakes) == [
        "CAAT_DATABASE_URL: must be sqlite:///FILE or postgresql://USER:PASSWORD@HOST/NAME",
        "CAAT_DOOR: 'shut' cannot be used: must is in it, and mould",
        "CAAT_LAMP: 'off' ought to be on",
    ]


def test_a_data_directory_that_cannot_be_looked_at_is_told_in_one_line(monkeypatch, tmp_path):
    (tmp_path / "link").symlink_to("x" * 300)  # longer than any name on a disk
    monkeypatch.setenv("CAAT_DATA_DIR", str(tmp_path / "link"))
    with pytest.raises(SettingsError) as error:
        read_settings(DatabaseSettings)
    (told,) = error.value.mistakes
    assert told.startswith("CAAT_DATA_DIR: ")
    assert told.endswith("File name too long; name another folder")
