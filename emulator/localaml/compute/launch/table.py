"""The machine's processes, and which of them belong to a run.

A run's processes are known by their session and by variables in their environment, which children inherit. Both are
needed: a process may leave the session (`setsid`), and a process may drop its environment; few do both.

The agent of a container uses this file, too, with the image's Python (3.7 or newer) and nothing else.

Linux only: elsewhere `/proc` is missing, and a run's processes are those of its session (`ps`).
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

RUN_LABEL = "LOCALAML_RUN_LABEL"
STATE_DIR = "LOCALAML_STATE_DIR"
NODE = "LOCALAML_NODE"


class ProcessTable:
    """Looks processes up and signals them. Holds no state: every call looks anew."""

    def __init__(self, proc: Path = Path("/proc")) -> None:
        self._proc = str(proc)
        self._has_proc = (proc / "self" / "stat").exists()

    def start_time(self, process_id: int) -> str:
        """When the process started, as a word that is unique together with its id until the next boot; empty when there
        is no such process, or only its corpse."""
        if not self._has_proc:
            return _ps_start_time(process_id)
        fields = self._stat(process_id)
        return "" if fields is None or fields[0] in "ZX" else fields[19]

    def find(self, variables: Mapping[str, str], *, session: int = 0, below: int = 0) -> list[int]:
        """Ids of living processes that have all these variables, or are in the session (0: of none), or descend from
        the process `below` (0: from none).

        Costs about 10 µs for each process that is not the kernel's own.
        """
        if not self._has_proc:
            return _ps_session(session)
        wanted = [f"{name}={value}".encode(errors="surrogateescape") for name, value in variables.items()]
        found = []
        descendants = self.descendants(below) if below else ()
        for process_id in self._all():
            if process_id in descendants:
                if self.start_time(process_id):
                    found.append(process_id)
                continue
            try:
                its_session = os.getsid(process_id)
            except OSError:
                continue
            if session and its_session == session:
                if self.start_time(process_id):
                    found.append(process_id)
            # Session 0 is the kernel's threads, or processes from outside of our process namespace: never a run's.
            elif its_session and wanted and _holds(self._environment(process_id), wanted):
                found.append(process_id)
        return found

    def environment(self, process_id: int) -> dict[str, str]:
        """The environment that the process was started with; empty when it cannot be read."""
        pairs = (item.partition(b"=") for item in self._environment(process_id).split(b"\0") if item)
        return {os.fsdecode(name): os.fsdecode(value) for name, _, value in pairs}

    def ancestors(self, process_id: int) -> set[int]:
        """The process and the chain of its parents."""
        chain = set()
        while process_id > 0 and process_id not in chain:
            chain.add(process_id)
            fields = self._stat(process_id) if self._has_proc else None
            process_id = int(fields[1]) if fields else 0
        return chain

    def parent(self, process_id: int) -> int:
        """Id of the parent; 0 when there is no such process, or that is not known."""
        fields = self._stat(process_id) if self._has_proc else None
        return int(fields[1]) if fields else 0

    def descendants(self, process_id: int) -> set[int]:
        """Ids of the process' children, their children and so on; corpses also."""
        children: dict[int, list[int]] = {}
        for each in self._all() if self._has_proc else ():
            children.setdefault(self.parent(each), []).append(each)
        found: set[int] = set()
        new = children.get(process_id, [])
        while new:
            found.update(new)
            new = [child for each in new for child in children.get(each, ()) if child not in found]
        return found

    def send(self, process_ids: Sequence[int], signal_number: signal.Signals) -> None:
        """Sends a signal; processes that have gone are fine."""
        for process_id in process_ids:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(process_id, signal_number)

    def dies_of(self, process_id: int, signal_number: signal.Signals) -> bool:
        """Whether the process neither catches nor ignores nor blocks the signal; False where that is not known."""
        bit = 1 << (signal_number - 1)
        masks = {}
        for line in _read(f"{self._proc}/{process_id}/status").splitlines():
            name, _, value = line.partition(b":")
            if name in (b"SigBlk", b"SigIgn", b"SigCgt"):
                masks[name] = int(value, 16)
        return len(masks) == 3 and not any(mask & bit for mask in masks.values())

    def _all(self) -> list[int]:
        # A pathlib object for each would double the cost of a look.
        return [int(name) for name in os.listdir(self._proc) if name.isdecimal()]  # noqa: PTH208

    def _environment(self, process_id: int) -> bytes:
        return _read(f"{self._proc}/{process_id}/environ")

    def _stat(self, process_id: int) -> list[str] | None:
        """Fields of /proc/<pid>/stat from the third one (the state) on: the second, a name, may hold anything."""
        content = _read(f"{self._proc}/{process_id}/stat")
        return content[content.rindex(b")") + 2 :].decode().split() if content else None


def _holds(environment: bytes, wanted: Sequence[bytes]) -> bool:
    padded = b"\0" + environment + b"\0"
    return bool(environment) and all(b"\0" + item + b"\0" in padded for item in wanted)


def _read(path: str) -> bytes:
    """Content of a small file; empty when it has gone or is not ours to read."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return b""
    try:
        parts = []
        # Written for Python 3.7, too: images bring their own.
        part = os.read(descriptor, 1 << 16)
        while part:
            parts.append(part)
            part = os.read(descriptor, 1 << 16)
        return b"".join(parts)
    except OSError:
        return b""
    finally:
        os.close(descriptor)


def _ps_start_time(process_id: int) -> str:
    shown = subprocess.run(
        ["ps", "-o", "stat=,lstart=", "-p", str(process_id)], capture_output=True, text=True, check=False
    )
    words = shown.stdout.split()
    return "" if not words or words[0].startswith("Z") else " ".join(words[1:])


def _ps_session(session: int) -> list[int]:
    """Process groups instead of sessions: not every `ps` tells session ids."""
    if not session:
        return []
    shown = subprocess.run(["ps", "-A", "-o", "pid=,pgid=,stat="], capture_output=True, text=True, check=False)
    rows = (line.split() for line in shown.stdout.splitlines())
    return [int(row[0]) for row in rows if len(row) > 2 and row[1] == str(session) and not row[2].startswith("Z")]
