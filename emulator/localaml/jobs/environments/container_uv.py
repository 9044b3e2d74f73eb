"""Runs uv in a container of an image, so that what it makes is for the image's Python and C library."""

from __future__ import annotations

import asyncio
import os
import re
import ssl
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from localaml.compute.docker.helpers import Helper, HelperNotStarted
from localaml.compute.runtime import Bind
from localaml.errors import FailedPrecondition
from localaml.jobs.environments.folder_lock import FolderLock
from localaml.jobs.environments.uv_output import Log, UvOutput
from localaml.jobs.environments.uv_tool import UvResult, find_uv, uv_options, uv_variables

if TYPE_CHECKING:
    from localaml.compute.docker.helpers import Helpers

# What of the emulator's own variables concerns uv in an image: where packages come from, and how they are reached.
_HANDED_ON = re.compile(r"UV_\w+|(?:https?|all|no|ftp)_proxy|NETRC|GIT_SSL_\w+", re.IGNORECASE)
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

    Args:
        cache_dir: the emulator's; all that uv writes is in it.
        environ: the emulator's environment variables.
        binds: what uv's work needs to see beside the cache dir.
    """

    def __init__(
        self,
        helpers: Helpers,
        image_id: str,
        cache_dir: Path,
        environ: Mapping[str, str],
        *,
        offline: bool,
        binds: Sequence[Bind] = (),
    ) -> None:
        self._helpers = helpers
        self._image_id = image_id
        self._cache_dir = cache_dir
        self._environ = environ
        self._offline = offline
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
    ) -> UvResult:
        """See `UvPlace.run`."""
        self._uv_cache.mkdir(parents=True, exist_ok=True)
        key = ""
        if lock is not None:
            # A helper of an emulator that was killed may still be at work; the lock is ours now.
            key = str(lock.path)
            await self._helpers.remove(key)
        uv = find_uv(self._environ.get("PATH", os.defpath))
        options = uv_options(self._environ)
        words = [uv, *arguments, *options]
        if offline or self._offline:
            words.append("--offline")
        own = self._variables()
        output = UvOutput(log)
        loop = asyncio.get_running_loop()

        def receive(part: bytes) -> None:
            loop.call_soon_threadsafe(output.feed, part)

        # Not in the arguments: they name paths of the image, too, which must not be hidden by this machine's.
        local = local_files([*options, *reads, *own.values()])
        shown = [Bind(Path(uv)), *(Bind(path) for path in local), *self._binds, Bind(self._cache_dir, writable=True)]
        helper = Helper(
            self._image_id,
            words,
            "environment",
            list({bind.path: bind for bind in shown if not _within(bind, self._cache_dir)}.values()),
            {**own, **(variables or {})},
            files_are_ours=True,
            # What reaches the emulator's package indexes reaches them from here, too.
            network="host",
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

    def _variables(self) -> dict[str, str]:
        """uv's own, as on this machine, and certificates that the image need not have."""
        given = uv_variables(self._environ, self._uv_cache)
        chosen = {name: value for name, value in given.items() if _HANDED_ON.fullmatch(name) or name == "NO_COLOR"}
        chosen["HOME"] = "/tmp"  # noqa: S108  (of the container, which is gone afterwards)
        bundle = certificates(self._environ)
        if bundle:
            chosen["SSL_CERT_FILE"] = bundle
            # Else the image's own store is asked, which may be empty.
            chosen.pop("UV_SYSTEM_CERTS", None)
            chosen.pop("UV_NATIVE_TLS", None)
        netrc = Path(self._environ.get("NETRC") or Path(self._environ.get("HOME") or Path.home()) / ".netrc")
        if netrc.is_file():
            chosen["NETRC"] = str(netrc)
        return chosen


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


def _within(bind: Bind, folder: Path) -> bool:
    return bind.path != folder and bind.path.is_relative_to(folder)
