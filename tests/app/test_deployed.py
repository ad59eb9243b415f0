"""The files of a deployment agree with the program, with each other, and hold no secret.

None of them is run here: docs/deployment.md has the table of what each was checked by.
"""

import os
import re
import shutil
import subprocess
import time

import pytest
import typer

from app.cli.main import cli
from app.cli.processes import GRACE
from app.server.dashboard import dashboard_address
from engine.errors import UserError
from tasks.queue.broker import server_command
from tasks.settings import Settings, read_settings, settings
from tests.app.deployed import (
    COMPOSE,
    DEPLOY,
    IMAGE,
    MANIFESTS,
    ROOT,
    UNITS,
    documents,
    image_environment,
    pods,
    started,
)

KNOWN = {f"CAAT_{name.upper()}" for name in Settings.model_fields}
ALL = started()
OURS = pytest.mark.parametrize("process", ALL, ids=lambda process: process.place)
FILES = [
    ROOT / "Dockerfile",
    ROOT / "compose.yaml",
    *(file for file in sorted(DEPLOY.rglob("*")) if file.is_file()),
]


def test_every_kind_of_deployment_starts_dashboard_and_worker():
    kinds = {(process.place.split()[0], process.words[1]) for process in ALL}
    for kind in ("compose", "kubernetes", "systemd"):
        assert {(kind, "dashboard"), (kind, "worker")} <= kinds
    assert ("slurm", "worker") in kinds


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_every_variable_of_ours_in_a_file_is_a_setting(file):
    of_compose = {"CAAT_IMAGE_TAG", "CAAT_WORKER_MEMORY", "CAAT_GPU_WORKER_MEMORY", "CAAT_ENV_FILE"}
    named = set(re.findall(r"\bCAAT_[A-Z_]+\b", file.read_text(encoding="utf-8")))
    assert named <= KNOWN | of_compose


@OURS
def test_every_environment_is_accepted_by_the_settings(process, monkeypatch, tmp_path):
    for name in [name for name in os.environ if name.startswith("CAAT_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    secret = tmp_path / "secret"
    secret.write_text("p@ss/w:o%rd\n")
    ours = {k: v for k, v in process.environment.items() if k.startswith("CAAT_")}
    for name, value in ours.items():
        shown = re.sub(r"\$\{\w+:-(.*)\}", r"\1", value)
        monkeypatch.setenv(name, str(secret) if name.endswith("_FILE") else shown)
    monkeypatch.setenv("CAAT_DATA_DIR", str(tmp_path / "data"))
    read = read_settings(Settings)
    if "CAAT_DATABASE_URL" in ours:
        assert "p%40ss%2Fw%3Ao%25rd" in read.database_url


@OURS
def test_every_command_is_one_of_the_program(process):
    group = typer.main.get_command(cli)
    command = group.commands[process.words[1]]
    context = command.make_context(process.words[1], list(process.words[2:]))
    assert context.command is command


def checks():
    for name, service in COMPOSE["services"].items():
        yield f"compose {name}", service["healthcheck"]["test"]
    for name, pod in pods():
        probe = pod["containers"][0]["livenessProbe"]
        if "exec" in probe:
            yield f"kubernetes {name}", ["CMD", *probe["exec"]["command"]]


def test_every_service_has_a_health_check_and_ours_are_commands_of_the_program():
    group = typer.main.get_command(cli)
    found = dict(checks())
    assert set(found) >= {f"compose {name}" for name in COMPOSE["services"]}
    for _, words in found.items():
        if words[1] == "caat":
            group.commands[words[2]].make_context(words[2], list(words[3:]))


@OURS
def test_a_worker_has_the_time_to_stop_its_run_before_it_is_killed(process):
    if process.words[1] == "worker":
        longest = Settings.model_fields["stop_grace_seconds"].default + GRACE
        assert process.grace > longest


def test_user_port_and_folder_are_the_images_own():
    environment = image_environment()
    (user,) = re.findall(r"^USER (.*)", IMAGE, re.M)
    assert environment["CAAT_DATA_DIR"] in re.findall(r"^VOLUME (.*)", IMAGE, re.M)
    assert user.split(":")[0] in re.findall(r"--uid (\d+)", IMAGE)
    for process in ALL:
        if process.place.startswith(("compose", "kubernetes")):
            assert process.user == user, process.place
    port = re.findall(r"^EXPOSE (\d+)", IMAGE, re.M)[0]
    (dashboard,) = (pod for name, pod in pods() if name == "dashboard")
    assert str(dashboard["containers"][0]["ports"][0]["containerPort"]) == port
    assert COMPOSE["services"]["dashboard"]["ports"] == [f"127.0.0.1:{port}:{port}"]
    assert f"http://dashboard:{port};" in (DEPLOY / "proxy" / "nginx.conf").read_text()


def test_from_outside_only_the_proxy_with_its_password_is_reached():
    for name, service in COMPOSE["services"].items():
        for port in service.get("ports", []):
            assert port.startswith("127.0.0.1:") or name == "proxy"
    kinds = [document["kind"] for document in documents(*MANIFESTS)]
    assert "Ingress" not in kinds
    services = [d for d in documents(*MANIFESTS) if d["kind"] == "Service"]
    assert {service["spec"].get("type", "ClusterIP") for service in services} == {"ClusterIP"}


def test_nothing_runs_as_root_or_may_become_it_or_writes_to_its_image():
    for name, service in COMPOSE["services"].items():
        assert int(service["user"].split(":")[0]) > 0, name
        assert service["read_only"], name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service["mem_limit"], name
        assert service["pids_limit"], name
    for name, pod in pods():
        (container,) = pod["containers"]
        assert pod["securityContext"]["runAsNonRoot"], name
        assert container["securityContext"]["readOnlyRootFilesystem"], name
        assert not container["securityContext"]["allowPrivilegeEscalation"], name
        assert container["resources"]["limits"]["memory"], name
    for unit in UNITS:
        assert "NoNewPrivileges=true\nProtectSystem=strict" in unit.read_text(), unit.name


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_no_file_holds_a_password(file):
    text = file.read_text(encoding="utf-8")
    assert not re.search(r"://[^/\s:@]*:[^/\s@]+@", text)
    for name, value in re.findall(r"(\w*(?:PASSWORD|TOKEN|SECRET)\w*)[:=]\s*([^\s,}\"]+)", text):
        assert name.endswith("_FILE"), f"{name}: {value}"
    for document in documents(file) if file.suffix == ".yaml" else []:
        if document.get("kind") == "Secret":
            assert not any(document.get("stringData", {}).values())
    assert not re.search(r"-----BEGIN", text)


def test_every_secret_of_compose_is_a_file_that_git_and_the_image_leave_out():
    assert all(s["file"].startswith("./secrets/") for s in COMPOSE["secrets"].values())
    assert "secrets/" in (ROOT / ".gitignore").read_text().split()
    assert (ROOT / ".dockerignore").read_text().startswith("*\n")
    assert "!secrets" not in (ROOT / ".dockerignore").read_text()


def test_the_image_is_refused_in_words_until_somebody_consents(monkeypatch):
    monkeypatch.setenv("CAAT_DASHBOARD_ADDRESS", image_environment()["CAAT_DASHBOARD_ADDRESS"])
    monkeypatch.delenv("CAAT_DASHBOARD_PUBLIC", raising=False)
    settings.cache_clear()
    try:
        with pytest.raises(UserError, match="CAAT_DASHBOARD_PUBLIC=true"):
            dashboard_address(8501)
        monkeypatch.setenv("CAAT_DASHBOARD_PUBLIC", "true")
        settings.cache_clear()
        assert not dashboard_address(8501).is_loopback
    finally:
        settings.cache_clear()


def test_the_kustomization_names_files_that_are_there_and_leaves_no_manifest_unnamed():
    (kustomization,) = documents(DEPLOY / "kubernetes" / "kustomization.yaml")
    text = (DEPLOY / "kubernetes" / "kustomization.yaml").read_text()
    optional = {"gpu-worker.yaml", "autoscale.yaml", "secret.example.yaml", "kustomization.yaml"}
    assert {file.name for file in MANIFESTS} == set(kustomization["resources"]) | optional
    assert "gpu-worker.yaml" in text
    assert "autoscale.yaml" in text


def test_the_autoscaler_asks_for_what_the_tables_have(sqlite_database):
    from sqlalchemy import text

    (scaled,) = (d for d in documents(*MANIFESTS) if d["kind"] == "ScaledObject")
    query = scaled["spec"]["triggers"][0]["metadata"]["query"]
    assert scaled["spec"]["scaleTargetRef"]["name"] in dict(pods())
    with sqlite_database.read() as session:
        assert session.execute(text(query)).scalar_one() == 0


@pytest.mark.parametrize("place", ["compose", "kubernetes"])
def test_redis_takes_any_password_from_its_file(tmp_path, place):
    """The line itself, with this machine's Valkey as redis-server."""
    import redis

    words = (
        COMPOSE["services"]["redis"]["command"][-1].replace("$$", "$")
        if place == "compose"
        else dict(pods())["redis"]["containers"][0]["command"][-1]
    )
    password = "a b\"c\\d$e%@/:#'`x"
    secret, socket = tmp_path / "broker", tmp_path / "s"
    secret.write_text(password + "\n")
    server = server_command()[0]
    line = re.sub(r"/run/secrets/(caat/)?broker", str(secret), words)
    line = line.replace("redis-server - --dir /data", f"{server} - --dir {tmp_path}")
    line = line.rstrip() + f" --port 0 --unixsocket {socket}"
    process = subprocess.Popen(["sh", "-c", line], stdout=subprocess.DEVNULL)
    try:
        until = time.monotonic() + 20
        while not socket.exists() and time.monotonic() < until:
            time.sleep(0.05)
        with redis.Redis(unix_socket_path=str(socket), password=password) as client:
            assert client.ping()
        with (
            redis.Redis(unix_socket_path=str(socket)) as nobody,
            pytest.raises(redis.AuthenticationError),
        ):
            nobody.ping()
    finally:
        process.terminate()
        process.wait(10)


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_the_batch_script_passes_the_word_to_end_on_and_goes_back_to_the_queue(tmp_path):
    worker = tmp_path / "caat"
    worker.write_text(
        "#!/bin/bash\ntrap 'sleep 0.2; echo drained >> $LOG; exit 0' TERM\n"
        'echo "$@" >> $LOG\nwhile :; do sleep 0.05; done\n'
    )
    (tmp_path / "scontrol").write_text('#!/bin/bash\necho "scontrol $@" >> $LOG\n')
    for name in ("caat", "scontrol"):
        (tmp_path / name).chmod(0o755)
    (tmp_path / "env").write_text("CAAT_DATABASE_URL=postgresql://caat@host/caat\n")
    log = tmp_path / "log"
    environment = {
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "HOME": str(tmp_path),
        "LOG": str(log),
        "CAAT_ENV_FILE": str(tmp_path / "env"),
        "SLURM_JOB_ID": "42",
    }
    script = str(DEPLOY / "slurm" / "worker.sbatch")
    process = subprocess.Popen(["bash", script], env=environment)
    until = time.monotonic() + 20
    while not (log.exists() and log.read_text()) and time.monotonic() < until:
        time.sleep(0.05)
    process.terminate()
    assert process.wait(20) == 0
    told = ["worker --device auto --until-empty", "drained", "scontrol requeue 42"]
    assert log.read_text().splitlines() == told


def test_the_batch_script_says_in_a_line_that_it_has_no_settings(tmp_path):
    script = str(DEPLOY / "slurm" / "worker.sbatch")
    done = subprocess.run(
        ["bash", script],
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)


def test_the_units_are_accepted_by_systemd(tmp_path):
    if shutil.which("systemd-analyze") is None:
        pytest.skip("needs systemd-analyze")
    copies = []
    for unit in UNITS:
        copy = tmp_path / unit.name
        copy.write_text(re.sub(r"ExecStart=\S+", "ExecStart=/bin/true", unit.read_text()))
        copies.append(str(copy))
    done = subprocess.run(
        ["systemd-analyze", "verify", *copies], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_nginx_accepts_the_proxys_settings(tmp_path):
    binary = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if binary is None or shutil.which("openssl") is None:
        reason = "needs nginx and openssl"
        pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)
    make = (
        "openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=x -days 1 -keyout tls.key -out tls.pem"
    )
    subprocess.run(make.split(), cwd=tmp_path, check=True, capture_output=True)
    text = (DEPLOY / "proxy" / "nginx.conf").read_text().replace("/tmp/", f"{tmp_path}/")
    text = text.replace("/run/secrets", str(tmp_path)).replace("//dashboard", "//127.0.0.1")
    (tmp_path / "nginx.conf").write_text(text)
    done = subprocess.run(
        [binary, "-t", "-e", "stderr", "-p", str(tmp_path), "-c", str(tmp_path / "nginx.conf")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_the_gpu_worker_of_each_file_asks_for_a_gpu():
    (device,) = COMPOSE["services"]["gpu-worker"]["deploy"]["resources"]["reservations"]["devices"]
    assert device["capabilities"] == ["gpu"]
    limits = dict(pods())["gpu-worker"]["containers"][0]["resources"]["limits"]
    assert limits["nvidia.com/gpu"] == 1
