"""The commands of the guide to backup and restore, run as they stand in docs/deployment.md."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

from db.session import Database
from db.settings import sqlite_url

GUIDE = Path(__file__).parents[2] / "docs" / "deployment.md"


def documented(title: str) -> str:
    """Return the commands of one block, with this checkout's ``caat``."""
    (block,) = re.findall(rf"^```sh {title}\n(.*?)```", GUIDE.read_text("utf-8"), re.M | re.S)
    caat = f'{shlex.quote(sys.executable)} -m app.cli.main "$@"'
    return f"set -eu\ncaat() {{ {caat}; }}\n{block}"


def sh(script: str, environment: dict[str, str]) -> str:
    done = subprocess.run(
        ["sh", "-c", script], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_restored_backup_has_every_run_and_its_files(sqlite_studio, tmp_path):
    run_id = sqlite_studio.queue("training.epochs=1")
    files = sqlite_studio.folder / "runs" / run_id
    files.mkdir(parents=True, mode=0o700)
    (files / "last.safetensors").write_bytes(b"weights")
    backup, restored = tmp_path / "backup", tmp_path / "restored"
    backup.mkdir()
    environment = sqlite_studio.environment | {"BACKUP": str(backup)}
    sh(documented("backup"), environment)
    environment |= {"CAAT_DATA_DIR": str(restored)}
    del environment["CAAT_DATABASE_URL"]
    assert "no damage found" in sh(documented("restore"), environment)
    assert (restored / "runs" / run_id / "last.safetensors").read_bytes() == b"weights"
    database = Database(sqlite_url(restored / "caat.db"))
    with database.read() as session:
        from db.reads.queries import get_run

        assert get_run(session, run_id) is not None
    database.dispose()
