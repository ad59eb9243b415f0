"""A run behind PgBouncer in transaction mode, from the command to the model."""

import pytest

from db.session import Database
from tests.real import pooler
from tests.real.studio import Studio


@pytest.mark.skipif(pooler.may_be_left_out(), reason=pooler.MISSING)
def test_a_real_worker_and_trainer_bring_a_run_to_its_end_behind_a_pooler(
    data_dir, postgresql_server, postgresql_database
):
    with pooler.pgbouncer(postgresql_server) as url:
        pooled = url.set(database=postgresql_database.url.database)
        database = Database(pooled.render_as_string(hide_password=False))
        studio = Studio(data_dir, database)
        try:
            studio.start_broker()
            studio.start_worker()
            run_id = studio.launch()
            studio.wait_for_status(run_id, "succeeded")
        finally:
            studio.close()
        assert studio.run(run_id).attempt == 1
        assert studio.caat("db", "upgrade").returncode == 0
        assert studio.caat("status", run_id).returncode == 0
        database.dispose()
