"""Which Pythons there are on this machine. Found by their names first; only those that may fit are asked."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import sys
import sysconfig
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from localaml.errors import FailedPrecondition, InvalidArgument
from localaml.jobs.environments.conda import PythonWish

_PROBE = """
import json, platform, sys, sysconfig
print(json.dumps([sys.executable, list(sys.version_info[:3]), platform.python_implementation(),
sysconfig.get_platform()]))
"""
_VERSIONED = re.compile(r"python(3\.\d+)$")
_FOLDER_VERSION = re.compile(r"(?:^|cpython-)(3\.\d+(?:\.\d+)?)")
_USUAL_FOLDERS = ("/usr/local/bin", "/usr/bin", "/opt/homebrew/bin")


@dataclass(frozen=True, slots=True)
class Interpreter:
    """A Python that was started and answered."""

    path: Path
    version: str  # "3.11.7"
    implementation: str
    platform: str

    @property
    def minor(self) -> tuple[int, int]:
        major, minor = self.version.split(".")[:2]
        return int(major), int(minor)


class Interpreters:
    """Finds interpreters, and remembers what they said.

    Args:
        named: further ones, tried before all others.
        environ: PATH, HOME, PYENV_ROOT are read from it.
    """

    def __init__(self, named: Sequence[Path], environ: Mapping[str, str]) -> None:
        self._named = tuple(named)
        self._environ = environ
        self._answers: dict[Path, Interpreter | None] = {}

    def own(self) -> Interpreter:
        """The Python that the emulator runs on, outside of its virtual environment."""
        base = getattr(sys, "_base_executable", None) or sys.executable
        version = ".".join(str(part) for part in sys.version_info[:3])
        return Interpreter(Path(base), version, sys.implementation.name, sysconfig.get_platform())

    async def find(self, wish: PythonWish) -> Interpreter:
        """The interpreter for a wish: the emulator's own version where that will do, else the newest that fits; of
        the same minor version the wished patch first.

        Raises:
            FailedPrecondition: ``PYTHON_NOT_FOUND``; the message lists those that exist.
        """
        if not wish.text or (
            not self._named and wish.fits(self.own().version) and wish.patch in ("", self.own().version)
        ):
            return self.own()
        fallback: Interpreter | None = self.own() if wish.fits(self.own().version) else None
        for guess, path in self._candidates(wish):
            if fallback is not None and guess != wish.patch and path not in self._named:
                continue
            found = await self.probe(path)
            if found is None or not wish.fits(found.version):
                continue
            if not wish.patch or found.version == wish.patch:
                return found
            fallback = fallback or found
        if fallback is not None:
            return fallback
        existing = ", ".join(sorted({found.version for found in await self.all()}, key=_sort_key)) or "none"
        raise FailedPrecondition(
            "PYTHON_NOT_FOUND",
            f"There is no Python {wish.text.lstrip('=')} on this machine (found: {existing}). Install one (for "
            "instance by "
            "`pyenv install` or `uv python install`), name one in the setting LOCALAML_PYTHON_INTERPRETERS, or ask for "
            "another version.",
            {"wanted": wish.text, "found": existing},
        )

    async def find_command(self, command: str) -> Interpreter:
        """A `user_managed` interpreter: an absolute path, or a name on the PATH (`python` may be called `python3`
        there).

        Raises:
            InvalidArgument: ``ENVIRONMENT_INVALID``: a relative path.
            FailedPrecondition: ``PYTHON_NOT_FOUND``.
        """
        search = self._environ.get("PATH", os.defpath)
        if Path(command).is_absolute():
            path: str | None = command
        elif "/" in command:
            raise InvalidArgument(
                "ENVIRONMENT_INVALID",
                f"The interpreter {command!r} of the user-managed environment has to be an absolute path or a name "
                "on the PATH.",
            )
        else:
            path = shutil.which(command, path=search)
            if path is None and command == "python":
                path = shutil.which("python3", path=search)
        found = await self.probe(Path(path)) if path is not None else None
        if found is None:
            raise FailedPrecondition(
                "PYTHON_NOT_FOUND",
                f"The interpreter {command!r} of the user-managed environment does not exist on this machine, or "
                "does not start. "
                "Name one that does by its absolute path (`interpreter_path`), or leave user_managed out and name "
                "the packages.",
                {"interpreter": command},
            )
        return found

    async def all(self) -> list[Interpreter]:
        """Every interpreter that can be found, oldest first, one for each full version."""
        paths = [path for _, path in self._candidates(None)]
        found = [self.own(), *filter(None, await asyncio.gather(*(self.probe(path) for path in paths)))]
        by_version: dict[str, Interpreter] = {}
        for interpreter in found:
            by_version.setdefault(interpreter.version, interpreter)
        return [by_version[version] for version in sorted(by_version, key=_sort_key)]

    async def probe(self, path: Path) -> Interpreter | None:
        """What the interpreter at `path` is; None when there is none, it does not start, or it is older than 3.6.
        Asked once."""
        if path not in self._answers:
            self._answers[path] = await _ask(path, self._environ)
        return self._answers[path]

    # -- candidates -------------------------------------------------------------------------------------------------

    def _candidates(self, wish: PythonWish | None) -> list[tuple[str, Path]]:
        """Paths with the version that their name tells (may be empty), best first."""
        seen: set[str] = set()
        named = [("", path) for path in self._named]
        found: list[tuple[str, Path]] = []
        for guess, path in self._installed():
            if wish is not None and not _may_fit(guess, wish):
                continue
            real = os.path.realpath(path)
            if real not in seen:
                seen.add(real)
                found.append((guess, path))
        found.sort(key=lambda item: (wish is not None and item[0] == wish.patch, _sort_key(item[0])), reverse=True)
        return [*named, *found]

    def _installed(self) -> Iterator[tuple[str, Path]]:
        home = Path(self._environ.get("HOME") or Path.home())
        pyenv = Path(self._environ.get("PYENV_ROOT") or home / ".pyenv") / "versions"
        data = Path(self._environ.get("XDG_DATA_HOME") or home / ".local" / "share")
        managed = Path(self._environ.get("UV_PYTHON_INSTALL_DIR") or data / "uv" / "python")
        for root in (pyenv, managed):
            for name in _list(root):
                match = _FOLDER_VERSION.match(name)
                python = root / name / "bin" / "python3"
                if match and python.exists():
                    yield match[1], python
        folders = [*self._environ.get("PATH", os.defpath).split(os.pathsep), *_USUAL_FOLDERS]
        for folder in dict.fromkeys(folders):
            # pyenv's shims start whichever version is chosen at the moment.
            if not Path(folder).is_absolute() or folder.rstrip("/").endswith("/shims"):
                continue
            for name in _list(Path(folder)):
                if match := _VERSIONED.match(name):
                    yield match[1], Path(folder) / name


def _may_fit(guess: str, wish: PythonWish) -> bool:
    parts = guess.split(".")
    if wish.minor is not None:
        return tuple(int(part) for part in parts[:2]) == wish.minor
    # With the minor version alone, the patch has to be asked for.
    return len(parts) == 2 or wish.fits(guess)


def _sort_key(version: str) -> list[int]:
    return [int(part) for part in version.split(".") if part.isdigit()]


def _list(folder: Path) -> list[str]:
    try:
        return sorted(os.listdir(folder))  # noqa: PTH208  (names are all that is wanted)
    except OSError:
        return []


async def _ask(path: Path, environ: Mapping[str, str]) -> Interpreter | None:
    if not os.access(path, os.X_OK) or path.is_dir():
        return None
    try:
        process = await asyncio.create_subprocess_exec(
            str(path),
            "-I",
            "-S",
            "-c",
            _PROBE,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env={"PATH": environ.get("PATH", os.defpath)},
        )
    except OSError:
        return None
    try:
        output, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    try:
        _, version, implementation, platform = json.loads(output)
    except (ValueError, TypeError):
        return None
    if tuple(version) < (3, 6):
        return None
    return Interpreter(path, ".".join(str(part) for part in version), implementation.lower(), platform)
