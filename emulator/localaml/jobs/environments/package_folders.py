"""Which files and folders of this machine may be sources of packages: those that the emulator's owner allows, and no
others, whoever names them.

What a caller names is looked at twice by the same rule: when it comes (at a submit), and again when it
is about to be used, since what a path leads to can change meanwhile. So it is where a path really leads that counts.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote, urlsplit

from localaml.domain.redaction import redact
from localaml.errors import InvalidArgument, LocalAmlError, PermissionDenied
from localaml.jobs.environments.conda import EnvironmentRequest
from localaml.jobs.environments.requirements import is_remote

_SETTING = "LOCALAML_ALLOWED_PACKAGE_FOLDERS"


class PackageFolders:
    """The folders that are allowed.

    Args:
        folders: by their absolute paths.
        by_job: whether the one who asks is a job: then none is allowed.
    """

    def __init__(self, folders: Iterable[Path], *, by_job: bool = False) -> None:
        self._folders = () if by_job else tuple(folders)
        self._by_job = by_job

    def path(self, location: str) -> Path | None:
        """Where a ``file:`` address or a path really leads; None when it is not in an allowed folder."""
        named = _named_path(location)
        if named is None or not self._folders:
            return None
        real = Path(os.path.realpath(named))
        for folder in self._folders:
            allowed = Path(os.path.realpath(folder))
            if real == allowed or real.is_relative_to(allowed):
                return real
        return None

    def refusal(self, location: str) -> LocalAmlError:
        """The error for a location that is not allowed."""
        shown = redact(location if len(location) <= 200 else location[:197] + "...")
        what = f"{shown!r} is a file or folder of the emulator's machine"
        if self._by_job:
            return PermissionDenied(
                "PACKAGE_FOLDER_NOT_ALLOWED",
                f"{what}, and a job cannot name one as a source of packages. Give the address of a package index, or "
                "submit from outside the job.",
            )
        return InvalidArgument(
            "PACKAGE_FOLDER_NOT_ALLOWED",
            f"{what}, and no source of packages unless the setting {_SETTING} allows it or a folder above it. Allow "
            "it there and start the emulator again, or give the address of a package index.",
        )


def with_real_paths(request: EnvironmentRequest, folders: PackageFolders) -> EnvironmentRequest:
    """The same request with what it names of this machine by its real path, as a ``file:`` address.

    Raises:
        InvalidArgument or PermissionDenied: ``PACKAGE_FOLDER_NOT_ALLOWED``: one that is not allowed.
    """
    options = request.options

    def real(location: str) -> str:
        if is_remote(location):
            return location
        path = folders.path(location)
        if path is None:
            raise folders.refusal(location)
        return path.as_uri()

    for path in request.local_files:
        real(path)
    options = replace(
        options,
        index_url=options.index_url and real(options.index_url),
        extra_index_urls=tuple(map(real, options.extra_index_urls)),
        find_links=tuple(map(real, options.find_links)),
    )
    return replace(request, options=options)


def local_paths(request: EnvironmentRequest) -> tuple[Path, ...]:
    """The files and folders of this machine that a request with real paths takes packages from."""
    options = request.options
    named = [options.index_url or "", *options.extra_index_urls, *options.find_links, *request.local_files]
    paths = (_named_path(location) for location in named if location and not is_remote(location))
    return tuple(dict.fromkeys(path for path in paths if path is not None))


def _named_path(location: str) -> Path | None:
    """The absolute path that a location names; None when it names none of this machine."""
    if location[:5].lower() == "file:":
        parts = urlsplit(location)
        if parts.netloc.lower() not in ("", "localhost"):
            return None
        text = unquote(parts.path, errors="surrogateescape")
    else:
        text = location
    if not text.startswith("/") or "\0" in text:
        return None
    return Path(text)
