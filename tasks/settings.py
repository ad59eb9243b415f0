"""What is in force: the environment's ``CAAT_...`` variables, a ``.env``, or the defaults."""

import errno
import grp
import os
import re
import time
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import Field, SecretStr, field_validator, model_validator

from db.errors import (
    DatabaseUnreachableError,
    RequirementError,
    SchemaNewerError,
    UnusablePlaceError,
)
from db.modes import is_shared
from db.settings import given_password, read_settings
from db.urls import UrlError
from engine.data import folder as data_folder
from engine.errors import UserError
from tasks import broker_url, public_url, sharing
from tasks.queue_names import parse_queues
from tasks.upload_limit import UploadSettings

if TYPE_CHECKING:
    from db.session import Database

_ADDRESS = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*")
_DEVICE = re.compile(r"auto|cpu|cuda(:[0-9]{1,3})?")

DAY = 86_400
Seconds = Annotated[float, Field(ge=0.01, le=DAY, allow_inf_nan=False)]


class Settings(UploadSettings):
    """Everything that tells this installation from another."""

    renamed: ClassVar[Mapping[str, str]] = {"ring_again_seconds": "resend_after_seconds"}

    broker_url: str = Field(
        default_factory=lambda fields: broker_url.embedded(fields["data_dir"]),
        description="redis://HOST:PORT/N; by default the broker that `caat up` starts",
        repr=False,
    )
    broker_password: SecretStr | None = Field(
        None, description="The broker's password as it is, instead of percent-encoded in the URL"
    )
    broker_password_file: Path | None = Field(
        None, description="A file with that password, as container secrets are"
    )
    dashboard_address: str = Field("127.0.0.1", description="Where the dashboard listens")
    dashboard_public: bool = Field(
        False, description="Consent to a dashboard without login beyond this machine"
    )
    shared_group: str | None = Field(
        None, description="The group that may use the data directory too; without one, nobody may"
    )
    public_url: str = Field(
        "", description="The address that people open, behind a proxy: https://HOST[:PORT][/PATH/]"
    )
    metrics_port: int | None = Field(
        None,
        ge=1,
        le=65535,
        description="Where `caat up` starts `caat metrics` for Prometheus; without one, nowhere",
    )
    device: str = Field("auto", description="Where this machine's worker computes")
    queues: str = Field(
        "",
        description="Queues that this machine's worker serves, with commas between them; empty is "
        "default, and cpu or gpu as its device is",
    )
    warm_minutes: float = Field(
        0,
        ge=0,
        le=1440,
        allow_inf_nan=False,
        description="A worker keeps a process that has loaded the engine ready for its next run, "
        "for so long without one; 0 is none. It takes about 0.4 GB of memory",
    )
    lease_seconds: Seconds = Field(
        60, description="A worker of another host that is silent for so long is taken for dead"
    )
    heartbeat_seconds: Seconds = Field(1, description="How often a worker renews its lease")
    sweep_seconds: Seconds = Field(5, description="How often lost runs are looked for")
    resend_after_seconds: Seconds = Field(
        30, description="A queued run's message is sent again after so long"
    )
    stop_grace_seconds: Seconds = Field(
        20, description="A trainer that was asked to stop is killed after so long"
    )
    retry_after_seconds: float = Field(
        3,
        ge=0,
        le=DAY,
        allow_inf_nan=False,
        description="An interrupted run is queued again after so long",
    )
    max_lost_attempts: int = Field(
        3,
        ge=1,
        le=1_000_000,
        description="Attempts in a row that may be lost without a finished epoch",
    )

    @field_validator("broker_url")
    @classmethod
    def _is_a_broker(cls, url: str) -> str:
        try:
            return broker_url.checked(url)
        except UrlError as error:
            raise RequirementError(f"must be {broker_url.ALLOWED}, but {error}") from None

    @field_validator("dashboard_address")
    @classmethod
    def _is_an_address(cls, address: str) -> str:
        if not _ADDRESS.fullmatch(address):
            raise RequirementError("must be an address or a host's name, without a port")
        return address

    @field_validator("device")
    @classmethod
    def _is_a_device(cls, device: str) -> str:
        if not _DEVICE.fullmatch(device):
            raise RequirementError("must be auto, cpu, cuda or cuda:N")
        return device

    @field_validator("queues")
    @classmethod
    def _are_queues(cls, text: str) -> str:
        try:
            return ",".join(parse_queues(text))
        except UserError as error:
            raise RequirementError(f"cannot be used: {error}") from None

    @field_validator("shared_group")
    @classmethod
    def _is_a_group(cls, name: str | None) -> str | None:
        try:
            if name is not None:
                grp.getgrnam(name)
        except KeyError:
            raise RequirementError("must be the name of a group of this machine") from None
        return name

    @field_validator("public_url")
    @classmethod
    def _public_url(cls, url: str) -> str:
        return public_url.normalised(url)

    @model_validator(mode="after")
    def _fits_together(self) -> "Settings":
        if 2 * self.heartbeat_seconds > self.lease_seconds:
            raise ValueError(
                f"CAAT_HEARTBEAT_SECONDS: {self.heartbeat_seconds:g} must be at most half of "
                f"CAAT_LEASE_SECONDS ({self.lease_seconds:g}), or healthy workers are taken for "
                "dead"
            )
        password = given_password(self, "broker")
        if password is not None:
            self.broker_url = broker_url.with_password(self.broker_url, password)
        elif broker_url.lacks_password(self.broker_url):  # most often it is the password itself
            raise ValueError(
                "CAAT_BROKER_URL: it has a user without a password: write "
                "redis://:PASSWORD@HOST, or give the password in CAAT_BROKER_PASSWORD"
            )
        return self

    @property
    def is_shared(self) -> bool:
        """Whether what is made in the data directory is its group's too."""
        if self.shared_group is not None:
            return True
        try:
            return is_shared(self.data_dir)
        except OSError:
            return False  # it is not there yet, or somebody else's

    @property
    def dataset_dir(self) -> Path:
        return self.data_dir / "datasets"

    @property
    def uses_embedded_broker(self) -> bool:
        return self.broker_url == broker_url.embedded(self.data_dir)

    def run_dir(self, run_id: str) -> Path:
        """Return where a run's checkpoints and log are."""
        return self.data_dir / "runs" / run_id


@cache
def settings() -> Settings:
    """Return this process's settings; `settings.cache_clear` reads them again.

    Raises:
        SettingsError: Something in the environment or the ``.env`` cannot be.
    """
    return read_settings(Settings)


data_folder.look_in(lambda: settings().dataset_dir)


def make_data_dir() -> Path:
    """Return the data directory, there and writable.

    Raises:
        UnusablePlaceError: It cannot be made, or not be written to.
    """
    folder = settings().data_dir
    _fix_modes(folder, settings().shared_group, False)
    if not os.access(folder, os.W_OK | os.X_OK):
        closed = PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(folder))
        raise _unusable("CAAT_DATA_DIR", closed)
    return folder


def _unusable(variable: str, error: OSError) -> UnusablePlaceError:
    cure = "mend its rights, or name another place"
    told = f"{variable}: {error.filename} cannot be used: {error.strerror}; {cure}"
    return UnusablePlaceError([told])


def prepare_data_dir(*, thorough: bool = False) -> None:
    """Give the data directory its modes, and make it if the database is a file in it.

    Args:
        thorough: Whether every file in it is looked at, as long-lived processes do at their start.

    Raises:
        DatabaseError: The database is a file that is somebody else's.
        UnusablePlaceError: The data directory cannot be made or given its modes.
    """
    database = _database(settings().database_url)
    file = Path(database.url.database or "") if database.is_sqlite else None
    closed = sharing.denied(file.absolute()) if file else None
    if closed is not None:
        raise DatabaseUnreachableError(f"cannot use the database {database.display_url}: {closed}")
    folder = settings().data_dir
    holds_it = file is not None and folder in file.absolute().parents
    if holds_it or os.path.isdir(folder):  # noqa: PTH112 - what is somebody else's is none
        _fix_modes(folder, settings().shared_group, thorough)


@cache
def _fix_modes(folder: Path, group: str | None, thorough: bool) -> None:
    try:
        sharing.fix_modes(folder, group, thorough=thorough)
    except OSError as error:
        raise _unusable("CAAT_DATA_DIR", error) from None


OFTEN = 4.0
"""Seconds for which a worker's looks at the tables rely on their having fitted."""


@cache
def _database(url: str) -> "Database":
    # Loaded here: who only wants to know a setting need not wait for SQLAlchemy.
    from db.session import Database

    return Database(url)


def open_database(*, newer: bool = False, within: float = 0.0) -> "Database":
    """Return this process's database; the first call of a machine makes its tables.

    Args:
        newer: Give it also where the tables are newer than this program.
        within: Seconds for which it is enough that this process has found its tables to fit: for
            looks that come again and again, and do not write.

    Raises:
        DatabaseError: It cannot be reached, or its tables need ``caat db upgrade``; an
            UnusablePlaceError where its folder cannot be used.
    """
    prepare_data_dir()
    database = _database(settings().database_url)
    if (newer and database.had_tables) or time.monotonic() - database.fitted_at < within:
        return database
    try:
        revision = database.revision()
        if revision is None:
            database.upgrade()
        database.check_schema(revision)
    except OSError as error:  # of the folder that SQLite's file is in
        is_given = "database_url" in settings().model_fields_set
        raise _unusable("CAAT_DATABASE_URL" if is_given else "CAAT_DATA_DIR", error) from None
    except SchemaNewerError:
        if not newer:
            raise
    return database
