"""Wheels for an image's Python, fetched by this machine's pip: with its indexes, its proxies and its certificates."""

from __future__ import annotations

import shutil
import sys
import tarfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from localaml.errors import FailedPrecondition
from localaml.images.programs import run_program

# The oldest C library that wheels are made for.
_OLDEST_GLIBC = 5


@dataclass(frozen=True, slots=True)
class TargetPython:
    """What decides which wheels an interpreter takes: ``3.11``, ``x86_64``, and glibc ``2.36``."""

    version: str
    machine: str
    glibc: str

    def platforms(self) -> list[str]:
        """Platform tags of its wheels, best first."""
        major, minor = (int(part) for part in self.glibc.split("."))
        tags = [f"manylinux_{major}_{number}_{self.machine}" for number in range(minor, _OLDEST_GLIBC - 1, -1)]
        return [*tags, f"manylinux2014_{self.machine}", f"manylinux2010_{self.machine}", f"manylinux1_{self.machine}"]


@dataclass(frozen=True, slots=True)
class IndexSettings:
    """Where packages come from, beside (and over) what pip is configured to on this machine.

    Attributes:
        index_url: URL of an index; empty for pip's own.
        ca_bundle: certificates that sign the index's; None for pip's own.
    """

    index_url: str = ""
    ca_bundle: Path | None = None

    def variables(self) -> Mapping[str, str]:
        """As pip reads them. Not on a command line: a URL may have a password in it."""
        values = {"PIP_INDEX_URL": self.index_url, "UV_DEFAULT_INDEX": self.index_url}
        if self.ca_bundle is not None:
            values |= {"PIP_CERT": str(self.ca_bundle), "SSL_CERT_FILE": str(self.ca_bundle)}
        return {name: value for name, value in values.items() if value}


def fetch_wheels(
    requirements: Sequence[str], python: TargetPython, index: IndexSettings, folder: Path, log: Callable[[str], None]
) -> None:
    """Puts wheels of the requirements and of all they need into a folder.

    Raises:
        LocalAmlError: ``IMAGE_BUILD_FAILED`` with pip's words; ``UV_NOT_FOUND``.
    """
    # uv brings pip: the environment of an emulator does not always have one.
    words = [_uv(), "run", "--quiet", "--no-project", "--isolated", "--python", sys.executable, "--with", "pip"]
    words += ["python", "-m", "pip", "download", "--disable-pip-version-check", "--progress-bar", "off"]
    words += ["--only-binary", ":all:", "--implementation", "cp", "--python-version", python.version]
    for platform in python.platforms():
        words += ["--platform", platform]
    words += ["--dest", str(folder), *requirements]
    run_program(words, log, cwd=folder, environment=index.variables())


def tar_of_folder(folder: Path, name: str, tar: tarfile.TarFile) -> None:
    """Adds a folder's files to a tar below `name`, as root's and readable by all."""

    def plain(entry: tarfile.TarInfo) -> tarfile.TarInfo:
        entry.uid = entry.gid = 0
        entry.uname = entry.gname = ""
        entry.mode = 0o755 if entry.isdir() else 0o644
        return entry

    tar.add(folder, name, filter=plain)


def _uv() -> str:
    try:
        from uv import find_uv_bin

        return str(find_uv_bin())
    except (ImportError, FileNotFoundError):
        found = shutil.which("uv")
    if found is None:
        raise FailedPrecondition(
            "UV_NOT_FOUND", "uv, which brings pip for the image, is not installed: pip install uv."
        )
    return found
