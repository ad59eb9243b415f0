"""The event of Celery's by which its tools know of a run that waits.

A worker tells of the runs that it has; of one that waits only who sends its message can.
"""

import base64
import json
import os
import time

from tasks.queue.message import TASK, run_of
from tasks.queue_names import at_broker


def sent_event(task: str, queue: str) -> bytes:
    """Return what is published when the message of a task id is put into a queue."""
    run_id, _ = run_of(task)
    event = {
        "type": "task-sent",
        "uuid": task,
        "name": TASK,
        "args": f"['{run_id}']",
        "kwargs": "{}",
        "root_id": task,
        "parent_id": None,
        "retries": 0,
        "eta": None,
        "expires": None,
        "queue": at_broker(queue),
        "exchange": "",
        "routing_key": at_broker(queue),
        "hostname": "caat",
        "pid": os.getpid(),
        "timestamp": time.time(),
    }
    return json.dumps(
        {
            "body": base64.b64encode(json.dumps(event).encode()).decode(),
            "content-encoding": "utf-8",
            "content-type": "application/json",
            "headers": {"hostname": "caat"},
            "properties": {
                "delivery_mode": 1,
                "delivery_info": {"exchange": "celeryev", "routing_key": "task.sent"},
                "priority": 0,
                "body_encoding": "base64",
                "delivery_tag": task,
            },
        }
    ).encode()
