"""What a run of the campaign does. Everything that it leaves follows from its run id, so that it can be checked.

As a script: ``job.py MARKER PLAN [JOURNAL]`` with the plan as JSON. The marker only stands in the command line, where
nothing can take it off; JOURNAL is a folder outside of the emulator's reach, where the digest of each file is noted
when it is complete. Only the standard library and the SDK; imported by the campaign, it only says what must be there.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
import uuid
from typing import Any, Dict, List, Optional, Tuple

FILE_KINDS = ("outputs", "logs")


def content(run_id: str, path: str) -> bytes:
    """The bytes of a file that the run `run_id` writes to `path`: 0 bytes to 200 KiB, mostly few."""
    digest = hashlib.sha256("{}:{}".format(run_id, path).encode()).digest()
    size = (0, 1, 300, 5000, 5000, 20000, 70000, 200000)[digest[0] % 8]
    return (digest * (size // len(digest) + 1))[:size]


def files(plan: Dict[str, Any], rank: int) -> List[str]:
    """The paths that a rank writes, in this order."""
    return [
        "{}/rank{}/{}{:03d}.bin".format(kind, rank, "deep/er/" if number % 5 == 4 else "", number)
        for kind in FILE_KINDS
        for number in range(plan.get(kind, 0))
    ]


def lines(run_id: str, plan: Dict[str, Any], rank: int) -> List[str]:
    """The lines that a rank prints."""
    return ["line {:05d} of {} rank {}".format(number, run_id, rank) for number in range(plan.get("lines", 0))]


def metric(rank: int) -> str:
    """The name of the metric that a rank logs: 0, 1, 2, ..."""
    return "values{}".format(rank)


class Journal:
    """Notes of one start of a rank: one JSON object in each line, safe against the death of this process."""

    def __init__(self, folder: Optional[str], run_id: str, rank: int) -> None:
        self._file = None
        if folder:
            name = "{}.{}.{}.jsonl".format(run_id, rank, uuid.uuid4().hex)
            self._file = open(os.path.join(folder, name), "a", encoding="utf-8")  # noqa: SIM115
            self.note(start=time.time(), rank=rank, temporary=os.environ.get("TMPDIR", ""))

    def note(self, **facts: Any) -> None:
        """Writes a line."""
        if self._file is not None:
            self._file.write(json.dumps(facts) + "\n")
            self._file.flush()


def main(arguments: List[str]) -> int:
    """Does what the plan says; returns the exit code."""
    plan = json.loads(arguments[1])
    rank = int(os.environ.get("OMPI_COMM_WORLD_RANK", "0"))
    run_id = os.environ["AZUREML_RUN_ID"]
    journal = Journal(arguments[2] if len(arguments) > 2 and not arguments[2].startswith("--") else None, run_id, rank)
    if plan.get("leaves"):
        _leave_processes(arguments[0])
    with open(os.path.join(tempfile.gettempdir(), "scratch"), "w") as file:
        file.write("to be removed")
    run: Any = _run() if plan.get("metrics") or plan.get("children") else None
    _work(plan, run_id, rank, journal)
    if plan.get("wait"):
        print("waiting", flush=True)
        time.sleep(plan["wait"])
    for number in range(plan.get("children", 0)):
        with run.child_run("child-{}".format(number)) as child:
            child.log("number", number)
    for value in range(plan.get("metrics", 0)):
        run.log(metric(rank), value)
    journal.note(end=time.time())
    return int(plan.get("code", 0))


def _work(plan: Dict[str, Any], run_id: str, rank: int, journal: Journal) -> None:
    wanted: List[Tuple[str, str]] = [("line", line) for line in lines(run_id, plan, rank)]
    paths = files(plan, rank)
    step = max(1, len(wanted) // (len(paths) + 1))
    for number, path in enumerate(paths):
        wanted.insert(min((number + 1) * (step + 1) - 1, len(wanted)), ("file", path))
    for kind, what in wanted:
        if kind == "line":
            print(what, flush=True)
            continue
        data = content(run_id, what)
        os.makedirs(os.path.dirname(what), exist_ok=True)
        with open(what, "wb") as file:
            file.write(data)
        journal.note(file=what, sha256=hashlib.sha256(data).hexdigest())


def _run() -> Any:
    from azureml.core import Run

    return Run.get_context()


def _leave_processes(marker: str) -> None:
    """Programs that try to outlive the run: in a session of their own, without an environment, as a grandchild."""
    idle = [sys.executable, "-c", "import time; time.sleep(900)", marker]
    subprocess.Popen(idle, stdin=subprocess.DEVNULL, start_new_session=True)
    subprocess.Popen(["env", "-i", "setsid", *idle], stdin=subprocess.DEVNULL)
    twice = "import subprocess, sys; subprocess.Popen(sys.argv[1:], env={}, start_new_session=True)"
    subprocess.run([sys.executable, "-c", twice, *idle], stdin=subprocess.DEVNULL, check=False)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
