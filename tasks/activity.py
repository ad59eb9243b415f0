"""What goes on now, as it is shown: runs whose worker is gone are marked as lost."""

from dataclasses import replace

from db.reads import activity
from db.reads.activity import Activity
from db.session import Database
from tasks.worker.liveness import with_lost_marked


def look(database: Database) -> Activity:
    """Read what goes on.

    Raises:
        DatabaseError: The database did not answer.
    """
    with database.read() as session:
        found = activity.activity(session)
    runs = with_lost_marked([work.run for work in found.at_work], database)
    pairs = zip(found.at_work, runs, strict=True)
    return replace(found, at_work=[replace(work, run=run) for work, run in pairs])
