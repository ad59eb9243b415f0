"""How much a page takes from a browser."""

from pydantic import Field

from db.settings import DatabaseSettings


class UploadSettings(DatabaseSettings):
    """The database's settings, and how large a file a page takes."""

    upload_limit_mb: int = Field(
        500,
        ge=1,
        le=100_000,
        description="Megabytes of a file that a page takes; the dashboard holds it in "
        "memory meanwhile. `caat data add` and `caat audit` have no such limit",
    )
