"""Runs uv: with its cache below ours, no Python downloads, and nothing left when a build is cancelled."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from localaml.errors import FailedPrecondition
from localaml.jobs.environments.redaction import redact

Log = Callable[[str], None]
# What an error message quotes of uv's output.
_REASON_LINES, _REASON_CHARACTERS = 20, 2000
_LINE_BYTES = 1024 * 1024
_NOT_HANDED_ON = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "CONDA_PREFIX", "UV_PROJECT_ENVIRONMENT")


@dataclass(frozen=True, slots=True)
class UvResult:
    """How a run of uv ended, with what it printed (without secrets)."""

    exit_code: int
    lines: tuple[str, ...]

    @property
    def reason(self) -> str:
        """What uv says went wrong: the end of its output."""
        told = [line for line in self.lines if line.strip()][-_REASON_LINES:]
        return "\n".join(told)[-_REASON_CHARACTERS:] or f"uv ended with exit code {self.exit_code}"


class Uv:
    """The `uv` that is installed beside the emulator, else the one on PATH.

    Args:
        cache_dir: uv's cache; on the file system of the environments, so that it can link instead of copy.
        environ: environment variables; proxies, certificates and index settings in them count.
        offline: never ask an index.
    """

    def __init__(self, cache_dir: Path, environ: Mapping[str, str], *, offline: bool) -> None:
        self._offline = offline
        self._path = environ.get("PATH", os.defpath)
        self._environ = {name: value for name, value in environ.items() if name not in _NOT_HANDED_ON}
        self._environ.update(
            UV_CACHE_DIR=str(cache_dir), UV_PYTHON_DOWNLOADS="never", UV_NO_PROGRESS="1", UV_NO_CONFIG="1", NO_COLOR="1"
        )
        if "SSL_CERT_FILE" not in environ:
            self._environ.setdefault("UV_SYSTEM_CERTS", "1")

    async def run(
        self,
        arguments: Sequence[str],
        log: Log,
        *,
        variables: Mapping[str, str] | None = None,
        offline: bool = False,
        keep_open: Sequence[int] = (),
    ) -> UvResult:
        """Runs uv to its end; `log` gets its output line by line.

        Args:
            variables: further environment variables.
            offline: use only what is in uv's cache, in this run.
            keep_open: file descriptors that uv inherits.

        Raises:
            FailedPrecondition: ``UV_NOT_FOUND``.
        """
        words = [self._program(), *arguments]
        if offline or self._offline:
            words.append("--offline")
        process = await asyncio.create_subprocess_exec(
            *words,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env={**self._environ, **(variables or {})},
            pass_fds=tuple(keep_open),
            # Compilers that it starts end with it: one signal for all.
            start_new_session=True,
            limit=_LINE_BYTES,
        )
        lines: list[str] = []
        try:
            assert process.stdout is not None
            async for raw in process.stdout:
                line = redact(raw.decode("utf-8", errors="replace").rstrip())
                lines.append(line)
                log(line)
            await process.wait()
        except BaseException:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await asyncio.shield(process.wait())
            raise
        return UvResult(process.returncode or 0, tuple(lines))

    def _program(self) -> str:
        try:
            from uv import find_uv_bin

            return str(find_uv_bin())
        except (ImportError, FileNotFoundError):
            found = shutil.which("uv", path=self._path)
        if found is None:
            raise FailedPrecondition(
                "UV_NOT_FOUND", "uv, which builds the environments of jobs, is not installed: pip install uv."
            )
        return found
