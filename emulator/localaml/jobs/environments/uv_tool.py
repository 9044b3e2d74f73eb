"""Runs uv: with its cache below ours, no Python downloads, output in the log, and nothing left when cancelled."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from localaml.errors import FailedPrecondition
from localaml.jobs.environments.folder_lock import FolderLock
from localaml.jobs.environments.pip_settings import uv_configuration
from localaml.jobs.environments.uv_output import Log, UvOutput

# What an error message quotes of uv's output.
_REASON_CHARACTERS = 1500
_PART_BYTES = 64 * 1024
# Variables that would point uv to a project, an environment or a Python of the user's.
_NOT_HANDED_ON = re.compile(
    r"VIRTUAL_ENV|CONDA_\w+|PYTHON\w+|__PYVENV_LAUNCHER__|UV_PYTHON\w*|UV_PROJECT\w*|UV_SYSTEM_PYTHON|UV_CONFIG_FILE"
    r"|UV_NO_CONFIG|UV_WORKING_DIR\w*|UV_OFFLINE|UV_CACHE_DIR|UV_NO_CACHE|UV_TARGET|UV_PREFIX|UV_REQUIRE_HASHES|UV_VENV_\w+"
)


@dataclass(frozen=True, slots=True)
class UvResult:
    """How a run of uv ended, with what it printed (without secrets)."""

    exit_code: int
    lines: tuple[str, ...]

    @property
    def reason(self) -> str:
        """What uv says went wrong, as sentences."""
        return failure_reason(self.lines) or f"uv ended with exit code {self.exit_code}"


class UvPlace(Protocol):
    """Somewhere that uv can be run."""

    async def run(
        self,
        arguments: Sequence[str],
        log: Log,
        *,
        variables: Mapping[str, str] | None = None,
        offline: bool = False,
        lock: FolderLock | None = None,
        reads: Sequence[str] = (),
    ) -> UvResult:
        """Runs uv to its end; `log` gets its output line by line. Cancelling ends uv, and all that it started, first.

        Args:
            variables: further environment variables.
            offline: use only what is in uv's cache, in this run.
            lock: of what uv works on: no other may, also when the emulator is killed and uv goes on.
            reads: words in which files and folders may be named that uv reads, beside those in `arguments`.

        Raises:
            FailedPrecondition: ``UV_NOT_FOUND``.
        """
        ...


class Uv:
    """The `uv` that is installed beside the emulator, else the one on PATH.

    Args:
        cache_dir: uv's cache; on the file system of the environments, so that it can link instead of copy.
        environ: environment variables; proxies, certificates and index settings in them count.
        offline: never ask an index.
    """

    def __init__(self, cache_dir: Path, environ: Mapping[str, str], *, offline: bool) -> None:
        self._cache_dir = cache_dir
        self._offline = offline
        self._search_path = environ.get("PATH", os.defpath)
        self._options = uv_options(environ)
        self._environ = uv_variables(environ, cache_dir)

    async def run(
        self,
        arguments: Sequence[str],
        log: Log,
        *,
        variables: Mapping[str, str] | None = None,
        offline: bool = False,
        lock: FolderLock | None = None,
        reads: Sequence[str] = (),
    ) -> UvResult:
        """See `UvPlace.run`."""
        self._cache_dir.mkdir(parents=True, exist_ok=True)
        words = [find_uv(self._search_path), *arguments, *self._options]
        if offline or self._offline:
            words.append("--offline")
        process = await asyncio.create_subprocess_exec(
            *words,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env={**self._environ, **(variables or {})},
            # An installer that outlives a killed emulator keeps the lock.
            pass_fds=() if lock is None else (lock.fileno,),
            # Compilers that it starts end with it: one signal for all.
            start_new_session=True,
        )
        output = UvOutput(log)
        try:
            assert process.stdout is not None
            while part := await process.stdout.read(_PART_BYTES):
                output.feed(part)
            await process.wait()
        except BaseException:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await asyncio.shield(process.wait())
            raise
        return UvResult(process.returncode or 0, output.end())


def uv_options(environ: Mapping[str, str]) -> list[str]:
    """Options of every run: a `uv.toml` of the user or the system counts; one near the folder where the emulator was
    started does not."""
    configuration = uv_configuration(environ)
    return ["--config-file", str(configuration)] if configuration is not None else ["--no-config"]


def uv_variables(environ: Mapping[str, str], cache_dir: Path) -> dict[str, str]:
    """The emulator's variables without those that would lead uv astray, with those that it needs."""
    variables = {name: value for name, value in environ.items() if not _NOT_HANDED_ON.fullmatch(name)}
    variables.update(UV_CACHE_DIR=str(cache_dir), UV_PYTHON_DOWNLOADS="never", UV_NO_PROGRESS="1", NO_COLOR="1")
    if not environ.get("SSL_CERT_FILE"):
        # The certificates that the machine trusts, as for pip. The second name is the one of uv before 0.11.
        variables.setdefault("UV_SYSTEM_CERTS", "true")
        variables.setdefault("UV_NATIVE_TLS", "true")
    return variables


def find_uv(search_path: str) -> str:
    """Raises FailedPrecondition ``UV_NOT_FOUND``."""
    try:
        from uv import find_uv_bin

        return str(find_uv_bin())
    except (ImportError, FileNotFoundError):
        found = shutil.which("uv", path=search_path)
    if found is None:
        raise FailedPrecondition(
            "UV_NOT_FOUND", "uv, which builds the environments of jobs, is not installed: pip install uv."
        )
    return found


_PROGRESS = re.compile(r"(Using|Resolved|Prepared|Download\w+|Install\w+|Build\w+|Built|Updat\w+)\b.*|warning:.*")
_DRAWING = re.compile(r"^[\s│├╰╭─▶×└┌]+|[│├╰╭─▶×└┌]+")


def failure_reason(lines: Sequence[str]) -> str:
    """uv's complaint without its drawing, cut to a length that a message can have; empty when there is none."""
    bare = [_DRAWING.sub(" ", line).strip() for line in lines]
    text = " ".join(line for line in bare if line and not _PROGRESS.fullmatch(line))
    text = re.sub(r"\s+", " ", text).removeprefix("error: ").replace(" cause: ", ": ")
    if len(text) <= _REASON_CHARACTERS:
        return text
    begin = _REASON_CHARACTERS * 2 // 3
    return f"{text[:begin]} … {text[begin - _REASON_CHARACTERS :]}"
