"""The emulators of one test session: one for each set of settings that tests ask for, started when it is needed."""

from __future__ import annotations

import importlib
import os
import re
import uuid
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from localaml.cli.failure import CliError
from localaml.testing.emulators import Emulator, ForeignEmulator, OwnEmulator

if TYPE_CHECKING:
    from azureml.core import Workspace
    from azureml.core.compute import AmlCompute

_SUBSCRIPTION = "00000000-0000-0000-0000-000000000000"
_RESOURCE_GROUP = "tests"
# Lines of the emulator's log that a failed test shows.
_DEFECT = re.compile(r"^\S+ \S+ (ERROR|CRITICAL) |^\w*(Error|Exception)\b")
_MOST_DEFECTS = 20


class EmulatorSession:
    """What `localaml_emulator` gives: the emulator of the test that runs now.

    Everything that an `Emulator` has is here, too: ``localaml_emulator.clock``, ``.state_dir``, ``.kill()``, ...

    Args:
        endpoint: HTTP address of an emulator that runs already: all tests use that one.
        keep: leave state dirs and workspaces there.

    Attributes:
        kept: state dirs that were left there.
    """

    def __init__(self, endpoint: str | None = None, *, keep: bool = False) -> None:
        self._endpoint = endpoint
        self._keep = keep
        self._emulators: dict[tuple[tuple[str, Any], ...], Emulator] = {}
        self._current: Emulator | None = None
        self._test = ExitStack()
        self._workspaces: list[Workspace] = []
        self._log_begin = 0
        self.kept: list[Path] = []

    # -- one test -----------------------------------------------------------------------------------------------------

    def enter(self, settings: dict[str, Any], *, own: bool = False) -> None:
        """Before a test: finds or starts the emulator that it asks for and leads the SDK to it.

        Args:
            own: an emulator for this test alone.
        """
        self.leave()
        if self._endpoint is not None:
            found = self._foreign(self._endpoint, settings, own)
        elif own:
            found = self._test.enter_context(OwnEmulator(keep=self._keep, **settings))
            self._note(found)
        else:
            key = tuple(sorted(settings.items()))
            if key not in self._emulators:
                self._emulators[key] = OwnEmulator(keep=self._keep, **settings)
                self._note(self._emulators[key])
            found = self._emulators[key]
        # The test before may have killed it.
        found.ensure_running()
        self._current = found
        self._log_begin = len(found.log())
        self._test.enter_context(found.environment())

    def leave(self) -> None:
        """After a test: the environment is as it was before."""
        self._test.close()
        self._workspaces.clear()
        self._current = None

    @property
    def current(self) -> Emulator:
        """The emulator of the test that runs now."""
        if self._current is None:
            raise RuntimeError("No test that uses an emulator runs now.")
        return self._current

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self.current, name)

    # -- what tests need ----------------------------------------------------------------------------------------------

    def make_workspace(self, title: str) -> Workspace:
        """A new workspace, named after the test. Raises CliError when the SDK is not LocalAML's."""
        _check_sdk()
        from azureml.core import Workspace

        word = re.sub(r"[^A-Za-z0-9]+", "-", title).strip("-")[:24].rstrip("-") or "test"
        workspace = Workspace.create(
            f"{word}-{uuid.uuid4().hex[:8]}",
            subscription_id=_SUBSCRIPTION,
            resource_group=_RESOURCE_GROUP,
            location="local",
            show_output=False,
        )
        self._workspaces.append(workspace)
        return workspace

    def remove_workspace(self, workspace: Workspace) -> None:
        """Cancels its runs, removes its clusters and everything in it."""
        if not self._keep:
            self.current.ensure_running()
            workspace.delete()

    def make_cluster(self, workspace: Workspace, name: str, wait: bool, settings: dict[str, Any]) -> AmlCompute:
        """A cluster; `settings` are those of `AmlCompute.provisioning_configuration`."""
        __tracebackhide__ = True
        from azureml.core.compute import AmlCompute, ComputeTarget

        configuration = AmlCompute.provisioning_configuration(
            **{"vm_size": "STANDARD_D2_V2", "max_nodes": 1, **settings}
        )
        cluster: AmlCompute = ComputeTarget.create(workspace, name, configuration)
        if wait:
            cluster.wait_for_completion()
        return cluster

    def report(self, known: str = "") -> str:
        """What became of the test's runs, and what the emulator itself did wrong; empty when there is nothing to tell.

        Args:
            known: runs whose story is in this text are left out.
        """
        from localaml.testing.stories import tail, workspace_told

        if self._current is None:
            return ""
        if not self._current.is_running:
            return f"The emulator is dead. The end of its log:\n{tail(self._current.log())}"
        parts = [workspace_told(workspace, known) for workspace in self._workspaces]
        defects = [line for line in self._current.log()[self._log_begin :].splitlines() if _DEFECT.search(line)]
        if defects:
            parts.append("\n".join(["The emulator's log tells of errors:", *defects[-_MOST_DEFECTS:]]))
        return "\n".join(part for part in parts if part)

    # -- the session --------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Ends all emulators of its own."""
        self.leave()
        with ExitStack() as closing:
            for emulator in self._emulators.values():
                if isinstance(emulator, OwnEmulator):
                    closing.callback(emulator.close)
                else:
                    closing.callback(emulator.disconnect)
        self._emulators.clear()

    def _note(self, emulator: Emulator) -> None:
        if self._keep and isinstance(emulator, OwnEmulator):
            self.kept.append(emulator.state_dir)

    def _foreign(self, address: str, settings: dict[str, Any], own: bool) -> Emulator:
        found = self._emulators.setdefault((), ForeignEmulator(address))
        with suppress(KeyError):
            wanted = settings["clock"]
            if wanted == found.clock.kind:
                settings = {name: value for name, value in settings.items() if name != "clock"}
        if settings or own:
            asked = "an emulator of its own" if own else ", ".join(f"{name}={settings[name]!r}" for name in settings)
            raise CliError(
                f"This test asks for {asked}, which the emulator at {address} (--localaml-endpoint) cannot give. "
                "Leave the option out for it."
            )
        return found


def _check_sdk() -> None:
    try:
        importlib.import_module("azureml._localaml")
    except ImportError:
        raise CliError(
            "This Python has not LocalAML's SDK, or has Microsoft's azureml-core in its place: install 'localaml-sdk' "
            "into an environment without azureml-core."
        ) from None


def endpoint_of(option: str | None) -> str | None:
    """The address of `--localaml-endpoint`; the word ``env`` stands for `LOCALAML_ENDPOINT`."""
    if option != "env":
        return option
    address = os.environ.get("LOCALAML_ENDPOINT")
    if not address:
        raise CliError("--localaml-endpoint=env: there is no LOCALAML_ENDPOINT in the environment.")
    return address
