"""`localaml start | stop | status | logs | env | init`, with real emulators."""

from __future__ import annotations

import json
import os
import shlex
import signal
import socket
import subprocess
from pathlib import Path

import pytest
from tests.cli.command_line import CommandLine
from tests.support.waiting import wait_until

from localaml.cli.endpoint import Presence, is_process_alive, look_up, wait_for_exit


def test_start_returns_when_it_serves_and_stop_when_it_is_gone(cli: CommandLine) -> None:
    told = cli.succeed("start", "-d")
    endpoint = cli.endpoint()
    for part in (
        endpoint["grpc_address"],
        endpoint["http_address"],
        str(cli.state_dir),
        "localaml env",
        "localaml stop",
    ):
        assert part in told
    status = cli.json("status")
    assert status["process_id"] == endpoint["process_id"]
    assert (status["cluster_count"], status["active_run_count"]) == (0, 0)
    assert f"pid {endpoint['process_id']}, up " in cli.succeed("status")
    assert cli.succeed("stop") == "Stopped.\n"
    assert not is_process_alive(endpoint["process_id"])
    assert not (cli.state_dir / "endpoint.json").exists()


def test_what_it_holds_is_for_its_owner_only(cli: CommandLine) -> None:
    cli.succeed("start", "-d")
    for name in ("token", "signing.key", "emulator.log"):
        assert (cli.state_dir / name).stat().st_mode & 0o077 == 0, name
    token = (cli.state_dir / "token").read_text().strip()
    process_id = cli.endpoint()["process_id"]
    assert token not in Path(f"/proc/{process_id}/cmdline").read_text()
    assert token not in cli.succeed("status") + cli.succeed("env") + cli.succeed("logs")


def test_a_second_emulator_on_the_same_state_folder(cli: CommandLine) -> None:
    cli.succeed("start", "-d")
    process_id = cli.endpoint()["process_id"]
    for words in (["start", "-d"], ["start"]):
        told = cli.fail(*words)
        assert f"runs on {cli.state_dir} already (pid {process_id}" in told
    assert cli.json("status")["process_id"] == process_id


def test_a_port_that_is_taken(cli: CommandLine) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        told = cli.fail("start", "-d", "--http-port", str(port))
        assert "ended at its start" in told and str(port) in told
    assert not (cli.state_dir / "endpoint.json").exists()


def test_chosen_ports(cli: CommandLine) -> None:
    with socket.socket() as one, socket.socket() as two:
        one.bind(("127.0.0.1", 0))
        two.bind(("127.0.0.1", 0))
        port, http_port = one.getsockname()[1], two.getsockname()[1]
    cli.succeed("start", "-d", "--port", str(port), LOCALAML_HTTP_PORT=str(http_port))
    endpoint = cli.endpoint()
    assert endpoint["grpc_address"] == f"127.0.0.1:{port}"
    assert endpoint["http_address"] == f"http://127.0.0.1:{http_port}"


def test_after_a_kill_it_says_so_and_the_next_start_goes_on(cli: CommandLine) -> None:
    cli.succeed("start", "-d")
    cli.succeed("workspace", "create", "kept")
    process_id = cli.endpoint()["process_id"]
    os.kill(process_id, signal.SIGKILL)
    assert wait_for_exit(process_id, 10)
    assert f"(pid {process_id}) was killed" in cli.fail("status")
    assert "was killed" in cli.succeed("doctor")
    cli.succeed("start", "-d")
    assert [workspace["name"].rpartition("/")[2] for workspace in cli.json("workspace", "list")] == ["kept"]


def test_stop_cleans_up_after_a_killed_one(cli: CommandLine) -> None:
    cli.succeed("start", "-d")
    process_id = cli.endpoint()["process_id"]
    os.kill(process_id, signal.SIGKILL)
    assert wait_for_exit(process_id, 10)
    assert "was killed" in cli.succeed("stop")
    assert "No emulator is running" in cli.fail("status")


def test_an_ephemeral_one_leaves_nothing(cli: CommandLine, tmp_path: Path) -> None:
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    told = cli.succeed("start", "-d", "--ephemeral", TMPDIR=str(temporary))
    (state_dir,) = temporary.iterdir()
    assert state_dir.name.startswith("localaml-")
    assert f"--state-dir {state_dir}" in told
    variables = dict(
        shlex.split(line)[1].split("=", 1) for line in cli.succeed("env", "--state-dir", str(state_dir)).splitlines()
    )
    assert set(variables) == {"LOCALAML_ENDPOINT", "LOCALAML_GRPC_ENDPOINT", "LOCALAML_TOKEN_FILE"}
    assert "(ephemeral)" in cli.succeed("status", **variables)
    del variables["LOCALAML_GRPC_ENDPOINT"]
    assert "(ephemeral)" in cli.succeed("status", **variables)
    cli.succeed("stop", **variables)
    assert list(temporary.iterdir()) == []
    assert not cli.state_dir.exists()


def test_an_ephemeral_one_takes_no_folder_that_has_something_in_it(cli: CommandLine) -> None:
    folder = cli.home / "precious"
    folder.mkdir()
    (folder / "thesis.txt").touch()
    told = cli.fail("start", "-d", "--ephemeral", "--state-dir", str(folder))
    assert f"{folder} is not empty" in told
    assert (folder / "thesis.txt").exists()


def test_a_state_folder_that_cannot_be_had(cli: CommandLine) -> None:
    (cli.home / "file").touch()
    assert "cannot be had" in cli.fail("start", "-d", "--state-dir", str(cli.home / "file" / "state"))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_in_the_foreground_a_signal_stops_it_in_good_order(cli: CommandLine, number: signal.Signals) -> None:
    process = subprocess.Popen(
        cli.words("start"), env=cli.environment, cwd=cli.home, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline().endswith("serves.\n")
    process_id = cli.endpoint()["process_id"]
    process.send_signal(number)
    out, err = process.communicate(timeout=20)
    assert process.returncode == 0, out + err
    assert "Traceback" not in err
    assert not is_process_alive(process_id)
    assert not (cli.state_dir / "endpoint.json").exists()


def test_an_interrupted_start_leaves_no_emulator(cli: CommandLine) -> None:
    process = subprocess.Popen(cli.words("start", "-d"), env=cli.environment, cwd=cli.home, stdout=subprocess.DEVNULL)
    log = cli.state_dir / "emulator.log"
    wait_until(log.exists, 10, "the emulator's process")
    process.terminate()
    process.wait(timeout=20)
    # Quick machines may have finished the start before the signal came: then it is a started emulator.
    if process.returncode == 0:
        assert cli.json("status")["active_run_count"] == 0
    else:
        assert process.returncode == 128 + signal.SIGTERM
        assert look_up(cli.state_dir)[0] in (Presence.NONE, Presence.STALE)


def test_following_the_log(cli: CommandLine) -> None:
    cli.succeed("start", "-d")
    with (cli.state_dir / "emulator.log").open("a") as log:
        log.write("one\ntwo\n")
    assert cli.succeed("logs", "-n", "1") == "two\n"
    follower = subprocess.Popen(
        cli.words("logs", "-f", "-n", "1"),
        env=cli.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert follower.stdout is not None
    assert follower.stdout.readline() == "two\n"
    with (cli.state_dir / "emulator.log").open("a") as log:
        log.write("three\n")
    assert follower.stdout.readline() == "three\n"
    follower.send_signal(signal.SIGINT)
    _, err = follower.communicate(timeout=10)
    assert follower.returncode == 130
    assert "Traceback" not in err


def test_no_log_without_a_start_in_the_background(cli: CommandLine) -> None:
    assert "only 'localaml start -d' writes one" in cli.fail("logs")


def test_init_makes_what_from_config_finds(cli: CommandLine, tmp_path: Path) -> None:
    cli.succeed("start", "-d")
    project = tmp_path / "project"
    project.mkdir()
    cli.succeed("init", "-w", "mine", "-g", "group", "--subscription-id", "sub", cwd=project)
    config = project / ".azureml" / "config.json"
    assert json.loads(config.read_text()) == {
        "subscription_id": "sub",
        "resource_group": "group",
        "workspace_name": "mine",
    }
    assert [found["name"] for found in cli.json("workspace", "list")] == [
        "subscriptions/sub/resourceGroups/group/workspaces/mine"
    ]
    # Again: nothing to do. Other options: the file may be that of a real workspace.
    cli.succeed("init", cwd=project)
    assert "names the workspace 'mine'" in cli.fail("init", "-w", "other", cwd=project)
    assert json.loads(config.read_text())["workspace_name"] == "mine"
    cli.succeed("init", "-w", "other", "--force", "--path", str(project))
    assert json.loads(config.read_text())["workspace_name"] == "other"


def test_init_with_the_config_of_a_real_workspace(cli: CommandLine, tmp_path: Path) -> None:
    cli.succeed("start", "-d")
    config = tmp_path / ".azureml" / "config.json"
    config.parent.mkdir()
    text = '{"subscription_id": "s-1", "resource_group": "rg", "workspace_name": "prod", "scope": "/x"}'
    config.write_text(text)
    cli.succeed("init", cwd=tmp_path)
    assert config.read_text() == text
    assert "prod" in cli.succeed("workspace", "list")


@pytest.mark.parametrize("place", ["config.json", "aml_config/config.json"])
def test_init_where_the_portals_config_lies_beside_the_code(cli: CommandLine, tmp_path: Path, place: str) -> None:
    cli.succeed("start", "-d")
    config = tmp_path / "project" / place
    config.parent.mkdir(parents=True)
    text = '{"subscription_id": "1234", "resource_group": "team", "workspace_name": "prod"}'
    config.write_text(text)
    assert f"{place} leads Workspace.from_config() to it" in cli.succeed("init", cwd=tmp_path / "project")
    assert [found["name"].rpartition("/")[2] for found in cli.json("workspace", "list")] == ["prod"]
    assert config.read_text() == text and not (tmp_path / "project" / ".azureml").exists()

    # What takes its place is where it is found first.
    assert "names the workspace 'prod'" in cli.fail("init", "-w", "other", cwd=tmp_path / "project")
    cli.succeed("init", "-w", "other", "--force", cwd=tmp_path / "project")
    assert json.loads((tmp_path / "project" / ".azureml" / "config.json").read_text())["workspace_name"] == "other"
    assert config.read_text() == text


def test_init_with_bad_input(cli: CommandLine) -> None:
    cli.succeed("start", "-d")
    assert "is not a good workspace name" in cli.fail("init", "-w", "../up")
    assert not (cli.home / ".azureml").exists()
    assert "does not exist" in cli.fail("init", "--path", "/no/such/folder", code=2)
    (cli.home / ".azureml").mkdir()
    (cli.home / ".azureml" / "config.json").write_text("{}")
    assert "is no workspace configuration" in cli.fail("init")


def test_a_wrong_token(cli: CommandLine) -> None:
    cli.succeed("start", "-d")
    endpoint = cli.endpoint()
    told = cli.fail(
        "status",
        LOCALAML_ENDPOINT=endpoint["http_address"],
        LOCALAML_GRPC_ENDPOINT=endpoint["grpc_address"],
        LOCALAML_TOKEN="wrong",
    )
    assert "does not accept the token" in told


def test_doctor(cli: CommandLine) -> None:
    findings = {one["check"]: one for one in cli.json("doctor")}
    assert findings["uv"]["result"] == "ok"
    assert findings["Emulator"]["text"].startswith("not running")
    assert set(findings) >= {"Python", "Open MPI", "Host names of nodes", "State folder", "gRPC port", "inotify", "SDK"}
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        done = cli.run("doctor", "--port", port)
    assert done.returncode == 1
    assert any(line.startswith("MISSING  gRPC port") and port in line for line in done.stdout.splitlines())


def test_doctor_knows_the_ports_of_the_emulator_that_is_running(cli: CommandLine) -> None:
    cli.succeed("start", "-d")
    endpoint = cli.endpoint()
    ports = [endpoint[name].rpartition(":")[2] for name in ("grpc_address", "http_address")]
    words = ["doctor", "--port", ports[0], "--http-port", ports[1]]
    found = {one["check"]: one for one in cli.json(*words)}
    for name, port in zip(("gRPC port", "HTTP port"), ports, strict=True):
        said = (found[name]["result"], found[name]["text"])
        assert said == ("ok", f"{port} on 127.0.0.1 is in use by the emulator that is running")

    # They are not for an emulator of another state folder.
    done = cli.run(*words, "--state-dir", str(cli.home / "other"))
    assert done.returncode == 1
    missing = [line for line in done.stdout.splitlines() if line.startswith("MISSING")]
    assert [line.split()[1] for line in missing] == ["gRPC", "HTTP"]
    assert "an emulator of another state folder seems to answer there" in missing[1]
