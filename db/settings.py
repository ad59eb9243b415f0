"""Where the data are; read from ``CAAT_...`` variables or a ``.env``."""

from pathlib import Path

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

_SECRET_PARAMETERS = ("password", "sslpassword", "passfile")


def sqlite_url(path: Path) -> str:
    """Return the URL of one SQLite file."""
    return URL.create("sqlite", database=str(path)).render_as_string()


class DatabaseSettings(BaseSettings):
    """Where rows and files live."""

    model_config = SettingsConfigDict(
        env_prefix="CAAT_", env_file=".env", env_ignore_empty=True, extra="ignore"
    )

    data_dir: Path = Field(
        Path("~/.caat-studio"),
        validate_default=True,
        description="Folder of everything that is a file: checkpoints, datasets, the SQLite file",
    )
    database_url: str = Field(
        default_factory=lambda fields: sqlite_url(fields["data_dir"] / "caat.db"),
        description="sqlite:///FILE, or postgresql://USER:PASSWORD@HOST/NAME",
        repr=False,
    )

    @field_validator("data_dir")
    @classmethod
    def _absolute(cls, path: Path) -> Path:
        return path.expanduser().absolute()


def display_url(url: str) -> str:
    """Return the URL as it may be shown: without its password."""
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        return "(not a database URL)"
    secrets = {name: "***" for name in _SECRET_PARAMETERS if name in parsed.query}
    return parsed.update_query_dict(secrets).render_as_string(hide_password=True)
