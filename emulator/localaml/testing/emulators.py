"""Emulators to test against: of one's own, in a child process that can be killed, or one that runs already."""

from __future__ import annotations

import asyncio
import dataclasses
import difflib
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any

from localaml.cli.client import Client, find_target
from localaml.cli.configuration import Configuration, load_settings
from localaml.cli.endpoint import is_healthy, read_endpoint
from localaml.cli.failure import CliError
from localaml.clock import RealClock
from localaml.errors import LocalAmlError
from localaml.paths import StatePaths
from localaml.settings import EnvironmentSettings, Settings
from localaml.settings_json import settings_to_json
from localaml.testing.time import EmulatorClock
from localaml_proto.admin.v1 import admin_pb2

# Not the prefix of ephemeral state dirs: an emulator that a test has killed is not abandoned, and stays.
_PREFIX = "localaml.test-"
_START_SECONDS = 60.0
_STOP_SECONDS = 60.0
_LOOK_SECONDS = 0.005
# What the user's environment decides, also in tests: where environments of jobs come from.
_OF_THE_MACHINE = {
    *(field.name for field in dataclasses.fields(EnvironmentSettings)),
    *("cache_dir", "docker_host", "docker_base_image", "images"),
}
_VARIABLES = (
    "LOCALAML_ENDPOINT",
    "LOCALAML_GRPC_ENDPOINT",
    "LOCALAML_TOKEN",
    "LOCALAML_TOKEN_FILE",
    "LOCALAML_STATE_DIR",
    "AZUREML_RUN_TOKEN",
)


class Emulator:
    """An emulator that serves."""

    def __init__(self) -> None:
        self._client: Client | None = None
        self.clock = EmulatorClock(lambda: self.client)

    @property
    def client(self) -> Client:
        """A connection for the emulator's own calls (`client.admin`, ...), opened when it is first needed."""
        if self._client is None:
            with self.environment():
                self._client = Client(find_target(None))
        return self._client

    @property
    def is_running(self) -> bool:
        """Whether it is there to answer."""
        return True

    def log(self) -> str:
        """What it has written to its log, as far as that is known here."""
        return ""

    def variables(self) -> dict[str, str]:
        """The environment variables that lead SDK and command line to it."""
        raise NotImplementedError

    @contextmanager
    def environment(self) -> Iterator[None]:
        """Leads the SDK of this process to it; afterwards the environment is as it was."""
        before = {name: os.environ.get(name) for name in _VARIABLES}
        variables = self.variables()
        try:
            for name in _VARIABLES:
                os.environ.pop(name, None)
            os.environ.update(variables)
            yield
        finally:
            for name, value in before.items():
                os.environ.pop(name, None)
                if value is not None:
                    os.environ[name] = value

    def ensure_running(self) -> None:
        """Starts it again when a test has left it dead."""

    def disconnect(self) -> None:
        """Lets go of the connection; the next use opens another one."""
        client, self._client = self._client, None
        if client is not None:
            client.__exit__()


class OwnEmulator(Emulator):
    """An emulator in a child process, with a temporary state dir and free ports. It ends with this process.

    Args:
        keep: leave the state dir there (its path is `state_dir`); else it goes with the emulator.
        settings: as the variables `LOCALAML_*` of docs/configuration.md, in lower case: ``clock="virtual"``. Of the
            variables themselves only those that say where environments and images of jobs come from are heeded.

    Raises:
        TypeError: there is no such setting.
        CliError: a setting has a value that it cannot have.
    """

    def __init__(self, *, keep: bool = False, **settings: Any) -> None:
        super().__init__()
        check_settings(settings)
        fixed = {
            name: field.default
            for name, field in Configuration.model_fields.items()
            if name not in _OF_THE_MACHINE | {"state_dir"}
        }
        self._keep = keep
        self._process: subprocess.Popen[bytes] | None = None
        self._owner = -1
        self.state_dir = Path(tempfile.mkdtemp(prefix=_PREFIX)).resolve()
        try:
            given = {**fixed, **settings, "state_dir": self.state_dir, "ephemeral": not keep}
            self.settings: Settings = load_settings(**given)
        except BaseException:
            self.state_dir.rmdir()
            raise
        # Held open: it is to be read also when the emulator has removed its state dir.
        self._log = StatePaths(self.state_dir).log.open("a+b")

    # -- life ---------------------------------------------------------------------------------------------------------

    def start(self) -> OwnEmulator:
        """Starts it and returns once it serves; nothing to do when it does.

        Raises:
            CliError: it does not come up; with the end of its log.
        """
        if self.is_running:
            return self
        self._reap()
        with suppress(FileNotFoundError):
            StatePaths(self.state_dir).endpoint.unlink()
        of_child, self._owner = os.pipe()
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "localaml.server", "--settings-json", "-", "--owner", str(of_child)],
                stdin=subprocess.PIPE,
                stdout=self._log,
                stderr=self._log,
                # Ctrl-C is for the tests: the emulator has to be there when they clean up.
                start_new_session=True,
                pass_fds=(of_child,),
                env=_child_environment(),
            )
        finally:
            os.close(of_child)
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):
            self._process.stdin.write(settings_to_json(self.settings).encode())
            self._process.stdin.close()
        self._wait_until_serving(self._process)
        return self

    def kill(self) -> None:
        """`kill -9`: the emulator is gone at once, jobs go on. `start` brings it back with what it knew."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        self._reap()

    def wait_for_end(self, timeout: float = 30.0) -> None:
        """Waits until it has ended by itself, as a fault may make it.

        Raises:
            AssertionError: it is still there after so many seconds.
        """
        try:
            if self._process is not None:
                self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"The emulator is still there after {timeout:g} seconds.") from None
        self._reap()

    def restart(self) -> None:
        """Kills it and starts it again."""
        self.kill()
        self.start()

    def close(self) -> None:
        """Ends it and every job, and removes its state dir, unless that is to be kept. Idempotent."""
        process = self._process
        if self._log.closed:
            return
        if process is not None and self.is_running:
            if self._keep:
                request = admin_pb2.ShutdownRequest(cancel_runs=True)
                with suppress(CliError):
                    self.client.call(self.client.admin.Shutdown, request)
            process.terminate()
            try:
                process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._reap()
        if self.state_dir.exists():
            # It was killed, or could not do it itself.
            _end_jobs(self.settings)
            if not self._keep:
                shutil.rmtree(self.state_dir, ignore_errors=True)
        self._log.close()

    def ensure_running(self) -> None:
        self.start()

    def __enter__(self) -> OwnEmulator:
        try:
            return self.start()
        except BaseException:
            self.close()
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # -- facts --------------------------------------------------------------------------------------------------------

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def process_id(self) -> int:
        """The process that it runs in, or ran in last."""
        assert self._process is not None
        return self._process.pid

    def variables(self) -> dict[str, str]:
        # The folder, not the addresses: they may change with a restart.
        return {"LOCALAML_STATE_DIR": str(self.state_dir)}

    def log(self) -> str:
        if self._log.closed:
            return ""
        size = os.fstat(self._log.fileno()).st_size
        return os.pread(self._log.fileno(), size, 0).decode("utf-8", "replace")

    # -- inside -------------------------------------------------------------------------------------------------------

    def _wait_until_serving(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + _START_SECONDS
        pause = threading.Event()
        while process.poll() is None:
            with suppress(CliError):
                endpoint = read_endpoint(self.state_dir)
                if endpoint is not None and endpoint.process_id == process.pid and is_healthy(endpoint.http_address):
                    return
            if time.monotonic() > deadline:
                process.kill()
                process.wait()
                break
            pause.wait(_LOOK_SECONDS)
        raise CliError(f"The emulator for tests did not come up. The end of its log:\n{self.log()[-4000:]}")

    def _reap(self) -> None:
        self.disconnect()
        if self._owner >= 0:
            os.close(self._owner)
            self._owner = -1


class ForeignEmulator(Emulator):
    """An emulator that runs already and goes on afterwards.

    Args:
        address: its HTTP address, ``http://127.0.0.1:8765``; the token comes from `LOCALAML_TOKEN` or
            `LOCALAML_TOKEN_FILE`.
    """

    def __init__(self, address: str) -> None:
        super().__init__()
        self._variables = {"LOCALAML_ENDPOINT": address}
        for name in ("LOCALAML_TOKEN", "LOCALAML_TOKEN_FILE"):
            if value := os.environ.get(name):
                self._variables[name] = value

    def variables(self) -> dict[str, str]:
        return self._variables


def check_settings(settings: Collection[str]) -> None:
    """Whether an emulator for tests has settings of these names.

    Raises:
        TypeError: it has not; with the nearest name that there is.
    """
    known = set(Configuration.model_fields) - {"state_dir", "ephemeral"}
    for name in sorted(set(settings) - known):
        near = difflib.get_close_matches(name, known, 1)
        hint = f" Is {near[0]!r} meant?" if near else ""
        raise TypeError(
            f"An emulator for tests has no setting {name!r}.{hint} docs/configuration.md lists them (all but state_dir "
            "and ephemeral, which are its own)."
        )


@contextmanager
def emulator(**settings: Any) -> Iterator[OwnEmulator]:
    """An emulator of one's own for the time of the block, with the SDK of this process led to it.

    Args:
        settings: see `OwnEmulator`.
    """
    with OwnEmulator(**settings) as running, running.environment():
        yield running


def _child_environment() -> dict[str, str]:
    """This process's environment, without what is about itself: jobs would inherit it."""
    return {
        name: value
        for name, value in os.environ.items()
        if name not in _VARIABLES and not name.startswith(("PYTEST_", "COV_CORE_"))
    }


def _end_jobs(settings: Settings) -> None:
    from localaml.compute.assembly import remove_leftovers

    def end() -> None:
        # An engine that has gone took its containers along.
        with suppress(LocalAmlError):
            asyncio.run(remove_leftovers(StatePaths(settings.state_dir), RealClock(), settings))

    # In a thread: the test may have an event loop of its own in this one.
    thread = threading.Thread(target=end)
    thread.start()
    thread.join()
