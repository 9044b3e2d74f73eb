"""An emulator in a process of its own that has started a run, to be killed."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path

from tests.compute.machine import PYTHON, Machine

# Starts a run (standard input: runtime, state dir, kind, script), prints the handle, and waits to be killed.
_EMULATOR = """
import asyncio, json, sys
from pathlib import Path
from tests.compute.machine import MACHINES, PYTHON

async def main():
    runtime, state_dir, kind, script = json.loads(sys.stdin.read())
    machine = MACHINES[runtime](Path(state_dir))
    await machine.start()
    job = await machine.runtime.launch(machine.plan_of(kind, "adopted", PYTHON, "-uc", script))
    print(json.dumps(dict(job.handle)), flush=True)
    await job.wait()
    await asyncio.Event().wait()

asyncio.run(main())
"""
_ROOT = Path(__file__).parents[2]


def start_emulator(
    machine: Machine, kind: str, script: str, *, before: Sequence[str] = ()
) -> tuple[subprocess.Popen[str], dict[str, object]]:
    """The process, and the handle of its run, whose label is ``adopted``.

    Args:
        before: words in front of the emulator's command.
    """
    process = subprocess.Popen(
        [*before, PYTHON, "-c", _EMULATOR], cwd=_ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdin and process.stdout
    process.stdin.write(json.dumps([machine.kind, str(machine.paths.root), kind, script]))
    process.stdin.close()
    return process, json.loads(process.stdout.readline())


def kill_emulator(process: subprocess.Popen[str]) -> None:
    """Ends it without a word."""
    process.kill()
    process.wait()
    assert process.stdout
    process.stdout.close()
