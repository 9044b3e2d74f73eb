"""Another user of this machine, who knows where everything is and has no token."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from campaigns.attacks.scene import Scene

NOBODY = 65534
# Tries to read and to write all that is below a folder, by every path that it is told.
LOOK = """
import json, os, sys
told = {"read": [], "written": [], "listed": [], "connected": []}
for path in json.load(sys.stdin):
    try:
        os.listdir(path)
        told["listed"].append(path)
    except OSError:
        pass
    try:
        with open(path, "rb") as file:
            file.read(1)
        told["read"].append(path)
    except OSError:
        pass
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_NONBLOCK))
        told["written"].append(path)
    except OSError:
        pass
    try:
        import socket
        socket.socket(socket.AF_UNIX).connect(path)
        told["connected"].append(path)
    except OSError:
        pass
print(json.dumps(told))
"""


def _as_nobody(script: str, what: Any) -> Any:
    if os.getuid() != 0 or shutil.which("setpriv") is None:
        pytest.skip("only root can become another user")
    python = "/usr/bin/python3" if Path("/usr/bin/python3").exists() else sys.executable
    done = subprocess.run(
        ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", python, "-c", script],
        input=json.dumps(what),
        capture_output=True,
        text=True,
        timeout=60,
        cwd="/",
        check=True,
    )
    return json.loads(done.stdout)


@pytest.fixture
def opened(scene: Scene) -> Any:
    """Whoever made the state dir may have opened the folders above it to all: only its own modes count."""
    changed = []
    for folder in scene.state_dir.parents:
        mode = stat.S_IMODE(folder.stat().st_mode)
        if not mode & 0o001:
            folder.chmod(mode | 0o005)
            changed.append((folder, mode))
    yield
    for folder, mode in changed:
        folder.chmod(mode)


def test_the_state_dir_is_closed(scene: Scene, opened: None) -> None:
    assert scene.upload("data/private.txt", b"private").status == 201
    paths = [str(path) for path in (scene.state_dir, *scene.state_dir.rglob("*"))]
    told = _as_nobody(LOOK, paths)
    assert len(paths) > 10
    assert told == {"read": [], "written": [], "listed": [], "connected": []}


def test_the_ports_give_nothing_without_a_token(scene: Scene) -> None:
    script = """
import json, sys, urllib.request, urllib.error
told = []
for url in json.load(sys.stdin):
    request = urllib.request.Request(url, b"{}", {"content-type": "application/json"})
    try:
        told.append(urllib.request.urlopen(request, timeout=20).status)
    except urllib.error.HTTPError as error:
        told.append(error.code)
print(json.dumps(told))
"""
    calls = ("WorkspaceService/ListWorkspaces", "RunService/SubmitRun", "SecretService/GetSecret")
    urls = [f"{scene.http}/localaml.v1.{call}" for call in calls]
    urls += [f"{scene.http}/localaml.admin.v1.AdminService/{call}" for call in ("GetInfo", "Shutdown", "Reset")]
    assert _as_nobody(script, urls) == [401] * len(urls)


def test_nothing_is_open_beyond_this_machine(scene: Scene) -> None:
    """No port of the emulator listens on an address that others reach."""
    import psutil

    connections = psutil.Process(scene.emulator.pid).net_connections()
    listening = [each.laddr.ip for each in connections if each.status == "LISTEN"]
    assert listening and all(address in ("127.0.0.1", "::1", "::ffff:127.0.0.1") for address in listening), listening


def test_a_job_s_temporary_folders_are_closed(scene: Scene) -> None:
    """Those outside of the state dir, too: shared memory, and what the job itself calls its temporary folder."""
    script = """
import json, os, stat, sys
folders = [os.environ["TMPDIR"]] + [os.path.join("/dev/shm", name) for name in os.listdir("/dev/shm")]
print(json.dumps([[path, os.lstat(path).st_mode & 0o077] for path in folders if "localaml" in path]))
"""
    run, log = scene.performed(script)
    assert run["state"] == "RUN_STATE_COMPLETED", (run, log)
    found = json.loads(log.strip().splitlines()[-1])
    assert not [path for path, mode in found if path.startswith("/dev/shm") and mode], found
