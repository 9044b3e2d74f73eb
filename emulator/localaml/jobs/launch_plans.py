"""From a run that is ready on its nodes to the plan of its launch."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace

from localaml.compute.runtime import Bind, LaunchPlan, NodeSpec, ProcessSpec
from localaml.domain.job import JobSpec
from localaml.domain.models import Run, RunKey
from localaml.domain.roles import roles_of
from localaml.jobs.containers import container_variables
from localaml.jobs.data import PreparedData
from localaml.jobs.datasets import PreparedDatasets
from localaml.jobs.environments.contract import PreparedEnvironment
from localaml.jobs.job_tools import JobTools, run_label
from localaml.jobs.job_variables import inherited, job_variables
from localaml.jobs.role_variables import nodes_with_addresses, role_variables
from localaml.paths import RunPaths


def bare_plan(key: RunKey, spec: JobSpec, nodes: Sequence[NodeSpec], paths: RunPaths, tools: JobTools) -> LaunchPlan:
    """What is known of a launch without its preparation: enough to adopt processes that are there."""
    return LaunchPlan(
        label=run_label(key),
        launch=spec.launch,
        nodes=tuple(nodes),
        processes_per_node=spec.processes_per_node,
        argv=(),
        environment={},
        processes=tuple(ProcessSpec(role) for role in roles_of(spec)),
        run_dir=paths.root,
        launch_timeout_seconds=tools.settings.launch_timeout_seconds,
    )


def launch_plan(
    run: Run,
    spec: JobSpec,
    nodes: Sequence[NodeSpec],
    paths: RunPaths,
    tools: JobTools,
    *,
    environment: PreparedEnvironment,
    data: PreparedData,
    datasets: PreparedDatasets,
    attempt: int,
) -> LaunchPlan:
    """The plan of a launch. Raises ResourceExhausted ``NO_FREE_PORTS``."""
    container = environment.container
    base = inherited(tools.base_environment)
    if container is not None:
        # As whoever logs in: root has a home in every image, others have theirs where they may write.
        user = tools.settings.docker.user.partition(":")[0] or str(os.getuid())
        base = {"HOME": "/root" if user == "0" else str(paths.tmp), **container_variables(spec.container, container)}
    variables = job_variables(
        run,
        base=base,
        connection=tools.connection(run.key),
        bin_dir=environment.bin_dir,
        python_path=(tools.job_sdk, paths.work),
        host_names=[node.host_name for node in nodes],
        rendezvous=tools.runtime.free_addresses(nodes[:1])[0],
        work_dir=paths.work,
        data={**data.variables, **datasets.variables},
        environment={**environment.variables, "LOCALAML_ATTEMPT": str(attempt)},
        user=spec.environment_variables,
    )
    roles = roles_of(spec)
    addresses = tools.runtime.free_addresses([nodes[number] for number in nodes_with_addresses(roles)])
    parts = role_variables(roles, variables, addresses, tools.runtime.network_interface(nodes))

    def argv(part: Mapping[str, str]) -> tuple[str, ...]:
        # Arguments may hold what only the process has: `$AZ_BATCHAI_TASK_INDEX`.
        return _argv(spec, environment, data, datasets, {**variables, **part})

    if container is not None:
        from localaml.compute.docker.images import with_binds

        # Those of the run's own folder are the runtime's to make.
        binds = [Bind(tools.job_sdk), *(Bind(folder, writable=True) for folder in data.folders)]
        container = with_binds(container, [*binds, *map(Bind, data.read_only)])
    return replace(
        bare_plan(run.key, spec, nodes, paths, tools),
        argv=argv({}),
        environment=variables,
        processes=tuple(ProcessSpec(role, part, argv(part)) for role, part in zip(roles, parts, strict=True)),
        open_mpi_prefix=environment.open_mpi_prefix,
        container=container,
        read_only=data.read_only,
    )


def _argv(
    spec: JobSpec,
    environment: PreparedEnvironment,
    data: PreparedData,
    datasets: PreparedDatasets,
    variables: Mapping[str, str],
) -> tuple[str, ...]:
    command = [data.substitute(word, variables) for word in spec.command]
    arguments = [data.substitute(word, variables) for word in spec.arguments]
    words = (*(command or (str(environment.python), spec.script)), *arguments)
    return tuple(datasets.substitute(word) for word in words)
