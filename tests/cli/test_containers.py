"""What the command line says and does about nodes that are containers."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from tests.cli.command_line import CommandLine

if TYPE_CHECKING:
    from docker import DockerClient


def test_doctor_where_no_engine_answers(cli: CommandLine) -> None:
    nowhere = {"LOCALAML_DOCKER_HOST": f"unix://{cli.home}/no.sock"}
    done = cli.run("doctor", **nowhere)
    assert done.returncode == 0
    (line,) = [line for line in done.stdout.splitlines() if "Docker engine" in line]
    assert line.startswith("note") and "No such file or directory" in line and "processes all the same" in line
    done = cli.run("doctor", "--compute", "docker", **nowhere)
    assert done.returncode == 1
    assert any(line.startswith("MISSING  Docker engine") for line in done.stdout.splitlines())


@pytest.mark.docker
def test_doctor_where_an_engine_answers(cli: CommandLine, docker_engine: DockerClient) -> None:
    def findings(**environment: str) -> dict[str, Any]:
        return {one["check"]: one for one in json.loads(cli.run("doctor", "-o", "json", **environment).stdout)}

    image = "localaml/no-such-image:1"
    found = findings(LOCALAML_COMPUTE="docker", LOCALAML_DOCKER_BASE_IMAGE=image)
    assert found["Docker engine"]["result"] == "ok"
    version = docker_engine.version()["Version"]
    assert found["Docker engine"]["text"].startswith(version) and "cgroup v" in found["Docker engine"]["text"]
    assert found["Base image"]["result"] == "missing"
    assert image in found["Base image"]["text"] and "localaml image build" in found["Base image"]["text"]
    assert findings(LOCALAML_DOCKER_BASE_IMAGE=image)["Base image"]["result"] == "note"
    assert findings(LOCALAML_DOCKER_BASE_IMAGE="other/image")["Base image"]["text"].count("docker pull other/image")


def test_an_emulator_of_containers_needs_an_engine(cli: CommandLine) -> None:
    nowhere = {"LOCALAML_DOCKER_HOST": f"unix://{cli.home}/no.sock"}
    told = cli.fail("start", "-d", "--compute", "docker", **nowhere)
    assert "The Docker engine cannot be reached (No such file or directory)" in told
    assert "no good" in cli.fail("start", "-d", "--compute", "podman", code=2)


def test_nodes_are_processes_where_no_engine_answers(cli: CommandLine) -> None:
    nowhere = {"LOCALAML_DOCKER_HOST": f"unix://{cli.home}/no.sock"}
    cli.succeed("start", "-d", "--compute", "auto", **nowhere)
    try:
        assert cli.json("status")["compute_runtime"] == "process"
        assert "no Docker engine answers" in cli.succeed("logs")
        cli.succeed("init")
        told = cli.fail("compute", "create", "cpu", "--runtime", "docker")
        assert "The Docker engine cannot be reached (No such file or directory)" in told
        told = cli.fail("compute", "create", "cpu", "--runtime", "podman")
        assert "'podman'" in told and "'process' or 'docker'" in told
        cli.succeed("compute", "create", "cpu", "--runtime", "process")
        assert "process" in cli.succeed("compute", "show", "cpu")
        assert cli.json("compute", "show", "cpu")["tags"] == {"localaml.runtime": "process"}
    finally:
        cli.succeed("stop")
