"""What `caat up` asks of its children."""

import subprocess
import sys

FORKS = """
import os, subprocess, time
from app.cli.processes import Fork

ended = Fork(lambda until: os._exit(3))
assert ended.wait(60) == ended.poll() == 3
ended.let_go_on()
waiting = Fork(lambda until: os._exit(len(os.read(until, 2)) + 4))
assert waiting.poll() is None
waiting.let_go_on()
assert waiting.wait(60) == 5
staying = Fork(lambda until: time.sleep(600))
try:
    staying.wait(0.1)
except subprocess.TimeoutExpired:
    print("it stays")
assert staying.poll() is None
staying.terminate()
assert staying.wait(60) == -15
"""


def test_a_fork_gives_its_exit_code_and_is_waited_for_no_longer_than_told():
    # A process of its own: pytest's has threads.
    done = subprocess.run([sys.executable, "-c", FORKS], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("it stays\n", "")
