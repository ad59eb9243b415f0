"""Errors that are told to a person: one line each, what is wrong and what to do."""


class DatabaseError(RuntimeError):
    """The database cannot be used as it is; nothing was written."""


class DatabaseUnreachableError(DatabaseError):
    """No connection: wrong address, wrong password, server down, file not readable."""


class DatabaseBusyError(DatabaseError):
    """Someone else holds a lock, or the server cancelled a slow statement; try again."""


class SchemaMismatchError(DatabaseError):
    """The tables are older or newer than this program."""
