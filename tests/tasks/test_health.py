"""`caat health`: what a container's health check asks."""

import socket
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from db import workers
from db.errors import DatabaseUnreachableError
from tasks.processes.host import host_name


@pytest.fixture
def dashboard(request):
    """Something that answers every question as it is told."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200 if self.path == request.param else 503)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Answer)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield str(server.server_port)
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("dashboard", ["/_stcore/health"], indirect=True)
def test_a_dashboard_that_answers_is_healthy_at_any_address(told_here, monkeypatch, dashboard):
    monkeypatch.setenv("CAAT_DASHBOARD_ADDRESS", "0.0.0.0")  # consent is the dashboard's matter
    assert told_here("health", "dashboard", "--port", dashboard) == (0, "", "")


@pytest.mark.parametrize("dashboard", ["/lab/_stcore/health"], indirect=True)
def test_it_is_asked_below_its_path(told_here, monkeypatch, dashboard):
    monkeypatch.setenv("CAAT_PUBLIC_URL", "https://caat.example.org/lab/")
    assert told_here("health", "dashboard", "--port", dashboard)[0] == 0


@pytest.mark.parametrize("dashboard", ["/never"], indirect=True)
def test_one_that_answers_with_an_error_is_not(told_here, dashboard):
    code, out, told = told_here("health", "dashboard", "--port", dashboard)
    assert (code, out, told.count("\n")) == (1, "", 1)


def test_one_that_is_not_there_is_not(told_here):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        code, _, told = told_here("health", "dashboard", "--port", str(taken.getsockname()[1]))
    assert code == 1
    assert told.startswith("caat: no dashboard answers at http://")


def reported(host, state="idle"):
    return workers.WorkerReport(
        id=f"{host}-1",
        host=host,
        pid=1,
        device="cpu",
        device_name="",
        version="0",
        state=state,
        run_id=None,
        queues=",default,",
        datasets="",
        memory_total=None,
        memory_used=None,
        utilisation=None,
    )


@pytest.mark.parametrize(
    ("host", "stopped", "code"),
    [(None, False, 0), (None, True, 1), ("another", False, 1)],
)
def test_a_worker_is_healthy_while_one_of_its_host_reports(
    told_here, sqlite_studio, host, stopped, code
):
    report = reported(host or host_name())
    with sqlite_studio.database.write() as session:
        workers.upsert_worker(session, report)
        if stopped:
            workers.worker_stopped(session, report.id)
    assert told_here("health", "worker")[0] == code


def test_a_database_that_is_away_is_no_illness_of_the_worker(told_here, monkeypatch):
    def away(**_):
        raise DatabaseUnreachableError("cannot reach it")

    monkeypatch.setattr("tasks.settings.open_database", away)
    code, out, told = told_here("health", "worker")
    assert (code, out) == (0, "")
    assert "cannot reach it" in told


def test_there_is_nothing_else_to_ask(told_here):
    code, _, told = told_here("health", "broker")
    assert (code, told.count("\n")) == (2, 1)
