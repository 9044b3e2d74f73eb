"""Runs the cases of `bad_arguments.json` and tells what each raises. Runs with Python 3.9, and with either SDK.

A case is one line of code with a mistake in it. `raises` is the name of the exception class that Microsoft's client
raised for it, as observed from outside; where ours does otherwise on purpose, `ours` and `why` say so.
"""

from __future__ import annotations

import importlib
import json
import os
from pathlib import Path
from typing import Any

FILE = Path(__file__).with_name("bad_arguments.json")

_IMPORTS = {
    "azureml.core": (
        "ComputeTarget Datastore Environment Experiment Run RunConfiguration ScriptRunConfig Workspace get_run"
    ),
    "azureml.core.authentication": "ArmTokenAuthentication ServicePrincipalAuthentication",
    "azureml.core.compute": "AmlCompute",
    "azureml.core.conda_dependencies": "CondaDependencies",
    "azureml.core.container_registry": "ContainerRegistry",
    "azureml.core.environment": "DockerBuildContext",
    "azureml.core.runconfig": (
        "DataReferenceConfiguration DockerConfiguration MpiConfiguration PyTorchConfiguration TensorflowConfiguration"
    ),
    "azureml.data.data_reference": "DataReference",
    "azureml.data.datapath": "DataPath DataPathComputeBinding",
    "azureml.exceptions": (
        "ActivityFailedException ComputeTargetException RunConfigurationException TrainingException UserErrorException"
    ),
    "azureml.train.dnn": "Chainer Gloo Mpi Nccl ParameterServer PyTorch TensorFlow",
    "azureml.train.estimator": "Estimator",
    "azureml.train.hyperdrive": (
        "BanditPolicy BayesianParameterSampling GridParameterSampling HyperDriveConfig HyperDriveRun "
        "HyperDriveRunConfig MedianStoppingPolicy NoTerminationPolicy PrimaryMetricGoal RandomParameterSampling "
        "TruncationSelectionPolicy choice lognormal loguniform normal qlognormal qloguniform qnormal quniform randint "
        "uniform"
    ),
    "azureml.train.sklearn": "SKLearn",
}
_FILES = {
    "train.py": "print(1)\n",
    "conda.yml": "name: x\ndependencies:\n- numpy\n",
    "requirements.txt": "numpy\n",
    "garbage.yml": "}{: [\n",
    "garbage.runconfig": "}{: [\n",
    "garbage.json": "}{",
    "incomplete.json": '{"subscription_id": "s"}',
    "list.json": "[1]",
    "existing/azureml_environment.json": "{}",
}


def cases() -> dict[str, dict[str, str]]:
    """The cases by their id."""
    found: dict[str, dict[str, str]] = json.loads(FILE.read_text("utf-8"))["cases"]
    return found


def prepare(folder: Path) -> None:
    """Makes the files that cases name, and makes the folder the current one."""
    for name in ("empty", "existing"):
        (folder / name).mkdir()
    for name, text in _FILES.items():
        (folder / name).write_text(text, "utf-8")
    os.chdir(folder)


def names(**more: Any) -> dict[str, Any]:
    """What a case's code may use: the SDK's names, and `more` (`ws`, `ds`, `auth`)."""
    found = {
        name: getattr(importlib.import_module(module), name)
        for module, listed in _IMPORTS.items()
        for name in listed.split()
    }
    return {**found, **more}


def outcome(code: str, space: dict[str, Any]) -> str | None:
    """The name of the class of what the code raises, or None."""
    try:
        exec(code, dict(space))
    except Exception as error:
        return type(error).__name__
    return None
