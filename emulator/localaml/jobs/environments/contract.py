"""What preparing a Python environment takes and gives."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from localaml.compute.runtime import ContainerPlan
from localaml.domain.job import ContainerSpec, PythonEnvironmentSpec


@dataclass(frozen=True, slots=True)
class PreparedEnvironment:
    """A Python that is ready to run a job.

    Attributes:
        python: absolute path of the interpreter.
        python_version: ``(3, 11)``.
        variables: environment variables that go with it (``PATH`` prefix is `bin_dir`, set by the caller).
        built: whether anything was built just now (then the log is worth keeping as ``20_image_build_log.txt``).
        open_mpi_prefix: root of the Open MPI to use with it, when the spec asked for MPI.
        container: the container that it is made for; None: for this machine.
    """

    python: Path
    python_version: tuple[int, int]
    bin_dir: Path
    variables: Mapping[str, str] = field(default_factory=dict)
    built: bool = False
    open_mpi_prefix: Path | None = None
    container: ContainerPlan | None = None


class EnvironmentBuilder(Protocol):
    """Makes and caches environments."""

    async def prepare(
        self,
        spec: PythonEnvironmentSpec,
        *,
        mpi: bool,
        log: Callable[[str], None],
        container: ContainerSpec | None = None,
    ) -> PreparedEnvironment:
        """Returns the environment of `spec`, building it when it is not in the cache. `log` gets the build log line
        by line. Safe to call at the same time from several tasks and several emulators on one cache; a cancelled call
        leaves nothing half-built.

        Args:
            container: the environment is for a container of this image; None: for this machine.

        Raises:
            InvalidArgument: ``ENVIRONMENT_INVALID``: the spec cannot be read, or asks for what cannot be had, by name.
            FailedPrecondition: ``ENVIRONMENT_BUILD_FAILED`` with the resolver's own reason in the message;
                ``PYTHON_NOT_FOUND`` when no interpreter of the wanted version exists.
        """
        ...
