"""Requests become cached virtual environments, wherever uv runs and whatever Python they are for.

    <cache dir>/
        resolutions/<key>.txt         the frozen answer to one request: pinned versions
        environments/<key>/           a virtual environment; `localaml-complete.json` in it is written last
        locks/                        one file per key

A request is resolved once; from then on the same versions are installed, without a look at the index where uv's cache
has the files. Conda itself is never used, also where it is installed: what a spec gives must not depend on the machine.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from localaml import job_files
from localaml.clock import Clock
from localaml.domain.job import PythonEnvironmentSpec
from localaml.domain.redaction import redact
from localaml.errors import FailedPrecondition
from localaml.jobs.environments.conda import EnvironmentRequest, PythonWish, read_conda_dependencies
from localaml.jobs.environments.contract import PreparedEnvironment
from localaml.jobs.environments.folder_lock import FolderLock
from localaml.jobs.environments.interpreters import Interpreter
from localaml.jobs.environments.open_mpi import OpenMpi
from localaml.jobs.environments.package_folders import PackageFolders, local_paths, with_real_paths
from localaml.jobs.environments.pip_settings import PipSettings, read_pip_settings, without_credentials
from localaml.jobs.environments.python_of_day import python_of_day
from localaml.jobs.environments.resolution import (
    Resolution,
    environment_key,
    make_resolution,
    overrides_file,
    own_sources,
    read_pins,
)
from localaml.jobs.environments.uv_tool import UvPlace, UvResult
from localaml.settings import EnvironmentSettings

# Of pins; what is longer is no list of them.
_LONGEST_ANSWER = 16 * 1024 * 1024
# How uv says that an index does not let it in.
_REFUSED = re.compile(r"\b(?:401|403)\b")
MARKER = "localaml-complete.json"
Log = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Site:
    """Where an environment is for.

    Attributes:
        python: its interpreter, by its path there.
        uv: what runs uv there.
        image: id of an image; empty for this machine. Environments of different images are different ones.
        platform: what versions may depend on beside the interpreter's own platform.
    """

    python: Interpreter
    uv: UvPlace
    image: str = ""
    platform: str = ""


class VirtualEnvironments:
    """The cache of environments.

    Args:
        cache_dir: may be shared by emulators.
        environ: the emulator's environment variables; pip's settings are read from it.
    """

    def __init__(
        self, cache_dir: Path, settings: EnvironmentSettings, clock: Clock, environ: Mapping[str, str]
    ) -> None:
        self.cache_dir = cache_dir
        self.settings = settings
        self.clock = clock
        self._environ = environ
        self._pip: PipSettings | None = None

    async def prepare(
        self, request: EnvironmentRequest, site: Site, open_mpi: OpenMpi | None, log: Log
    ) -> PreparedEnvironment:
        """The environment of a request, built when it is not in the cache. `open_mpi` is what packages that are built
        against MPI find; the result does not name it.

        Raises:
            FailedPrecondition: ``ENVIRONMENT_BUILD_FAILED``, ``CONSTRAINTS_FILE_MISSING``, ``UV_NOT_FOUND``.
        """
        python = site.python
        pip = await self._pip_settings()
        request = _for_python(request, python, has_index=not (pip.no_index or request.options.no_index))
        resolution = make_resolution(request, python, self.settings, pip, self._environ, site.platform)
        build = _Build(self, request, site, resolution, open_mpi, log)
        pins = await build.pins()
        folder = (
            self.cache_dir / "environments" / environment_key(python, pins, site.image, own_sources(request.options))
        )
        built = False
        if not is_complete(folder, elsewhere=bool(site.image)):
            async with FolderLock(self.cache_dir / "locks" / folder.name) as lock:
                # Somebody else may have built it meanwhile.
                if not is_complete(folder, elsewhere=bool(site.image)):
                    await build.install(folder, pins, lock)
                    built = True
        return PreparedEnvironment(
            folder / "bin" / "python", python.minor, folder / "bin", dict(request.variables), built
        )

    async def _pip_settings(self) -> PipSettings:
        if self._pip is None:
            found = await asyncio.to_thread(read_pip_settings, self._environ)
            self._pip = found if self.settings.package_credentials else without_credentials(found)
        return self._pip


def read_request(spec: PythonEnvironmentSpec, folders: PackageFolders, *, mpi: bool) -> EnvironmentRequest:
    """What a spec asks for; with mpi4py for MPI, unless it is named.

    Long lists take their time: call it in a thread.

    Args:
        folders: which folders of this machine packages may come from.

    Raises:
        InvalidArgument: ``ENVIRONMENT_INVALID``, ``CONTROL_CHARACTER``, ``ENVIRONMENT_VARIABLE_INVALID``.
        InvalidArgument or PermissionDenied: ``PACKAGE_FOLDER_NOT_ALLOWED``.
    """
    extra = list(spec.extra_pip_packages)
    if mpi and not any(word.startswith("mpi4py") for word in extra):
        extra.append("mpi4py")
    return with_real_paths(read_conda_dependencies(spec.conda_dependencies, extra, folders.path), folders)


def wish_of(request: EnvironmentRequest, settings: EnvironmentSettings) -> PythonWish:
    """Which Python a request wants; of one that names none, packages of a past day decide."""
    if request.python.text or not settings.exclude_newer:
        return request.python
    return python_of_day(settings.exclude_newer)


def is_complete(folder: Path, *, elsewhere: bool) -> bool:
    """Whether an environment is there as a whole.

    Args:
        elsewhere: its interpreter, to which `bin/python` is a link, is not on this machine.
    """
    python = folder / "bin" / "python"
    # On this machine, the interpreter may have been removed since.
    return (folder / MARKER).is_file() and (os.path.lexists(python) if elsewhere else python.exists())


_CONDA_BRINGS = ("pip", "setuptools")


def _for_python(request: EnvironmentRequest, python: Interpreter, *, has_index: bool) -> EnvironmentRequest:
    if python.minor >= (3, 8):
        return request
    # mpi4py 4 has no wheels for these; the older one builds in a sixth of the time.
    requirements = tuple("mpi4py<4" if word == "mpi4py" else word for word in request.requirements)
    # A conda environment has these, and packages of the time import them without asking for them (CNTK does).
    return replace(request, requirements=(*requirements, *(_CONDA_BRINGS if requirements and has_index else ())))


class _Build:
    """One request on its way to an environment."""

    def __init__(
        self,
        owner: VirtualEnvironments,
        request: EnvironmentRequest,
        site: Site,
        resolution: Resolution,
        open_mpi: OpenMpi | None,
        log: Log,
    ) -> None:
        self._site = site
        self._cache_dir = owner.cache_dir
        self._clock = owner.clock
        self._offline = owner.settings.offline
        self._credentials = owner.settings.package_credentials
        self._request = request
        self._python = site.python
        self._resolution = resolution
        self._local_paths = local_paths(request)
        self._log = log
        # A source distribution of mpi4py finds its compiler by this.
        self._variables: dict[str, str] = {}
        if open_mpi is not None:
            self._variables = {**open_mpi.variables, "MPICC": str(open_mpi.prefix / "bin" / "mpicc")}
        self._introduced = False

    async def pins(self) -> tuple[str, ...]:
        """The frozen versions of the request; resolves them when that was never done."""
        if not self._request.requirements:
            return ()
        file = self._cache_dir / "resolutions" / f"{self._resolution.key}.txt"
        frozen = _read(file)
        if frozen is None:
            async with FolderLock(self._cache_dir / "locks" / f"resolve-{self._resolution.key}") as lock:
                frozen = _read(file)
                if frozen is None:
                    frozen = await self._resolve(file, lock)
        return read_pins(frozen)

    async def _resolve(self, file: Path, lock: FolderLock) -> str:
        self._introduce()
        self._log("Resolving the versions of the packages:")
        with _Scratch(self._cache_dir) as scratch:
            arguments = [
                *("pip", "compile", scratch.write("requirements.in", self._resolution.requirements_file())),
                *("--python", str(self._python.path), "--output-file", scratch.path("pins.txt"), "--quiet"),
                *("--no-header", "--no-annotate", "--overrides", scratch.write("served.txt", overrides_file())),
                *[word for path in self._resolution.constraints for word in ("--constraints", path)],
                *self._resolution.arguments,
            ]
            result = await self._run(arguments, self._log, lock, [scratch.folder])
            if result.exit_code != 0:
                raise self._failure("The packages could not be resolved", result)
            pins = "\n".join(read_pins(scratch.read("pins.txt"))) + "\n"
            for pin in read_pins(pins):
                self._log(f"  {redact(pin)}")
            scratch.publish("frozen.txt", pins, file)
        return pins

    async def install(self, folder: Path, pins: Sequence[str], lock: FolderLock) -> None:
        """Builds the environment in `folder`, whose lock is held; leaves nothing when it fails or is cancelled."""
        self._introduce()
        started = self._clock.monotonic()
        await asyncio.to_thread(_remove, folder)
        try:
            await self._install(folder, pins, lock)
            facts = {"python": self._python.version, "interpreter": str(self._python.path), "packages": list(pins)}
            _write_marker(folder, facts)
        except BaseException:
            # Also when cancelled: a thread's work is waited for, whatever comes.
            await asyncio.shield(asyncio.to_thread(_remove, folder))
            raise
        self._log(f"The environment is ready after {self._clock.monotonic() - started:.1f} seconds.")

    async def _install(self, folder: Path, pins: Sequence[str], lock: FolderLock) -> None:
        # Made here: in a container it is all that is seen of the folder of environments.
        folder.mkdir(parents=True, exist_ok=True)
        arguments = ["venv", "--no-project", "--quiet", "--python", str(self._python.path), str(folder)]
        result = await self._run(arguments, self._log, lock, [folder])
        if result.exit_code != 0:
            raise self._failure("The virtual environment could not be made", result)
        if not pins:
            return
        self._log("Installing the packages:")
        with _Scratch(self._cache_dir) as scratch:
            arguments = [
                *("pip", "install", "--no-deps", "--python", str(folder / "bin" / "python")),
                *("--requirements", scratch.write("pins.txt", self._resolution.pins_file(pins))),
                *self._resolution.arguments,
            ]
            # What uv has in its cache needs no index: an index that is slow or gone is no obstacle to a frozen spec.
            writes = [scratch.folder, folder]
            result = await self._run(arguments, self._log if self._offline else _silent, lock, writes, offline=True)
            if result.exit_code == 0:
                for line in () if self._offline else result.lines:
                    self._log(line)
            elif not self._offline:
                result = await self._run(arguments, self._log, lock, writes)
        if result.exit_code != 0:
            raise self._failure("The packages could not be installed", result)

    async def _run(
        self, arguments: Sequence[str], log: Log, lock: FolderLock, writes: Sequence[Path], *, offline: bool = False
    ) -> UvResult:
        return await self._site.uv.run(
            arguments,
            log,
            variables=self._variables,
            offline=offline,
            lock=lock,
            reads=self._resolution.owned_words,
            shows=self._local_paths,
            writes=writes,
        )

    def _introduce(self) -> None:
        if self._introduced:
            return
        self._introduced = True
        log, wish = self._log, self._request.python
        log(f"Python {self._python.version} ({self._python.path})")
        if wish.patch and wish.patch != self._python.version:
            log(f"note: Python {wish.patch} was asked for and is not on this machine; the minor version is the same")
        for requirement in self._request.requirements:
            log(f"  {redact(requirement)}")
        for note in self._request.notes:
            log(f"note: {redact(note)}")

    def _failure(self, what: str, result: UvResult) -> FailedPrecondition:
        hint = ""
        if self._offline:
            hint = " The emulator is offline (setting LOCALAML_OFFLINE): only what was installed before can be had."
        elif not self._credentials and _REFUSED.search(result.reason):
            hint = (
                " Your own credentials for package indexes (.netrc, settings of pip and uv) are handed on only with "
                "the setting LOCALAML_PACKAGE_CREDENTIALS."
            )
        return FailedPrecondition("ENVIRONMENT_BUILD_FAILED", f"{what}: {result.reason}{hint}")


class _Scratch:
    """A folder for files that only one run of uv needs. For its owner alone: index addresses may hold passwords."""

    def __init__(self, cache_dir: Path) -> None:
        self._parent = cache_dir / "tmp"
        self.folder = Path()

    def __enter__(self) -> _Scratch:
        self._parent.mkdir(parents=True, exist_ok=True)
        self.folder = Path(tempfile.mkdtemp(dir=self._parent))
        return self

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)

    def path(self, name: str) -> str:
        return str(self.folder / name)

    def write(self, name: str, text: str) -> str:
        job_files.write(self.folder, self.folder / name, text.encode(), mode=0o600)
        return self.path(name)

    def read(self, name: str) -> str:
        """A file that uv wrote, or a program of a package in its place: no link is followed."""
        return job_files.read(self.folder, self.folder / name, _LONGEST_ANSWER).data.decode(errors="replace")

    def publish(self, name: str, text: str, target: Path) -> None:
        """Makes a file appear under its name complete or not at all."""
        self.write(name, text)
        target.parent.mkdir(parents=True, exist_ok=True)
        (self.folder / name).replace(target)


def _silent(line: str) -> None:
    """For output that is looked at when the program has ended."""


def _write_marker(folder: Path, facts: Mapping[str, object]) -> None:
    job_files.write(folder, folder / MARKER, json.dumps(facts, indent=1).encode())


def _read(file: Path) -> str | None:
    try:
        return file.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None


def _remove(folder: Path) -> None:
    (folder / MARKER).unlink(missing_ok=True)
    shutil.rmtree(folder, ignore_errors=True)
