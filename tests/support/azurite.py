"""Azurite from its npm package, for tests. Where it cannot be had they are skipped with the reason, or fail where
LOCALAML_TEST_AZURITE=required."""

from __future__ import annotations

import fcntl
import os
import shutil
import socket
import subprocess
from pathlib import Path
from types import TracebackType

import pytest
from tests.support.waiting import wait_until

# Any other value of `LOCALAML_TEST_AZURITE` is the path of the program.
REQUIRED = "required"
# Where a test run looks before it asks npm.
VERSION = "3.35.0"
_FOLDER = Path.home() / ".cache" / "localaml-tests" / f"azurite-{VERSION}"
_PROGRAM = Path("node_modules/.bin/azurite-blob")
_INSTALL_SECONDS = 150


def azurite_program() -> Path:
    """The program. Without it the test is skipped, or fails where it is required."""
    program, why = find_azurite()
    if program is None:
        if os.environ.get("LOCALAML_TEST_AZURITE") == REQUIRED:
            pytest.fail(f"{why}, and LOCALAML_TEST_AZURITE={REQUIRED}")
        pytest.skip(why)
    return program


def find_azurite() -> tuple[Path | None, str]:
    """The program, or None and why there is none."""
    named = os.environ.get("LOCALAML_TEST_AZURITE")
    if named and named != REQUIRED:
        return (Path(named), "") if Path(named).exists() else (None, f"LOCALAML_TEST_AZURITE={named} does not exist")
    on_path = shutil.which("azurite-blob")
    if on_path:
        return Path(on_path), ""
    if (_FOLDER / _PROGRAM).exists():
        return _FOLDER / _PROGRAM, ""
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        return None, "there is no npm to get Azurite with"
    _FOLDER.mkdir(parents=True, exist_ok=True)
    # Test processes that run side by side need it at the same moment: one of them gets it.
    with (_FOLDER / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return _install(npm)


def _install(npm: str) -> tuple[Path | None, str]:
    if (_FOLDER / _PROGRAM).exists():
        return _FOLDER / _PROGRAM, ""
    command = [npm, "install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", str(_FOLDER)]
    try:
        done = subprocess.run(
            [*command, f"azurite@{VERSION}"], capture_output=True, text=True, timeout=_INSTALL_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        return None, f"npm did not bring Azurite within {_INSTALL_SECONDS} seconds"
    if done.returncode != 0 or not (_FOLDER / _PROGRAM).exists():
        return None, f"npm could not install Azurite: {done.stderr[-300:]}"
    return _FOLDER / _PROGRAM, ""


class Azurite:
    """Azurite's blob service on a free port of this machine. Never tells anybody that it is used."""

    def __init__(self, program: Path, folder: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listening:
            self.port = listening.getsockname()[1]
        self.endpoint = f"http://127.0.0.1:{self.port}/devstoreaccount1"
        self._log = folder / "azurite.log"
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [
                    str(program),
                    "--disableTelemetry",
                    "--silent",
                    "--blobHost",
                    "127.0.0.1",
                    "--blobPort",
                    str(self.port),
                    "--location",
                    str(folder),
                ],
                stdout=log,
                stderr=log,
                cwd=folder,
            )
        try:
            wait_until(self._listens, 100, "Azurite", self._log.read_text)
        except BaseException:
            self.__exit__(None, None, None)
            raise

    def _listens(self) -> bool:
        assert self._process.poll() is None, self._log.read_text()
        try:
            socket.create_connection(("127.0.0.1", self.port), 1).close()
        except OSError:
            return False
        return True

    def __enter__(self) -> Azurite:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.terminate()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(20)
