"""Fetches files of the web that datasets name."""

from __future__ import annotations

import asyncio
import errno
import http.client
import shutil
import threading
import urllib.error
from collections.abc import Collection
from pathlib import Path

from localaml.errors import NotFound, PermissionDenied, ResourceExhausted, Unavailable
from localaml.jobs.web_hosts import HostNotAllowed, opener

# Seconds without a byte after which a server counts as gone.
_TIMEOUT_SECONDS = 60
_CHUNK = 1024 * 1024


async def fetch_url(url: str, target: Path, allowed_hosts: Collection[str] = ()) -> None:
    """Writes the file at an http or https URL to `target`, whole or not at all. The folder must exist.

    Args:
        allowed_hosts: names and addresses of servers that may be on this machine.

    Raises:
        PermissionDenied: ``WEB_HOST_NOT_ALLOWED``: only this machine reaches it.
        NotFound: ``URL_NOT_FOUND``: the server has no such file.
        Unavailable: ``URL_NOT_REACHABLE``: no answer (also: this machine is offline), or another error of the server.
        ResourceExhausted: ``DISK_FULL``.
    """
    stop = threading.Event()
    work = asyncio.ensure_future(asyncio.to_thread(_fetch, url, target, stop, allowed_hosts))
    try:
        await asyncio.shield(work)
    except asyncio.CancelledError:
        # A thread cannot be cancelled: it ends after the piece that it is at, and writes nothing more.
        stop.set()
        await asyncio.gather(work, return_exceptions=True)
        raise


def _fetch(url: str, target: Path, stop: threading.Event, allowed_hosts: Collection[str]) -> None:
    part = target.with_name(f".{target.name[:200]}.part")
    try:
        with opener(allowed_hosts).open(url, timeout=_TIMEOUT_SECONDS) as answer, part.open("wb") as file:
            expected = answer.headers.get("Content-Length")
            while not stop.is_set() and (chunk := answer.read(_CHUNK)):
                file.write(chunk)
            if expected is not None and file.tell() != int(expected) and not stop.is_set():
                raise http.client.IncompleteRead(b"", int(expected) - file.tell())
        if stop.is_set():
            part.unlink(missing_ok=True)
        else:
            shutil.move(part, target)
    except urllib.error.HTTPError as error:
        part.unlink(missing_ok=True)
        text = f"The server of {url!r} answered with HTTP status {error.code}"
        if error.code in (404, 410):
            raise NotFound("URL_NOT_FOUND", f"{text}: there is no such file.", {"url": url}) from None
        raise Unavailable("URL_NOT_REACHABLE", f"{text} ({error.reason}).", {"url": url}) from None
    except (OSError, http.client.HTTPException, ValueError) as error:
        part.unlink(missing_ok=True)
        if isinstance(error, urllib.error.URLError) and isinstance(error.reason, HostNotAllowed):
            error = error.reason
        if isinstance(error, HostNotAllowed):
            raise PermissionDenied("WEB_HOST_NOT_ALLOWED", f"{url!r} is not fetched: {error}.", {"url": url}) from None
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise ResourceExhausted("DISK_FULL", f"There is no room left for {url!r}: free some.") from error
        raise Unavailable(
            "URL_NOT_REACHABLE",
            f"{url!r} cannot be fetched ({error}). Without a connection to the internet, put the file into a datastore "
            "and make the dataset from there.",
            {"url": url},
        ) from error
