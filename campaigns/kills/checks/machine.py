"""What is left on this machine: processes, containers, files, and whether records and objects are whole."""

from __future__ import annotations

import json
import os
import re
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from campaigns.kills.checks import Finding
from localaml.compute.launch.launching import SHARED_MEMORY, scratch_prefix

_MOST_SHOWN = 20
# What may lie in a state dir whose emulator has stopped; folders that must be empty end with `/`.
_FILES = {
    "metadata.sqlite3",
    "metadata.sqlite3-wal",
    "metadata.sqlite3-shm",
    "token",
    "signing.key",
    "lock",
    "format",
    "ports.json",
    "cloud.json",
    "had-containers",
    "disk-reserve",
    "clock.json",
    "docker-nodes",  # scripts that all containers see
}
_EMPTY = {"incoming", "runs", "preparing", "removing", "marks", "temporary"}
# Kinds of what `storage fsck` tells; all else is left over.
_KINDS = {
    "lost_artifacts": "lost",
    "broken_snapshots": "lost",
    "wrong_sizes": "damaged",
    "changed_artifacts": "damaged",
}
_HASH = re.compile(r"[0-9a-f]{64}")


def processes_with(marker: str) -> dict[int, str]:
    """Processes, this one apart, with the marker in their command line: pid and command."""
    found = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and int(folder.name) != os.getpid():
            try:
                command = (folder / "cmdline").read_bytes()
            except OSError:
                continue
            if marker.encode() in command:
                found[int(folder.name)] = command.replace(b"\0", b" ").decode("utf-8", "replace")
    return found


def check_processes(marker: str) -> Iterator[Finding]:
    """Orphans: processes of jobs, when all runs have ended."""
    for pid, command in processes_with(marker).items():
        yield Finding("orphan", f"process {pid} of a job is still there: {command[:300]}")


def check_containers(state_dir: Path) -> Iterator[Finding]:
    """Orphans of an emulator that has stopped: containers and networks with its label."""
    wanted = f"label=localaml.state-dir={state_dir}"
    for what, words in (("container", ["ps", "--all"]), ("network", ["network", "ls"])):
        done = subprocess.run(
            ["docker", *words, "--filter", wanted, "--format", "{{json .}}"],
            capture_output=True,
            text=True,
            check=True,
        )
        for line in done.stdout.splitlines():
            yield Finding("orphan", f"{what} is still there: {line[:300]}")


def check_state_dir(state_dir: Path, temporary: Path) -> Iterator[Finding]:
    """Leftovers of an emulator that has stopped, with no run that goes on."""
    for entry in sorted(state_dir.iterdir()):
        if entry.name in _EMPTY:
            yield from _leftovers(entry, state_dir)
        elif entry.name == "nodes" or entry.name == "objects":
            continue
        elif entry.name not in _FILES:
            yield Finding("leftover", f"{entry.name} in the state dir")
    for entry in sorted(temporary.iterdir()):
        yield Finding("leftover", f"{entry.name} in the emulator's folder for temporary files")


def check_temporary(notes: Path) -> Iterator[Finding]:
    """Leftovers: the folders for temporary files that jobs had, as they have noted them."""
    for path in sorted(notes.glob("*.jsonl")):
        lines = path.read_text("utf-8").splitlines()
        folder = json.loads(lines[0])["temporary"] if lines else ""
        if folder and Path(folder).exists():
            yield Finding("leftover", f"{folder}, where {path.stem} had its temporary files")


def check_owners(state_dir: Path, clusters: set[str], workspaces: set[str]) -> Iterator[Finding]:
    """Leftovers: folders of clusters and workspaces that are no more, and memory that ranks of runs have shared.

    Args:
        clusters: names of those that may be there.
        workspaces: ids of those that are there.
    """
    for folder in sorted(
        path for name in ("nodes", "runs", "preparing", "marks") for path in state_dir.glob(f"{name}/*")
    ):
        if folder.name not in workspaces:
            yield Finding("leftover", f"{folder.relative_to(state_dir)}, of a workspace that is no more")
    for folder in SHARED_MEMORY.glob(f"{scratch_prefix(state_dir)}*"):
        yield Finding("leftover", f"{folder}, of a run that has ended")
    for cluster in (state_dir / "nodes").glob("*/*"):
        if cluster.name not in clusters:
            yield Finding("leftover", f"{cluster.relative_to(state_dir)}, of a cluster that is no more")


def check_objects(state_dir: Path, workspaces: set[str]) -> Iterator[Finding]:
    """Damage and leftovers among objects on disk.

    Args:
        workspaces: ids of those that are there.
    """
    import hashlib

    objects = state_dir / "objects"
    for path in sorted(objects.rglob("*")):
        if not path.is_file():
            continue
        parts = path.relative_to(objects).parts
        if parts[0] == "contents":
            if not _HASH.fullmatch(path.name) or hashlib.sha256(path.read_bytes()).hexdigest() != path.name:
                yield Finding("damaged", f"{'/'.join(parts)} has not the bytes that its name says")
            owner = parts[1]
        elif parts[0] == "_models":
            owner = parts[1]
        else:
            owner = parts[1].removeprefix("azureml-blobstore-").removeprefix("azureml-filestore-")
        if owner not in workspaces:
            yield Finding("leftover", f"{'/'.join(parts)}, of a workspace that is no more")


def check_records_whole(state_dir: Path) -> Iterator[Finding]:
    """SQLite's own opinion of the records."""
    database = sqlite3.connect(state_dir / "metadata.sqlite3")
    try:
        for (row,) in database.execute("PRAGMA integrity_check"):
            if row != "ok":
                yield Finding("damaged", f"metadata.sqlite3: {row}")
        for row in database.execute("PRAGMA foreign_key_check"):
            yield Finding("damaged", f"metadata.sqlite3: a reference leads nowhere: {row}")
    finally:
        database.close()


def workspace_ids(state_dir: Path) -> set[str]:
    """Of the workspaces that are stored."""
    database = sqlite3.connect(state_dir / "metadata.sqlite3")
    try:
        return {row[0] for row in database.execute("SELECT workspace_id FROM workspaces")}
    finally:
        database.close()


def check_storage(state_dir: Path, variables: Mapping[str, str]) -> Iterator[Finding]:
    """`localaml storage fsck`, without repair."""
    done = subprocess.run(
        [sys.executable, "-m", "localaml.cli", "storage", "fsck", "--state-dir", str(state_dir), "--output", "json"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **variables},
    )
    try:
        told = json.loads(done.stdout)
    except ValueError:
        said = f"{done.stdout[-500:]} {done.stderr[-2000:]}"
        yield Finding("damaged", f"storage fsck ended with {done.returncode}: {said}")
        return
    for name, found in told.items():
        if isinstance(found, list):
            for each in found[:_MOST_SHOWN]:
                yield Finding(_KINDS.get(name, "leftover"), f"storage fsck: {name}: {each}")
            if len(found) > _MOST_SHOWN:
                yield Finding("leftover", f"storage fsck: {name}: and {len(found) - _MOST_SHOWN} more")
    if done.returncode not in (0, 1) or (done.returncode == 1 and not any(map(bool, told.values()))):
        yield Finding("damaged", f"storage fsck ended with {done.returncode}: {done.stderr[-2000:]}")


def _leftovers(folder: Path, state_dir: Path) -> Iterator[Finding]:
    # An empty folder of a workspace is no leftover: the next run of the workspace takes it.
    found = [path for path in sorted(folder.rglob("*")) if not path.is_dir() or path.parent.parent == folder]
    for path in found[:_MOST_SHOWN]:
        yield Finding("leftover", f"{path.relative_to(state_dir)}")
    if len(found) > _MOST_SHOWN:
        yield Finding("leftover", f"{folder.name}: and {len(found) - _MOST_SHOWN} more")
