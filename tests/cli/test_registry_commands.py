"""`localaml model` and `localaml environment`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from tests.cli.command_line import CommandLine

_REGISTER = """
from azureml.core import Environment, Model, Workspace
import os
workspace = Workspace.from_config()
os.makedirs("net/deep")
for name in ("net/a.txt", "net/deep/b.txt"):
    with open(name, "w") as file:
        file.write(name)
Model.register(workspace, "net", "net", tags={"stage": "test"}, description="A net.")
Model.register(workspace, "net/a.txt", "net")
environment = Environment("mine")
environment.python.conda_dependencies.add_pip_package("numpy")
environment.register(workspace)
Environment.label(workspace, "mine", "1", ["good"])
"""


@pytest.fixture(scope="module")
def registered(running: CommandLine) -> CommandLine:
    subprocess.run([sys.executable, "-c", _REGISTER], env=running.environment, cwd=running.home, timeout=60, check=True)
    return running


def test_models_are_listed_and_shown(registered: CommandLine) -> None:
    header, row = registered.succeed("model", "list").splitlines()
    assert header.split() == ["MODEL", "VERSION", "FILES", "SIZE", "RUN", "CREATED", "TAGS"]
    assert row.split()[:5] == ["net", "2", "1", "9", "B"]
    assert [model["version"] for model in registered.json("model", "list", "--all")] == ["2", "1"]
    assert [model["version"] for model in registered.json("model", "list", "--name", "net", "-n", "1")] == ["2"]
    assert "There are no models" in registered.run("model", "list", "--name", "nothing").stderr
    shown = registered.succeed("model", "show", "net:1")
    assert "A net." in shown and "stage=test" in shown and "2, 23 B" in shown
    assert registered.json("model", "show", "net")["version"] == "2"


def test_models_are_fetched(registered: CommandLine, tmp_path: Path) -> None:
    told = registered.succeed("model", "download", "net:1", "--to", str(tmp_path / "one"))
    assert told.splitlines() == [str(tmp_path / "one/net/a.txt"), str(tmp_path / "one/net/deep/b.txt")]
    assert (tmp_path / "one/net/deep/b.txt").read_text() == "net/deep/b.txt"
    registered.succeed("model", "download", "net", "--to", str(tmp_path / "two"))
    assert [path.name for path in (tmp_path / "two").rglob("*")] == ["a.txt"]


def test_models_that_are_not_there(registered: CommandLine) -> None:
    for command in ("show", "download"):
        assert "nothing" in registered.fail("model", command, "nothing")
        assert "no version 9" in registered.fail("model", command, "net:9")
        for bad in ("net:x", "net:0", "net:-1", "net:"):
            assert "NAME:VERSION" in registered.fail("model", command, bad, code=2)


def test_environments_are_listed(registered: CommandLine) -> None:
    lines = registered.succeed("environment", "list").splitlines()
    assert lines[0].split() == ["ENVIRONMENT", "VERSION", "LABELS", "CREATED", "PACKAGES"]
    assert lines[1].split()[:3] == ["mine", "1", "good"] and "numpy" in lines[1]
    assert any(line.startswith("AzureML-Minimal") and "curated" in line for line in lines)
    assert [each["version"] for each in registered.json("environment", "list", "--no-curated")] == ["1"]
    assert [each["labels"] for each in registered.json("environment", "list", "--name", "mine")] == [["good"]]
