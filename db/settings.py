"""Where the data are; read from ``CAAT_...`` variables or a ``.env``, each checked by itself.

SQLAlchemy is loaded only where a database's URL is given: a start shall not wait for it.
"""

import contextlib
import difflib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, TypeVar
from urllib.parse import quote

from dotenv import dotenv_values
from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails, PydanticUndefined
from pydantic_settings import (
    BaseSettings,
    DotEnvSettingsSource,
    EnvSettingsSource,
    SettingsConfigDict,
)

from db.errors import DatabaseUrlError, RequirementError, SettingsError
from db.urls import MASK, UrlError, check_database_url, display_url, sqlite_file

PREFIX = "CAAT_"
DATABASE_FILE = "caat.db"
ENV_FILE = ".env"
OTHER_VARIABLES = {"CAAT_DEBUG", "CAAT_TEST_DATABASE_URL"}
"""What the program or its tests read besides the settings."""
_LONGEST_SHOWN = 80
_LONGEST_PASSWORD = 10_000
_LONGEST_SQLITE_PATH = 480
"""SQLite's own limit is 512 bytes, with the names of the files beside it."""
_NOT_ASKED = "default_factory_not_called"
"""pydantic's word for a default that hangs on a setting that is wrong; that one is told."""

AnySettings = TypeVar("AnySettings", bound="DatabaseSettings")


def sqlite_url(path: Path) -> str:
    """Return the URL of one SQLite file."""
    return f"sqlite:///{quote(str(path), safe=' +/')}"  # as SQLAlchemy writes it


class DatabaseSettings(BaseSettings):
    """Where rows and files live."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_file=ENV_FILE,
        env_file_encoding="utf-8-sig",  # Windows' editors put a byte-order mark before the text
        env_ignore_empty=True,
        extra="ignore",
        hide_input_in_errors=True,
    )
    renamed: ClassVar[Mapping[str, str]] = {}
    """Former names of settings, each with today's."""

    data_dir: Path = Field(
        Path("~/.caat-studio"),
        validate_default=True,
        description="Folder of everything that is a file: checkpoints, datasets, the SQLite file",
    )
    database_url: str = Field(
        default_factory=lambda fields: sqlite_url(fields["data_dir"] / DATABASE_FILE),
        validate_default=False,
        description="sqlite:///FILE, or postgresql://USER:PASSWORD@HOST/NAME",
        repr=False,
    )
    database_password: SecretStr | None = Field(
        None, description="PostgreSQL's password as it is, instead of percent-encoded in the URL"
    )
    database_password_file: Path | None = Field(
        None, description="A file with that password, as container secrets are"
    )

    @field_validator("data_dir")
    @classmethod
    def _is_a_folder(cls, path: Path) -> Path:
        try:
            path = path.expanduser().absolute()
            str(path).encode()
            nearest = next(place for place in [path, *path.parents] if os.path.lexists(place))
            is_folder = nearest.is_dir()
        except RuntimeError:
            raise ValueError("there is no such user's home; name a folder") from None
        except UnicodeEncodeError:
            raise ValueError("its name is not UTF-8; name another folder") from None
        except OSError as error:
            raise ValueError(f"{error.strerror}; name another folder") from None
        if not is_folder:
            what = "it is" if nearest == path else f"{nearest} is"
            raise ValueError(f"{what} a file, or a link to nowhere; name a folder")
        return path

    @field_validator("database_url")
    @classmethod
    def _is_a_database(cls, url: str) -> str:
        from db.connection import parse_url

        try:
            check_database_url(url)
            parse_url(url)
        except UrlError as error:
            raise RequirementError(
                f"must be sqlite:///FILE or postgresql://USER:PASSWORD@HOST/NAME, but {error}; "
                "or give the password by itself, in CAAT_DATABASE_PASSWORD"
            ) from None
        except DatabaseUrlError as error:
            raise RequirementError(error.requirement) from None
        return url

    @model_validator(mode="after")
    def _is_short_enough(self) -> "DatabaseSettings":
        is_given = "database_url" in self.model_fields_set
        file = sqlite_file(self.database_url) if is_given else str(self.data_dir / DATABASE_FILE)
        length = len(os.fsencode(file))
        if length > _LONGEST_SQLITE_PATH:
            name = "CAAT_DATABASE_URL" if is_given else "CAAT_DATA_DIR"
            raise ValueError(
                f"{name}: the SQLite file's path has {length} bytes, and SQLite opens no longer "
                f"ones than {_LONGEST_SQLITE_PATH}; name a shorter one"
            )
        return self

    @model_validator(mode="after")
    def _with_its_password(self) -> "DatabaseSettings":
        password = given_password(self, "database")
        if password is not None:
            from sqlalchemy.engine import make_url

            url = make_url(self.database_url)
            if url.get_backend_name() == "sqlite":
                raise ValueError("CAAT_DATABASE_PASSWORD: SQLite has no password; leave it out")
            if url.password or "password" in url.query:
                raise ValueError(
                    "CAAT_DATABASE_PASSWORD: CAAT_DATABASE_URL has a password too; leave one out"
                )
            self.database_url = url.set(password=password).render_as_string(hide_password=False)
        return self


def given_password(settings: BaseSettings, of: str) -> str | None:
    """Return the password that is given beside a URL, or in a file.

    Raises:
        ValueError: It is given twice, or its file cannot be read.
    """
    variable = f"{PREFIX}{of.upper()}_PASSWORD"
    value: SecretStr | None = getattr(settings, f"{of}_password")
    file: Path | None = getattr(settings, f"{of}_password_file")
    if value is not None and file is not None:
        raise ValueError(f"{variable}: {variable}_FILE is set too; leave one out")
    if file is None:
        return value.get_secret_value() if value else None
    try:  # what it is called is not said: it may be the password itself, by mistake
        with file.expanduser().open("rb") as opened:
            text = opened.read(_LONGEST_PASSWORD).decode()
    except UnicodeDecodeError:
        raise ValueError(f"{variable}_FILE: the file is not UTF-8 text") from None
    except (OSError, ValueError, RuntimeError) as error:
        why = getattr(error, "strerror", None) or "no such file"
        raise ValueError(f"{variable}_FILE: the file cannot be read ({why})") from None
    text = text.removesuffix("\n").removesuffix("\r")
    if not text:
        raise ValueError(f"{variable}_FILE: the file is empty")
    return text


def read_settings(kind: type[AnySettings]) -> AnySettings:
    """Return what is in force.

    Raises:
        SettingsError: Something in the environment or the ``.env`` cannot be; all of it is named.
    """
    told = _under_former_names(kind)
    try:
        settings = kind()
    except ValidationError as error:
        told += [mistake for each in error.errors() if (mistake := _told(kind, each))]
    except (OSError, UnicodeError) as error:
        told += [_env_file_mistake(error)]
    if told:
        raise SettingsError(told)
    return settings


def _under_former_names(kind: type["DatabaseSettings"]) -> list[str]:
    """Return what is said of each setting that is given under a former name."""
    todays = _todays_names(kind)
    return [
        f"{name}: it is called {todays[name.upper()]} now; rename it in {place}"
        for name, (place, value) in sorted(_variables().items())
        if name.upper() in todays and value  # an empty one is as good as none
    ]


def _todays_names(kind: type["DatabaseSettings"]) -> dict[str, str]:
    """Return today's variable for each former one."""
    return {f"{PREFIX}{old.upper()}": f"{PREFIX}{new.upper()}" for old, new in kind.renamed.items()}


def _variables() -> dict[str, tuple[str, str]]:
    """Return what looks like a setting: in which place it stands, and its value."""
    in_file: dict[str, str | None] = {}
    with contextlib.suppress(OSError, UnicodeError):  # told as a mistake of the settings
        in_file = dotenv_values(ENV_FILE, encoding="utf-8-sig") if Path(ENV_FILE).is_file() else {}
    found = {name: (ENV_FILE, value or "") for name, value in in_file.items()}
    found |= {name: ("the environment", value) for name, value in os.environ.items()}
    return {name: about for name, about in found.items() if name.upper().startswith(PREFIX)}


def sources(kind: type[BaseSettings]) -> dict[str, tuple[str, str]]:
    """Return where each setting comes from, and what stands there, checked or not.

    What the environment holds goes before the ``.env``, whose own mistakes are told elsewhere.
    """
    found = {name: ("environment", str(v)) for name, v in EnvSettingsSource(kind)().items()}
    try:
        in_file = DotEnvSettingsSource(kind)()
    except (OSError, UnicodeError):
        return found
    known = {n: (ENV_FILE, str(v)) for n, v in in_file.items() if n in kind.model_fields}
    return known | found


def shown_value(name: str, field: FieldInfo, value: Any) -> str:
    """Return a setting's value as it may be shown."""
    if value is None or value is PydanticUndefined:
        return ""
    if name.endswith("_url"):
        return display_url(str(value))
    if name.endswith("_file") and not os.path.isfile(value):  # noqa: PTH113 - raises for no name
        return MASK  # the password itself, by mistake
    return MASK if _is_secret(field) else str(value)


def _is_secret(field: FieldInfo) -> bool:
    return not field.repr or field.annotation == SecretStr | None


def _told(kind: type[BaseSettings], error: ErrorDetails) -> str | None:
    """Return one mistake in words: the variable, what it holds, what is allowed, where it is."""
    if error["type"] == _NOT_ASKED:
        return None
    if not error["loc"]:
        return str(_cause(error) or error["msg"])  # a rule of several settings, which names them
    name = str(error["loc"][0])
    field = kind.model_fields[name]
    place, value = sources(kind).get(name, ("default", ""))
    held = "" if _is_secret(field) or name.endswith("_file") else f" {_quoted(value)}"
    where = f" (in {ENV_FILE})" if place == ENV_FILE else ""
    return f"{PREFIX}{name.upper()}:{held}{where} {_allowed(field, error)}"


def _cause(error: ErrorDetails) -> Exception | None:
    """Return what one of our own rules has raised."""
    cause = error.get("ctx", {}).get("error")
    return cause if isinstance(cause, Exception) else None


def _allowed(field: FieldInfo, error: ErrorDetails) -> str:
    cause = _cause(error)
    if cause is not None:
        return str(cause) if isinstance(cause, RequirementError) else f"cannot be used: {cause}"
    if field.annotation is bool:
        return "must be true or false"
    limits = {type(limit).__name__: limit for limit in field.metadata}
    if "Ge" in limits and "Le" in limits:
        what = "whole number" if field.annotation is int else "number"
        return f"must be a {what} from {limits['Ge'].ge:,} to {limits['Le'].le:,}"
    return f"cannot be used: {error['msg'][:1].lower()}{error['msg'][1:]}"


def unknown_variables(kind: type["DatabaseSettings"]) -> list[str]:
    """Return the names that look like a setting and are none: mistyped, or of another version."""
    known = {f"{PREFIX}{name.upper()}" for name in kind.model_fields} | OTHER_VARIABLES
    known |= _todays_names(kind).keys()  # told as mistakes of the settings
    return sorted(name for name in _variables() if name.upper() not in known)


def suggestion(kind: type[BaseSettings], name: str) -> str | None:
    """Return the setting that was most likely meant."""
    known = [f"{PREFIX}{known.upper()}" for known in kind.model_fields]
    close = difflib.get_close_matches(name.upper(), known, 1)
    return close[0] if close else None


def _quoted(value: str) -> str:
    return repr(value if len(value) <= _LONGEST_SHOWN else f"{value[:_LONGEST_SHOWN]}…")


def _env_file_mistake(error: Exception) -> str:
    if isinstance(error, UnicodeDecodeError):
        return f"{ENV_FILE}: byte {error.start + 1} is not UTF-8; save the file as UTF-8"
    why = getattr(error, "strerror", None) or type(error).__name__
    return f"{ENV_FILE}: cannot be read ({why})"
