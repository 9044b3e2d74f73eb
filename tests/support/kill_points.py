"""Kills a process before each of its system calls, one after the other, and looks at what the next one makes of it.

A scenario is a module with three functions, each of which gets the same folder and runs in a process of its own:

    prepare(folder)    makes what is there before
    act(folder)        is killed before its first call, then before its second, ... until it gets through
    resume(folder)     what the next start does, and the comparison: raises when something is not as it should be

``python kill_points.py SCENARIO_FILE FOLDER`` prints how many kills there were, or exits with the first traceback.
"""

from __future__ import annotations

import importlib.util
import itertools
import os
import shutil
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

# What changes files or records. Before each of them a kill leaves something else.
_WORDS = """open link symlink rename replace unlink remove rmdir mkdir truncate ftruncate write writev pwrite sendfile
    copy_file_range fsync chmod fchmod utime execute executemany executescript commit backup"""
_CALLS = frozenset(_WORDS.split())
_MODULES = ("posix", "_io", "sqlite3")
_KILLED = 99
_DEADLINE_SECONDS = 600


def run_scenario(scenario: Path, folder: Path) -> int:
    """Returns how many kills the scenario survived. Raises AssertionError with the traceback of the first other one."""
    command = [sys.executable, __file__, str(scenario), str(folder)]
    root = Path(__file__).parents[2]
    environment = {**os.environ, "PYTHONPATH": str(root)}
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=_DEADLINE_SECONDS, env=environment, cwd=root, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return int(done.stdout.split()[-1])


class _Killer:
    """A profile function that ends the process before a call of its own."""

    def __init__(self, number: int) -> None:
        self._left = number
        self._lock = threading.Lock()

    def __call__(self, frame: FrameType, event: str, called: Any) -> None:
        if event != "c_call" or getattr(called, "__name__", "") not in _CALLS:
            return
        owner = getattr(called, "__self__", None)
        if getattr(called, "__module__", "") in _MODULES or type(owner).__module__ in _MODULES:
            with self._lock:
                self._left -= 1
                if self._left == 0:
                    os._exit(_KILLED)


def _in_a_process_of_its_own(work: Callable[[], None]) -> int:
    process = os.fork()
    if process == 0:
        code = 1
        try:
            work()
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def _main(scenario: Path, folder: Path) -> None:
    spec = importlib.util.spec_from_file_location(scenario.stem, scenario)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    place, kept = folder / "place", folder / "kept"
    assert _in_a_process_of_its_own(lambda: module.prepare(place)) == 0
    place.rename(kept)

    def act(number: int) -> None:
        killer = _Killer(number)
        threading.setprofile(killer)
        sys.setprofile(killer)
        try:
            module.act(place)
        finally:
            sys.setprofile(None)
            threading.setprofile(None)  # type: ignore[arg-type]

    for number in itertools.count(1):
        # Always the same path: it may be part of what is kept. A file with two names keeps them.
        subprocess.run(["cp", "-a", str(kept), str(place)], check=True)
        code = _in_a_process_of_its_own(lambda number=number: act(number))  # type: ignore[misc]
        assert code in (0, _KILLED), f"act, to be killed before call {number}, failed by itself"
        assert _in_a_process_of_its_own(lambda: module.resume(place)) == 0, f"killed before call {number}"
        shutil.rmtree(place)
        if code == 0:
            print(number - 1)
            return


if __name__ == "__main__":
    _main(Path(sys.argv[1]), Path(sys.argv[2]))
