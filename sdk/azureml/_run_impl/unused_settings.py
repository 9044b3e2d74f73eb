"""Settings of a run configuration that mean nothing to LocalAML: none of them goes by in silence.

Two kinds. What would change a run on Azure's clusters and cannot be done here is refused by name. What changes nothing
on them either as the run is configured (settings of Spark for a run without Spark), or is only a way to get to the
same result, is accepted, and the run's warnings name it. What a setting means is said by azureml-core 1.61
(`azureml.core.runconfig`, `azureml.core.environment`).
"""

from typing import TYPE_CHECKING, Any, Dict, Iterator, List, Mapping, Tuple

from azureml._localaml.unsupported import unsupported

if TYPE_CHECKING:
    from azureml.core.environment import Environment
    from azureml.core.runconfig import RunConfiguration

# What Azure's own run configurations begin with.
_SPARK_DEFAULTS = {"spark.app.name": "Azure ML Experiment", "spark.yarn.maxAppAttempts": 1}
_MPI = ("mpi", "intelmpi", "openmpi")
_RENDEZVOUS = ("nccl", "gloo")
# Attribute, whether it is set, the reason.
_Setting = Tuple[str, bool, str]


def refuse_unsupported(config: "RunConfiguration") -> None:
    """Raises UserErrorException (reason ``NOT_SUPPORTED``) for a setting that Azure follows and LocalAML cannot."""
    for name, is_set, instead in _refused(config):
        if is_set:
            raise unsupported("RunConfiguration.{}".format(name), instead)


def settings_without_effect(config: "RunConfiguration") -> Dict[str, str]:
    """What is set and changes nothing: the attribute's name and why. For the warnings of the run."""
    found = (*_of_run(config), *_of_distribution(config), *_of_environment(config.environment))
    return {name: reason for name, is_set, reason in found if is_set}


def _refused(config: "RunConfiguration") -> "Iterator[_Setting]":
    for name in ("datacaches", "output_data", "services"):
        yield name, bool(getattr(config, name)), "Use data_references."
    yield "priority", config.priority is not None, "Runs of a cluster start in the order of their submission."
    yield (
        "auto_cluster_compute_specification",
        bool(config.auto_cluster_compute_specification),
        "Make a cluster, and set it as the target.",
    )
    yield (
        "credential_passthrough",
        bool(config.credential_passthrough),
        "Nobody logs in here; a job has a token for its own run.",
    )
    environment = config.environment
    docker = environment.docker
    yield (
        "environment.docker.build_context",
        docker.build_context is not None,
        "Give the Dockerfile's text in docker.base_dockerfile, or name a ready image in docker.base_image.",
    )
    yield "environment.docker.platform", not _is_ordinary(docker.platform), "Images are those of Linux on amd64."
    registry = docker.base_image_registry
    yield (
        "environment.docker.base_image_registry.registry_identity",
        bool(registry is not None and _values(getattr(registry, "registry_identity", None))),
        "Give the registry's username and password.",
    )
    yield "environment.r", environment.r is not None, "Run the script with Python."


def _of_run(config: "RunConfiguration") -> "Iterator[_Setting]":
    yield "auto_prepare_environment", config.auto_prepare_environment is False, "environments are always prepared"
    spark = dict(config.spark.configuration or {})
    yield "spark", any(spark[key] != _SPARK_DEFAULTS.get(key) for key in spark), "the run does not use Spark"
    yield "hdi", str(config.hdi.yarn_deploy_mode or "cluster").lower() != "cluster", "the target is not HDInsight"
    parallel = config.paralleltask
    yield (
        "paralleltask",
        bool(parallel.max_retries_per_worker or parallel.terminal_exit_codes)
        or parallel.worker_count_per_node not in (None, 1),
        "the communicator is not ParallelTask",
    )
    yield "kubernetescompute", bool(config.kubernetescompute.instance_type), "the target is not Kubernetes"
    history = config.history
    yield (
        "history.snapshot_project",
        not history.snapshot_project,
        "the code travels as a snapshot, which stays with the run",
    )
    yield "history.directories_to_watch", not history.directories_to_watch, "without any folder, logs is watched"
    yield (
        "source_directory_data_store",
        bool(config.source_directory_data_store),
        "the code travels through the emulator",
    )
    cluster = config.amlcompute
    if config.target != "amlcompute":
        yield "amlcompute", bool(_values(cluster)), "the target is not 'amlcompute'"
    else:
        yield "amlcompute.name", bool(cluster._name), "the run's own cluster gets its name from the run"
        yield (
            "amlcompute.cluster_max_node_count",
            bool(cluster._cluster_max_node_count),
            "the run's own cluster has the nodes of the run",
        )
    yield "docker.shared_volumes", not config.docker.shared_volumes, "folders are always shared with containers"


def _of_distribution(config: "RunConfiguration") -> "Iterator[_Setting]":
    communicator = str(config.communicator or "None").lower()
    of_others = "the communicator is {}".format(config.communicator or "None")
    for name in ("mpi", "pytorch"):
        count = getattr(config, name).node_count
        yield (
            "{}.node_count".format(name),
            count not in (None, 1, config.node_count),
            "the run has as many nodes as RunConfiguration.node_count says: {}".format(config.node_count),
        )
    # With one process and no communicator the emulator refuses more processes.
    yield (
        "mpi.process_count_per_node",
        communicator not in (*_MPI, "none") and config.mpi.process_count_per_node not in (None, 1),
        of_others,
    )
    yield (
        "pytorch.process_count",
        communicator not in _RENDEZVOUS and config.pytorch.process_count is not None,
        of_others,
    )
    yield (
        "pytorch.communication_backend",
        # Nccl is what it says by itself.
        str(config.pytorch.communication_backend or "nccl").lower() not in ("nccl", communicator),
        of_others,
    )
    for name in ("worker_count", "parameter_server_count"):
        value = getattr(config.tensorflow, name)
        yield "tensorflow.{}".format(name), communicator != "parameterserver" and value not in (None, 1), of_others


def _of_environment(environment: "Environment") -> "Iterator[_Setting]":
    python = environment.python
    if python.user_managed_dependencies:
        yield (
            "environment.python.conda_dependencies",
            python.conda_dependencies is not None and _has_packages(python.conda_dependencies),
            "with user_managed_dependencies nothing is installed",
        )
    else:
        yield (
            "environment.python.interpreter_path",
            python.interpreter_path not in (None, "", "python"),
            "it counts with user_managed_dependencies only",
        )
    section = environment.spark
    spark = section is not None and (section.repositories or section.packages or not section.precache_packages)
    yield "environment.spark", bool(spark), "the run does not use Spark"
    yield "environment.databricks", bool(_values(environment.databricks)), "the target is not Databricks"
    yield (
        "environment.inferencing_stack_version",
        bool(environment.inferencing_stack_version),
        "it is for web services",
    )
    yield (
        "environment.docker.shared_volumes",
        not environment.docker.shared_volumes,
        "folders are always shared with containers",
    )


def _has_packages(dependencies: Any) -> bool:
    from azureml.core.conda_dependencies import CondaDependencies

    named: List[str] = [*dependencies.conda_packages, *dependencies.pip_packages]
    return not set(named) <= set(CondaDependencies().pip_packages)


def _is_ordinary(platform: Any) -> bool:
    values = _values(platform)
    return values.get("os", "linux").lower() == "linux" and values.get("architecture", "amd64").lower() == "amd64"


def _values(element: Any) -> Dict[str, Any]:
    """What is set in an element of a configuration, or in what a file had in its place."""
    content = element._to_dict() if hasattr(element, "_to_dict") else element
    return {key: value for key, value in content.items() if value} if isinstance(content, Mapping) else {}
