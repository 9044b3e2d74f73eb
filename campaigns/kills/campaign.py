"""One campaign from the first start to the last comparison."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from campaigns.calls import Caller, Lost, Refused
from campaigns.emulator import EmulatorProcess, Trouble
from campaigns.kills.checks import Finding, machine
from campaigns.kills.checks.records import check_records
from campaigns.kills.checks.runs import RunCheck
from campaigns.kills.clients import Client
from campaigns.kills.killer import Killer
from campaigns.kills.ledger import Journal, Ledger
from campaigns.kills.report import show
from campaigns.kills.scene import EXPERIMENT, PAIRS, SINGLE, Scene
from campaigns.waiting import pause, wait_until

# Good for nothing: moto takes any.
_AWS = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing", "AWS_DEFAULT_REGION": "us-east-1"}
_ORPHAN_SECONDS = 15.0
_GOING_ON = ("QUEUED", "PROVISIONING", "PREPARING", "STARTING", "RUNNING", "CANCEL_REQUESTED", "FINALIZING")
_MOTO = """
import sys, threading
from localaml.storage.moto_cloud import MotoCloud
print(MotoCloud(0, 8 << 30).endpoint, flush=True)
sys.stdin.read()
"""


@dataclass(frozen=True)
class Options:
    """What a campaign is asked for.

    Attributes:
        kills: how many, at most.
        seconds: for how long it may kill.
        drain_seconds: for how long runs may go on after the last kill.
        folder: where everything lies; None for a temporary one, which goes when nothing was found.
        before_comparison: called when all is quiet, before anything is compared; for tests of the comparison.
    """

    kills: int = 250
    seconds: float = 3600.0
    seed: int = 1
    store: str = "disk"
    compute: str = "process"
    clients: int = 4
    drain_seconds: float = 300.0
    folder: Path | None = None
    before_comparison: Callable[[Scene], None] = lambda scene: None


def perform(options: Options) -> list[Finding]:
    """Performs a campaign, prints its table and returns what it found. The folder stays when that is anything."""
    began = time.monotonic()
    folder = options.folder or Path(tempfile.mkdtemp(prefix="kills-campaign-"))
    folder.mkdir(parents=True, exist_ok=True)
    findings: list[Finding] = []
    runs: RunCheck | None = None
    with ExitStack() as stack:
        journal = Journal(folder / "journal.jsonl")
        stack.callback(journal.close)
        variables: dict[str, str] = {}
        settings: dict[str, Any] = {"cancel_grace_seconds": 1.0}
        if options.store == "moto":
            variables = dict(_AWS)
            settings["storage"] = {"cloud": "s3", "s3_endpoint": stack.enter_context(_moto())}
        python = sys.executable
        if options.compute == "docker":
            python, settings["docker"] = "/usr/bin/python3", {"base_image": _image()}
        emulator = EmulatorProcess(folder, folder / "cache", variables, compute=options.compute, **settings)
        stack.callback(emulator.kill)
        scene = Scene(
            folder, emulator, Ledger(journal), options.seed, compute=options.compute, store=options.store, python=python
        )
        stack.callback(_end_processes, scene.marker)
        killer = Killer(scene)
        try:
            emulator.start()
            caller = Caller(emulator, "grpc")
            stack.callback(caller.close)
            scene.prepare(caller)
            _kill_among_clients(scene, killer, options)
            findings += drain(scene, options.drain_seconds)
            options.before_comparison(scene)
            runs = RunCheck(scene, caller)
            findings += compare_all(scene, caller, runs, variables)
        except Trouble as error:
            findings.append(Finding("stuck", str(error)))
        findings += [Finding("unexpected", text) for text in scene.ledger.unexpected]
    if findings:
        (folder / "findings.txt").write_text("".join(f"{each.kind}: {each.text}\n" for each in findings))
    show(killer, scene.ledger, runs, findings, time.monotonic() - began, str(folder))
    if not findings and options.folder is None:
        shutil.rmtree(folder)
    return findings


def compare_all(scene: Scene, caller: Caller, runs: RunCheck, variables: dict[str, str]) -> list[Finding]:
    """All comparisons: first with the emulator's help, then, once it has stopped, of what it left."""
    emulator, state_dir = scene.emulator, scene.emulator.state_dir
    findings: list[Finding] = []
    try:
        findings += check_records(caller, scene.ledger)
        findings += runs.findings()
    except (Refused, Lost) as error:
        findings.append(Finding("damaged", f"a listing cannot be read: {error}"))
    clusters = {key[1] for key, values in scene.ledger.possible("cluster").items() if values != [None]}
    wait_until(lambda: not machine.processes_with(scene.marker), _ORPHAN_SECONDS)
    findings += machine.check_processes(scene.marker)
    emulator.stop()
    findings += machine.check_state_dir(state_dir, emulator.temporary)
    if scene.notes is not None:
        findings += machine.check_temporary(scene.notes)
    findings += machine.check_owners(state_dir, clusters | {SINGLE, PAIRS}, machine.workspace_ids(state_dir))
    findings += machine.check_records_whole(state_dir)
    if scene.store == "disk":
        findings += machine.check_objects(state_dir, machine.workspace_ids(state_dir))
    findings += machine.check_storage(state_dir, variables)
    if scene.compute == "docker":
        findings += machine.check_containers(state_dir)
    return findings


def _kill_among_clients(scene: Scene, killer: Killer, options: Options) -> None:
    clients = [Client(scene, number) for number in range(options.clients)]
    for client in clients:
        client.start()
    try:
        killer.work(options.kills, time.monotonic() + options.seconds)
    except BaseException:
        scene.given_up.set()
        raise
    finally:
        scene.stopping.set()
        for client in clients:
            client.join(options.drain_seconds)
            if client.is_alive():
                scene.ledger.surprise(f"{client.name} still waits for an answer")
        scene.given_up.set()


def drain(scene: Scene, seconds: float) -> list[Finding]:
    """Waits until the submitted runs have ended, and says what took too long."""
    caller = Caller(scene.emulator, "http")
    mine = {key[1] for key in scene.ledger.possible("own-run")}
    deadline = time.monotonic() + seconds
    try:
        while True:
            active: list[str] = []
            for state in _GOING_ON:
                request = {"parent": EXPERIMENT, "includeChildren": True, "state": f"RUN_STATE_{state}"}
                found = caller.pages("RunService", "ListRuns", request, "runs")
                active += [f"{run['runId']} ({state})" for run in found if run["runId"] not in mine]
            if not active:
                return []
            if time.monotonic() > deadline:
                return [Finding("stuck", f"{each} goes on {seconds:g} s after the last kill") for each in active]
            pause(0.25)
    finally:
        caller.close()


def _end_processes(marker: str) -> None:
    for pid in machine.processes_with(marker):
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue


@contextmanager
def _moto() -> Iterator[str]:
    """A mock of S3 in a process of its own, which survives all kills; its address."""
    process = subprocess.Popen([sys.executable, "-c", _MOTO], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        yield process.stdout.readline().decode().strip()
    finally:
        process.kill()
        process.communicate()


def _image() -> str:
    """The image whose containers show this machine's programs."""
    import docker

    from localaml.images.labels import HOST_FILESYSTEM_TAG
    from localaml.images.skeleton import build_skeleton

    client = docker.from_env(timeout=60)
    try:
        build_skeleton(client, [HOST_FILESYSTEM_TAG])
    finally:
        client.close()
    return HOST_FILESYSTEM_TAG
