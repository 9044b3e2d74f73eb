"""Runs uv in a container of an image, so that what it makes is for the image's Python and C library."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import ssl
import tempfile
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from localaml import job_files
from localaml.compute.docker.helpers import Helper, HelperNotStarted
from localaml.compute.docker.relay import Relay
from localaml.compute.runtime import Bind
from localaml.domain.redaction import without_user_info
from localaml.errors import FailedPrecondition
from localaml.jobs.environments.folder_lock import FolderLock
from localaml.jobs.environments.loopback_indexes import loopback_ports
from localaml.jobs.environments.uv_output import Log, UvOutput
from localaml.jobs.environments.uv_tool import UvResult, find_uv, uv_options, uv_variables

if TYPE_CHECKING:
    from localaml.compute.docker.helpers import Helpers

# What of the emulator's own variables concerns uv in an image: where packages come from, and how they are reached.
_HANDED_ON = re.compile(r"UV_\w+|(?:https?|all|no|ftp)_proxy|GIT_SSL_\w+", re.IGNORECASE)
_REACH = Path(str(resources.files("localaml.compute.docker"))) / "agent" / "reach.py"
_BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
)
# Folders in which images have what is theirs: nothing of this machine may hide them.
_SYSTEM = tuple(map(Path, ("/usr", "/bin", "/sbin", "/lib", "/lib64", "/etc", "/dev", "/proc", "/sys", "/var")))


class ContainerUv:
    """A `UvPlace` in containers of one image.

    All that it sees of this machine is uv, what the owner's settings name, what the request may take packages from, its
    own cache, and the folders that it shall write to: programs of packages run there when packages are built.

    Args:
        python: path of the image's interpreter.
        cache_dir: the emulator's; uv's cache is in it.
        environ: the emulator's environment variables.
        network: of the engine; see `DockerSettings.build_network`.
        credentials: whether the user's own credentials for package indexes are handed on.
        binds: what uv's work needs to see beside that.
    """

    def __init__(
        self,
        helpers: Helpers,
        image_id: str,
        python: Path,
        cache_dir: Path,
        environ: Mapping[str, str],
        *,
        network: str,
        offline: bool,
        credentials: bool = False,
        binds: Sequence[Bind] = (),
    ) -> None:
        self._helpers = helpers
        self._image_id = image_id
        self._python = python
        self._cache_dir = cache_dir
        self._environ = environ
        self._network = network
        self._offline = offline
        self._credentials = credentials
        self._binds = tuple(binds)
        # A cache for each image: uv keeps in it what it knows of interpreters by their paths, and what it built.
        self._uv_cache = cache_dir / "uv-images" / image_id.rpartition(":")[2][:16]

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
        self._uv_cache.mkdir(parents=True, exist_ok=True)
        key = ""
        if lock is not None:
            # A helper of an emulator that was killed may still be at work; the lock is ours now.
            key = str(lock.path)
            await self._helpers.remove(key)
        uv = find_uv(self._environ.get("PATH", os.defpath))
        words = [uv, *arguments]
        binds = [Bind(Path(uv)), *self._binds]
        options = uv_options(self._environ)
        own = self._variables()
        configuration = await asyncio.to_thread(self._configuration, options)
        if configuration is not None:
            words += ["--config-file", str(configuration)]
        else:
            words += options
        if offline or self._offline:
            words.append("--offline")
        # Not what is in the arguments: they name paths of the image, too, which must not be hidden by this machine's.
        binds += [Bind(path) for path in local_files([*reads, *own.values()])]
        binds += [Bind(path) for path in shows]
        binds += [Bind(path, writable=True) for path in (self._uv_cache, *writes)]
        output = UvOutput(log)
        loop = asyncio.get_running_loop()

        def receive(part: bytes) -> None:
            loop.call_soon_threadsafe(output.feed, part)

        named = [*reads, *own.values(), *await asyncio.to_thread(_texts, configuration)]
        async with self._reaching(loopback_ports(named)) as reach:
            helper = Helper(
                self._image_id,
                [*reach.words, *words],
                "environment",
                _merged([*binds, *reach.binds]),
                {**own, **(variables or {})},
                files_are_ours=True,
                network=self._network,
                key=key,
            )
            try:
                code = await self._helpers.run(helper, receive)
            except HelperNotStarted as error:
                raise FailedPrecondition(
                    "ENVIRONMENT_BUILD_FAILED",
                    f"uv, which installs packages, does not start in the image ({error}). Use an image with the GNU C "
                    "library of this machine's architecture, or one that has the packages (user_managed_dependencies).",
                ) from None
        return UvResult(code, output.end())

    @asynccontextmanager
    async def _reaching(self, ports: Sequence[int]) -> AsyncIterator[_Reach]:
        """What a helper needs so that these ports of this machine's loopback address are there in the container."""
        if not ports or self._network in ("host", "none") or self._offline:
            yield _Reach()
            return
        parent = self._cache_dir / "tmp"
        parent.mkdir(parents=True, exist_ok=True)
        folder = Path(await asyncio.to_thread(tempfile.mkdtemp, dir=parent))
        relay = Relay(ports)
        try:
            await relay.open(folder)
            sockets = [f"{port}={Path(path).name}" for port, path in relay.sockets(str(folder)).items()]
            words = (str(self._python), "-I", "-S", str(_REACH), str(folder), *sockets, "--")
            yield _Reach(words, (Bind(_REACH), Bind(folder)))
        finally:
            await relay.close()
            await asyncio.shield(asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True))

    def _configuration(self, options: Sequence[str]) -> Path | None:
        """The user's `uv.toml` as the container sees it: a copy, without credentials unless they are handed on."""
        if options[0] != "--config-file":
            return None
        target = self._uv_cache / "uv.toml"
        try:
            text = Path(options[1]).read_text(encoding="utf-8")
        except (OSError, ValueError) as error:
            raise FailedPrecondition(
                "ENVIRONMENT_BUILD_FAILED", f"uv's configuration {options[1]} cannot be read: {error}. Correct it."
            ) from None
        text = text if self._credentials else without_user_info(text)
        job_files.write(self._uv_cache, target, text.encode(), mode=0o600)
        return target

    def _variables(self) -> dict[str, str]:
        """uv's own, as on this machine, and certificates that the image need not have."""
        given = uv_variables(self._environ, self._uv_cache, credentials=self._credentials)
        chosen = {name: value for name, value in given.items() if _HANDED_ON.fullmatch(name) or name == "NO_COLOR"}
        chosen["HOME"] = "/tmp"  # noqa: S108  (of the container, which is gone afterwards)
        # Its cache and the environment are two mounts, between which there are no hard links.
        chosen["UV_LINK_MODE"] = "copy"
        bundle = certificates(self._environ)
        if bundle:
            chosen["SSL_CERT_FILE"] = bundle
            # Else the image's own store is asked, which may be empty.
            chosen.pop("UV_SYSTEM_CERTS", None)
            chosen.pop("UV_NATIVE_TLS", None)
        if self._credentials:
            netrc = Path(self._environ.get("NETRC") or Path(self._environ.get("HOME") or Path.home()) / ".netrc")
            if netrc.is_file():
                chosen["NETRC"] = str(netrc)
        return chosen


@dataclass(frozen=True, slots=True)
class _Reach:
    """Words in front of a helper's command, and what they need to see."""

    words: tuple[str, ...] = ()
    binds: tuple[Bind, ...] = ()


def _texts(configuration: Path | None) -> list[str]:
    return [] if configuration is None else [configuration.read_text(encoding="utf-8")]


def _merged(binds: Iterable[Bind]) -> list[Bind]:
    """Each path once; what is to be written is mounted after, and so over, what is only to be read."""
    merged: dict[Path, Bind] = {}
    for bind in binds:
        if bind.path not in merged or bind.writable:
            merged[bind.path] = bind
    return sorted(merged.values(), key=lambda bind: len(bind.path.parts))


def certificates(environ: Mapping[str, str]) -> str:
    """The file of certificates that this machine trusts; empty when there is none."""
    named = environ.get("SSL_CERT_FILE")
    if named and Path(named).is_file():
        return named
    usual = (ssl.get_default_verify_paths().cafile or "", *_BUNDLES)
    return next((path for path in usual if path and Path(path).is_file()), "")


def local_files(words: Iterable[str]) -> list[Path]:
    """The files and folders of this machine that options and settings name, by a path or a ``file:`` address, each at
    the end of a word.

    Of a package index it is the folder above: its pages lead to files beside it.
    """
    found: dict[Path, None] = {}
    for word in (part for text in words for part in text.split()):
        for candidate in (word, word.rpartition("=")[2]):
            is_address = candidate.startswith("file://")
            path = Path(unquote(urlsplit(candidate).path) if is_address else candidate)
            if not path.is_absolute() or path == Path("/") or not path.exists():
                continue
            if is_address and path.is_dir() and len(path.parts) > 3 and not _is_system(path):
                path = path.parent
            # A folder of the system as a whole is the image's own affair.
            if path not in _SYSTEM and path != Path("/tmp"):  # noqa: S108
                found[path] = None
    return list(found)


def _is_system(path: Path) -> bool:
    return any(path.is_relative_to(folder) for folder in _SYSTEM)
