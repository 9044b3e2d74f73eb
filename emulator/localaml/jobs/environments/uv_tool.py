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

from localaml.domain.redaction import without_user_info
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
# What a package may do with the user's name elsewhere, when it is built. Programs of packages run then, so nothing of
# this is theirs: keys, tokens and passwords, by how their variables are called, and the ways to agents that have some.
_CREDENTIALS = re.compile(
    r"(?:LOCALAML|AWS|AZURE|AZUREML|ARM|GOOGLE|GCLOUD|CLOUDSDK|DOCKER|KUBE|GPG|SSH|DBUS|UV_PUBLISH|TWINE)_\w+|KUBECONFIG"
    r"|\w*(?:TOKEN|SECRET|PASSWORD|PASSWD|PASSPHRASE|CREDENTIAL|API_?KEY|ACCESS_?KEY|PRIVATE_?KEY)\w*"
    r"|UV_INDEX_\w+_USERNAME|UV_KEYRING_PROVIDER|XDG_RUNTIME_DIR",
    re.IGNORECASE,
)
# Those with which packages are had. They are the owner's to hand on (the setting LOCALAML_PACKAGE_CREDENTIALS).
_PACKAGE_CREDENTIALS = re.compile(r"UV_(?!PUBLISH_)\w+", re.IGNORECASE)


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
        shows: Sequence[Path] = (),
        writes: Sequence[Path] = (),
    ) -> UvResult:
        """Runs uv to its end; `log` gets its output line by line. Cancelling ends uv, and all that it started, first.

        Args:
            variables: further environment variables.
            offline: use only what is in uv's cache, in this run.
            lock: of what uv works on: no other may, also when the emulator is killed and uv goes on.
            reads: words of the owner's settings, in which files and folders may be named that uv reads.
            shows: files and folders that the request may take packages from.
            writes: folders that uv writes to, beside its cache.

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
        credentials: whether the user's own credentials for package indexes are handed on.
    """

    def __init__(
        self, cache_dir: Path, environ: Mapping[str, str], *, offline: bool, credentials: bool = False
    ) -> None:
        self._cache_dir = cache_dir
        self._offline = offline
        self._search_path = environ.get("PATH", os.defpath)
        self._options = uv_options(environ)
        self._environ = uv_variables(environ, cache_dir, credentials=credentials)

    async def run(
        self,
        arguments: Sequence[str],
        log: Log,
        *,
        variables: Mapping[str, str] | None = None,
        offline: bool = False,
        lock: FolderLock | None = None,
        reads: Sequence[str] = (),
        shows: Sequence[Path] = (),
        writes: Sequence[Path] = (),
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


def uv_variables(environ: Mapping[str, str], cache_dir: Path, *, credentials: bool = False) -> dict[str, str]:
    """The emulator's variables without those that would lead uv astray or are no package's affair, with those that uv
    needs.

    Args:
        credentials: whether the user's own credentials for package indexes are among them.
    """
    variables: dict[str, str] = {}
    for name, value in environ.items():
        if _NOT_HANDED_ON.fullmatch(name):
            continue
        if _CREDENTIALS.fullmatch(name) and not (credentials and _PACKAGE_CREDENTIALS.fullmatch(name)):
            continue
        variables[name] = value if credentials else without_user_info(value)
    if not credentials:
        # Else uv looks into the home folder.
        variables["NETRC"] = os.devnull
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


_PROGRESS = re.compile(r"(?:Using|Resolved|Prepared|Built)\b|(?:Download|Install|Build|Updat)\w|warning:")
_DRAWING = re.compile(r"[│├╰╭─▶×└┌]")


def failure_reason(lines: Sequence[str]) -> str:
    """uv's complaint without its drawing, cut to a length that a message can have; empty when there is none."""
    bare = [_DRAWING.sub(" ", line).strip() for line in lines]
    text = " ".join(line for line in bare if line and not _PROGRESS.match(line))
    text = " ".join(text.split()).removeprefix("error: ").replace(" cause: ", ": ")
    if len(text) <= _REASON_CHARACTERS:
        return text
    begin = _REASON_CHARACTERS * 2 // 3
    return f"{text[:begin]} … {text[begin - _REASON_CHARACTERS :]}"
