"""What is in force: the environment's ``CAAT_...`` variables, a ``.env``, or the defaults."""

import hashlib
import tempfile
from functools import cache
from pathlib import Path

from pydantic import Field, field_validator

from db.errors import SchemaNewerError
from db.session import Database
from db.settings import DatabaseSettings
from tasks import public_url

LONGEST_SOCKET_PATH = 100
"""A Unix socket's path has room for 108 bytes on Linux and 104 on macOS."""


class Settings(DatabaseSettings):
    """Everything that tells this installation from another."""

    broker_url: str = Field(
        default_factory=lambda fields: f"redis+socket://{socket_path(fields['data_dir'])}",
        description="redis://HOST:PORT/N; by default the broker that `caat up` starts",
        repr=False,
    )
    dashboard_address: str = Field("127.0.0.1", description="Where the dashboard listens")
    dashboard_public: bool = Field(
        False, description="Consent to a dashboard without login beyond this machine"
    )
    public_url: str = Field(
        "", description="The address that people open, behind a proxy: https://HOST[:PORT][/PATH/]"
    )
    device: str = Field("auto", description="Where this machine's worker computes")
    lease_seconds: float = Field(
        60,
        gt=0,
        description="A worker of another host that is silent for so long is taken for dead",
    )
    heartbeat_seconds: float = Field(1, gt=0, description="How often a worker renews its lease")
    sweep_seconds: float = Field(5, gt=0, description="How often lost runs are looked for")
    ring_again_seconds: float = Field(
        30, gt=0, description="A queued run's message is sent again after so long"
    )
    stop_grace_seconds: float = Field(
        20, gt=0, description="A trainer that was asked to stop is killed after so long"
    )
    retry_after_seconds: float = Field(
        3, ge=0, description="An interrupted run is queued again after so long"
    )
    max_lost_attempts: int = Field(
        3, ge=1, description="Attempts in a row that may be lost without a finished epoch"
    )

    @field_validator("public_url")
    @classmethod
    def _public_url(cls, url: str) -> str:
        return public_url.normalised(url)

    @property
    def dataset_dir(self) -> Path:
        return self.data_dir / "datasets"

    @property
    def uses_embedded_broker(self) -> bool:
        return self.broker_url == f"redis+socket://{socket_path(self.data_dir)}"

    def run_dir(self, run_id: str) -> Path:
        """Return where a run's checkpoints and log are."""
        return self.data_dir / "runs" / run_id


def socket_path(data_dir: Path) -> Path:
    """Return the embedded broker's socket: in the data directory unless its path is too long."""
    path = data_dir / "broker" / "broker.sock"
    if len(str(path)) <= LONGEST_SOCKET_PATH:
        return path
    mark = hashlib.sha256(str(data_dir).encode()).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"caat-{mark}.sock"


@cache
def settings() -> Settings:
    """Return this process's settings; `settings.cache_clear` reads them again."""
    return Settings()


@cache
def _database(url: str) -> Database:
    return Database(url)


def open_database(*, newer: bool = False) -> Database:
    """Return this process's database; the first call of a machine makes its tables.

    Args:
        newer: Give it also where the tables are newer than this program.

    Raises:
        DatabaseError: It cannot be reached, or its tables need ``caat db upgrade``.
    """
    database = _database(settings().database_url)
    if database.revision() is None:
        database.upgrade()
    try:
        database.check_schema()
    except SchemaNewerError:
        if not newer:
            raise
    return database
