"""What a run's containers are to be like, where its nodes are containers. Pure."""

from __future__ import annotations

from dataclasses import replace

from localaml.compute.runtime import ContainerPlan
from localaml.domain.docker_arguments import DockerArguments, parse_docker_arguments
from localaml.domain.job import ContainerSpec


def wanted_container(spec: ContainerSpec) -> ContainerSpec:
    """What is asked of the engine for a run: what its arguments say of /dev/shm is in its place, and of the arguments
    those are left that concern the making of a container, in one form.

    Raises InvalidArgument, as `parse_docker_arguments` does.
    """
    arguments = parse_docker_arguments(spec.arguments)
    shm_size = arguments.shm_size_bytes or spec.shm_size_bytes
    return replace(spec, shm_size_bytes=shm_size, arguments=_limits(arguments))


def container_variables(spec: ContainerSpec, plan: ContainerPlan) -> dict[str, str]:
    """The variables that the processes of a container begin with, as under ``docker run``: the image's own, then those
    of the run's arguments."""
    return {**plan.environment, **parse_docker_arguments(spec.arguments).environment}


def _limits(arguments: DockerArguments) -> tuple[str, ...]:
    ulimits = sorted(arguments.ulimits, key=lambda limit: limit.name)
    return (
        *([f"--cpus={arguments.cpus:.9f}"] if arguments.cpus else ()),
        *([f"--memory={arguments.memory_bytes}"] if arguments.memory_bytes else ()),
        *(f"--ulimit={limit.name}={limit.soft}:{limit.hard}" for limit in ulimits),
    )
