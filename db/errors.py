"""Errors that are told to a person: one line each, what is wrong and what to do."""


class SettingsError(ValueError):
    """The environment or a ``.env`` says something that cannot be; nothing was done.

    Attributes:
        mistakes: One line each, without secrets.
    """

    def __init__(self, mistakes: list[str]) -> None:
        super().__init__("; ".join(mistakes))
        self.mistakes = mistakes


class RequirementError(ValueError):
    """A setting's value cannot be; the text goes on after its name: ``must be ...``."""


class DatabaseError(RuntimeError):
    """The database cannot be used as it is; nothing was written."""


class UnusablePlaceError(SettingsError, DatabaseError):
    """The folder that the settings name cannot be made, or not be written to."""


class DatabaseUrlError(DatabaseError):
    """The URL names no database of a kind that is known.

    Attributes:
        requirement: What it must be, as in `RequirementError`.
    """

    def __init__(self, requirement: str) -> None:
        super().__init__(f"CAAT_DATABASE_URL {requirement}")
        self.requirement = requirement


class DatabaseUnreachableError(DatabaseError):
    """No connection: wrong address, wrong password, server down, file not readable."""


class DatabaseBusyError(DatabaseError):
    """Someone else holds a lock, or the server cancelled a slow statement; try again."""


class DatabaseFullError(DatabaseError):
    """The disk that it is on is full; nothing more can be written until there is room."""


class SchemaMismatchError(DatabaseError):
    """The tables are older or newer than this program."""


class SchemaNewerError(SchemaMismatchError):
    """This program is older than the tables."""

    def __init__(self, revision: str, head: str) -> None:
        super().__init__(
            f"the database is at revision {revision}, newer than this program's {head}: "
            "install the newer caat-studio"
        )
        self.revision, self.head = revision, head
