"""What a run definition, or a registered environment, says about its Python."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from google.protobuf import json_format

from localaml.domain.job import Launch, PythonEnvironmentSpec
from localaml.domain.names import check_no_controls
from localaml.errors import InvalidArgument, LocalAmlError
from localaml_proto.v1 import run_definition_pb2


def python_environment(
    python: run_definition_pb2.PythonSection, launch: Launch = Launch.SINGLE
) -> PythonEnvironmentSpec:
    """The Python of a run that is launched this way.

    Raises InvalidArgument ``ENVIRONMENT_INVALID``, ``CONTROL_CHARACTER``.
    """
    check_no_controls(python.interpreter_path, "the path of an interpreter")
    if python.user_managed_dependencies:
        return PythonEnvironmentSpec(user_managed=True, interpreter=python.interpreter_path or "python")
    conda: Mapping[str, Any] = {}
    if python.HasField("conda_dependencies"):
        conda = json_format.MessageToDict(python.conda_dependencies)
        _check_conda(conda)
    return PythonEnvironmentSpec(
        interpreter=python.interpreter_path or "python",
        conda_dependencies=conda,
        extra_pip_packages=("mpi4py",) if launch is Launch.MPI else (),
    )


async def check_package_sources(spec: PythonEnvironmentSpec, folders: Sequence[Path], *, by_job: bool) -> None:
    """Reads the packages that are asked for as they will be read when the run is prepared.

    Args:
        folders: of this machine, from which packages may be taken.
        by_job: whether a job asks.

    Raises:
        InvalidArgument: ``ENVIRONMENT_INVALID``, ``CONTROL_CHARACTER``, ``ENVIRONMENT_VARIABLE_INVALID``.
        InvalidArgument or PermissionDenied: ``PACKAGE_FOLDER_NOT_ALLOWED``.
    """
    if spec.user_managed or not spec.conda_dependencies:
        return

    def read() -> None:
        # Loaded with the first environment, not at the start.
        from localaml.jobs.environments.package_folders import PackageFolders
        from localaml.jobs.environments.virtual_environments import read_request

        read_request(spec, PackageFolders(folders, by_job=by_job), mpi=False)

    await asyncio.to_thread(read)


def _check_conda(conda: Mapping[str, Any]) -> None:
    def bad(why: str) -> LocalAmlError:
        return InvalidArgument("ENVIRONMENT_INVALID", f"The conda dependencies cannot be read: {why}.")

    dependencies = conda.get("dependencies") or []
    if not isinstance(dependencies, list):
        raise bad("'dependencies' is not a list")
    for item in dependencies:
        if isinstance(item, str):
            check_no_controls(item.strip(), "a package")
            continue
        packages = item.get("pip") if isinstance(item, dict) and set(item) == {"pip"} else None
        if packages is None and isinstance(item, dict) and set(item) == {"pip"}:
            continue
        if not isinstance(packages, list) or not all(isinstance(package, str) for package in packages):
            raise bad(f"{str(item)[:100]!r} is neither a package nor a 'pip' list of packages")
        for package in packages:
            check_no_controls(package.strip(), "a package")
