"""Settings of a run definition that are accepted and have no effect here: what the run's warnings say about them."""

from __future__ import annotations

from pathlib import Path

from localaml.domain.models import ErrorInfo
from localaml_proto.v1 import run_definition_pb2

# What Azure's SDK sets by itself; nobody wished for it.
_DEFAULT_IMAGES = ("mcr.microsoft.com/azureml/", "azureml/", "viennaprivate.azurecr.io/")
_DEFAULT_SHM_SIZES = ("", "1g", "2g")
# More, or longer, is nobody's configuration.
_MAX_NAMED = 50
_MAX_TEXT = 200
# There when a driver for NVIDIA's GPUs is loaded.
_GPU_DEVICE = Path("/dev/nvidiactl")


def definition_warnings(definition: run_definition_pb2.RunDefinition, docker_has_effect: bool) -> tuple[ErrorInfo, ...]:
    """The warnings, in no more than one sentence or two each.

    Args:
        docker_has_effect: whether nodes are containers; where they are processes, settings of images mean nothing.
    """
    warnings = []
    ignored = [] if docker_has_effect else _docker_settings(definition)
    if ignored:
        warnings.append(
            ErrorInfo(
                "DOCKER_SETTINGS_IGNORED",
                f"{', '.join(ignored)} {'has' if len(ignored) == 1 else 'have'} no effect: the run's nodes are "
                "processes of this machine, not containers. Its Python environment is made from its conda and pip "
                "packages.",
                {"settings": ", ".join(ignored)},
            )
        )
    if definition.communicator.lower() == "intelmpi":
        warnings.append(ErrorInfo("INTEL_MPI_REPLACED", "IntelMpi was asked for; the run is started with Open MPI."))
    warnings += _gpu_warnings(definition)
    if definition.communicator.lower() == "parameterserver":
        part = definition.tensorflow
        servers = part.parameter_server_count if part.HasField("parameter_server_count") else 1
        processes = (part.worker_count or 1) + servers
        if definition.node_count > processes:
            warnings.append(
                ErrorInfo(
                    "NODES_WITHOUT_PROCESSES",
                    f"{definition.node_count - processes} of the run's {definition.node_count} nodes have nothing to "
                    f"do: it has {processes} workers and parameter servers.",
                )
            )
    python = definition.environment.python
    if python.base_conda_environment and not python.user_managed_dependencies:
        warnings.append(
            ErrorInfo(
                "BASE_CONDA_ENVIRONMENT_IGNORED",
                f"base_conda_environment {python.base_conda_environment!r} has no effect: "
                "environments are made by pip.",
            )
        )
    if definition.amlcompute.retain_cluster and definition.target.lower() == "amlcompute":
        warnings.append(
            ErrorInfo("RETAIN_CLUSTER_IGNORED", "retain_cluster has no effect: the cluster goes with its run.")
        )
    return (*warnings, *_named_by_the_caller(definition))


def _named_by_the_caller(definition: run_definition_pb2.RunDefinition) -> list[ErrorInfo]:
    """What only the caller knows to be set, since a definition has no place for it."""
    named = sorted(definition.settings_without_effect.items())[:_MAX_NAMED]
    return [
        ErrorInfo(
            "SETTING_IGNORED",
            f"{name[:_MAX_TEXT]} has no effect: {reason[:_MAX_TEXT]}.",
            {"setting": name[:_MAX_TEXT]},
        )
        for name, reason in named
    ]


def _gpu_warnings(definition: run_definition_pb2.RunDefinition) -> list[ErrorInfo]:
    if _GPU_DEVICE.exists():
        return []
    warnings = []
    if definition.environment.docker.gpu_support:
        warnings.append(
            ErrorInfo("NO_GPU", "use_gpu was asked for, but this machine has no NVIDIA GPU: the run sees CPUs only.")
        )
    if definition.communicator.lower() == "nccl":
        warnings.append(
            ErrorInfo(
                "NCCL_WITHOUT_GPU",
                "Nccl was asked for, but this machine has no NVIDIA GPU. The processes are started all the same; which "
                "backend they use is what the script gives to init_process_group ('gloo' works on CPUs).",
            )
        )
    return warnings


def _docker_settings(definition: run_definition_pb2.RunDefinition) -> list[str]:
    section, newer = definition.environment.docker, definition.docker
    image = section.base_image.lower()
    shm_sizes = {section.shm_size.lower(), newer.shm_size.lower()}
    wished = {
        "base_image": bool(image) and not image.startswith(_DEFAULT_IMAGES),
        "base_dockerfile": bool(section.base_dockerfile),
        "shm_size": not shm_sizes <= set(_DEFAULT_SHM_SIZES),
        "docker arguments": bool(section.arguments or newer.arguments),
        "base_image_registry": bool(section.base_image_registry.address),
    }
    return [
        f"{name} {section.base_image!r}" if name == "base_image" else name for name, is_set in wished.items() if is_set
    ]
