"""What a run definition, or a registered environment, says about its Python."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from google.protobuf import json_format

from localaml.domain.job import Launch, PythonEnvironmentSpec
from localaml.errors import InvalidArgument, LocalAmlError
from localaml_proto.v1 import run_definition_pb2


def python_environment(
    python: run_definition_pb2.PythonSection, launch: Launch = Launch.SINGLE
) -> PythonEnvironmentSpec:
    """The Python of a run that is launched this way. Raises InvalidArgument ``ENVIRONMENT_INVALID``."""
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


def _check_conda(conda: Mapping[str, Any]) -> None:
    def bad(why: str) -> LocalAmlError:
        return InvalidArgument("ENVIRONMENT_INVALID", f"The conda dependencies cannot be read: {why}.")

    dependencies = conda.get("dependencies") or []
    if not isinstance(dependencies, list):
        raise bad("'dependencies' is not a list")
    for item in dependencies:
        if isinstance(item, str):
            continue
        packages = item.get("pip") if isinstance(item, dict) and set(item) == {"pip"} else None
        if packages is None and isinstance(item, dict) and set(item) == {"pip"}:
            continue
        if not isinstance(packages, list) or not all(isinstance(package, str) for package in packages):
            raise bad(f"{str(item)[:100]!r} is neither a package nor a 'pip' list of packages")
