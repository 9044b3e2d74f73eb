"""Open MPI 4.1 under the names by which programs of Open MPI 1.8 to 3 ask for it.

CNTK 2.5, for one, was linked against `libmpi.so.12` and the C++ bindings `libmpi_cxx.so.1`. Version 4.1 still has their
functions, under the number 40. The wheel has no C++ bindings; those of a system's Open MPI 4 (Debian's `libopenmpi3`)
fit it. The loader looks here last, so what a job brings along comes first.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sysconfig
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from localaml.jobs.environments.open_mpi import OpenMpi

_LIBRARY, _OLDER = "libmpi.so.40", ("libmpi.so.12", "libmpi.so.20")
_BINDINGS, _OLDER_BINDINGS = "libmpi_cxx.so.40", ("libmpi_cxx.so.1", "libmpi_cxx.so.20", "libmpi_cxx.so.40")
_LOADER = "LD_LIBRARY_PATH"


def system_folders() -> tuple[Path, ...]:
    """Where a Linux system has the libraries of its own Open MPI."""
    multiarch = sysconfig.get_config_var("MULTIARCH") or f"{os.uname().machine}-linux-gnu"
    return (Path("/usr/lib") / multiarch, Path("/usr/lib64/openmpi/lib"), Path("/usr/lib64"), Path("/usr/lib"))


def with_older_names(cache_dir: Path, found: OpenMpi, folders: Sequence[Path]) -> OpenMpi:
    """The same Open MPI, whose variables also lead to a folder with the older names; made when it is missing.

    Args:
        cache_dir: absolute.
        folders: where the C++ bindings may be, beside the installation itself.
    """
    library = found.prefix / "lib" / _LIBRARY
    if not library.exists():
        return found
    bindings = next((each for folder in (library.parent, *folders) if (each := folder / _BINDINGS).exists()), None)
    links = dict.fromkeys(_OLDER, library)
    # The library looks for its neighbours beside the name by which it was found.
    links["openmpi"] = library.parent / "openmpi"
    if bindings is not None:
        links.update(dict.fromkeys(_OLDER_BINDINGS, bindings))
    key = hashlib.sha256("\n".join(f"{name} {target}" for name, target in sorted(links.items())).encode()).hexdigest()
    folder = cache_dir / "open-mpi" / f"names-{key[:12]}"
    if not folder.is_dir():
        _make(folder, links)
    before = found.variables.get(_LOADER)
    return replace(found, variables={**found.variables, _LOADER: f"{before}:{folder}" if before else str(folder)})


def _make(folder: Path, links: dict[str, Path]) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(dir=folder.parent, prefix=".partial-"))
    try:
        partial.chmod(0o755)
        for name, target in links.items():
            (partial / name).symlink_to(target)
        # Somebody else may have been faster.
        with suppress(OSError):
            partial.rename(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
