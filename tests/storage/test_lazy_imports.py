"""The default costs nothing of what the clouds need."""

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
print([name for name in ("boto3", "botocore", "moto", "azure.storage", "localaml.storage.s3") if name in sys.modules])
"""


def test_an_emulator_on_disk_loads_no_cloud() -> None:
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"
