"""Emulators without containers load nothing for them."""

from __future__ import annotations

import subprocess
import sys

CODE = """
import asyncio, pathlib, sys, tempfile
from localaml.server import Emulator
from localaml.settings import Settings
async def main():
    with tempfile.TemporaryDirectory() as folder:
        async with Emulator(Settings(pathlib.Path(folder, "state"), pathlib.Path(folder, "cache"))):
            pass
asyncio.run(main())
print([name for name in sys.modules if name == "docker" or name.startswith("localaml.compute.docker")])
"""


def test_an_emulator_of_processes_loads_no_containers() -> None:
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"
