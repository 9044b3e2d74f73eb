"""`Estimator`: any training script."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Dict, List, Mapping, Optional, Sequence

from azureml._run_impl.arguments import add_reference, flatten_script_params, is_data_reference, is_datastore
from azureml._run_impl.definition import target_name
from azureml.core.runconfig import RunConfiguration
from azureml.train._checks import count, one_of
from azureml.train._distributed_training import Mpi, _DistributedTraining
from azureml.train.estimator._environment import EnvironmentArguments
from azureml.train.estimator._mml_base_estimator import MMLBaseEstimator

if TYPE_CHECKING:
    from azureml.core.container_registry import ContainerRegistry
    from azureml.core.environment import Environment

_LOGGER = logging.getLogger("azureml.train.estimator")
_RESUME_NAME = "MODEL_LOCATION"
_RESUME_FLAG = "--resume-from"


class Estimator(MMLBaseEstimator):
    """A training script with its target, environment, data and distribution.

    Args:
        source_directory: folder with the code; all of it travels to the job.
        compute_target: a ComputeTarget, its name, or ``local``.
        vm_size: without a compute target: a cluster of this size is made for the run.
        vm_priority: of that cluster: ``dedicated`` (default) or ``lowpriority``.
        entry_script: the script's path inside the source folder.
        script_params: ``{'--flag': value}``; a value may be a DataReference or a datastore (mounted); None and ''
            leave the flag alone.
        node_count: nodes; more than one needs `distributed_training` or `distributed_backend`.
        process_count_per_node: processes on each node (deprecated: ``Mpi(process_count_per_node=...)``).
        distributed_backend: ``mpi`` (deprecated: `distributed_training`).
        distributed_training: ``Mpi(...)``.
        use_gpu: take the GPU image; jobs run on what the node has.
        use_docker: run in containers where the emulator's nodes are containers.
        custom_docker_base_image: the old name of `custom_docker_image`.
        custom_docker_image: image to run in.
        image_registry_details: its registry, when private.
        user_managed: take the node's Python as it is, install nothing.
        conda_packages, pip_packages: packages to install.
        conda_dependencies_file_path, pip_requirements_file_path: old names of the next two.
        conda_dependencies_file: conda environment file in the source folder.
        pip_requirements_file: requirements file in the source folder.
        environment_variables: variables of the script.
        environment_definition: a complete environment, instead of the arguments on images.
        inputs: DataReference objects that the script finds by ``AZUREML_DATAREFERENCE_<name>``.
        source_directory_data_store: accepted; the code always travels through the emulator.
        shm_size: size of /dev/shm in containers, e.g. ``2g``.
        resume_from: DataPath with files of an earlier run; the script gets ``--resume-from <path>``.
        max_run_duration_seconds: the run is ended after so many seconds.

    Raises:
        TrainingException: arguments that are missing, wrong or exclude each other.
        UserErrorException: `inputs` or `resume_from` of a wrong type, a file of packages that is missing, packages
            for an environment that the user manages.
    """

    def __init__(
        self,
        source_directory: str,
        *,
        compute_target: Any = None,
        vm_size: Optional[str] = None,
        vm_priority: Optional[str] = None,
        entry_script: Optional[str] = None,
        script_params: Optional[Mapping[str, Any]] = None,
        node_count: int = 1,
        process_count_per_node: int = 1,
        distributed_backend: Optional[str] = None,
        distributed_training: Optional[_DistributedTraining] = None,
        use_gpu: bool = False,
        use_docker: bool = True,
        custom_docker_base_image: Optional[str] = None,
        custom_docker_image: Optional[str] = None,
        image_registry_details: Optional[ContainerRegistry] = None,
        user_managed: bool = False,
        conda_packages: Optional[Sequence[str]] = None,
        pip_packages: Optional[Sequence[str]] = None,
        conda_dependencies_file_path: Optional[str] = None,
        pip_requirements_file_path: Optional[str] = None,
        conda_dependencies_file: Optional[str] = None,
        pip_requirements_file: Optional[str] = None,
        environment_variables: Optional[Mapping[str, str]] = None,
        environment_definition: Optional[Environment] = None,
        inputs: Optional[Sequence[Any]] = None,
        source_directory_data_store: Any = None,
        shm_size: Optional[str] = None,
        resume_from: Any = None,
        max_run_duration_seconds: Optional[int] = None,
        _disable_validation: bool = True,
        _show_lint_warnings: bool = False,
        _show_package_warnings: bool = False,
    ) -> None:
        _LOGGER.warning("'Estimator' is deprecated. Use 'ScriptRunConfig' from 'azureml.core.script_run_config'.")
        _warn_old_names(
            custom_docker_base_image=("custom_docker_image", custom_docker_base_image),
            conda_dependencies_file_path=("conda_dependencies_file", conda_dependencies_file_path),
            pip_requirements_file_path=("pip_requirements_file", pip_requirements_file_path),
        )
        config = RunConfiguration(script=entry_script)
        config.script = entry_script  # type: ignore[assignment]  # none is refused at submit, with a text that says so
        _set_target(config, compute_target, vm_size, vm_priority)
        config.node_count = count(node_count, "node_count")
        _distribute(config, distributed_backend, distributed_training, process_count_per_node)
        environment = EnvironmentArguments(
            use_gpu=use_gpu,
            use_docker=use_docker,
            custom_docker_image=one_of(
                custom_docker_image, custom_docker_base_image, "custom_docker_image", "custom_docker_base_image"
            ),
            image_registry_details=image_registry_details,
            user_managed=user_managed,
            conda_packages=conda_packages,
            pip_packages=pip_packages,
            conda_dependencies_file=one_of(
                conda_dependencies_file,
                conda_dependencies_file_path,
                "conda_dependencies_file",
                "conda_dependencies_file_path",
            ),
            pip_requirements_file=one_of(
                pip_requirements_file, pip_requirements_file_path, "pip_requirements_file", "pip_requirements_file_path"
            ),
            environment_variables=environment_variables,
            environment_definition=environment_definition,
            shm_size=shm_size,
        )
        config.environment = environment.make(source_directory or ".")
        config.arguments = flatten_script_params(script_params or {}, config.data_references)
        for value in inputs or ():
            _add_input(config, value)
        if resume_from is not None:
            config.arguments += _resume(config, resume_from)
        if source_directory_data_store is not None:
            config.source_directory_data_store = target_name(source_directory_data_store)
        if max_run_duration_seconds is not None:
            config.max_run_duration_seconds = count(max_run_duration_seconds, "max_run_duration_seconds")
        super().__init__(source_directory, compute_target=compute_target or config.target, estimator_config=config)


def _set_target(
    config: RunConfiguration, compute_target: Any, vm_size: Optional[str], vm_priority: Optional[str]
) -> None:
    from azureml.exceptions import TrainingException

    if compute_target is None and not vm_size:
        raise TrainingException("Either compute_target or vm_size must be given.")
    if vm_priority is not None and str(vm_priority).lower() not in ("dedicated", "lowpriority"):
        raise TrainingException("vm_priority must be 'dedicated' or 'lowpriority', not {!r}.".format(vm_priority))
    if compute_target is not None:
        if not isinstance(compute_target, str) and not hasattr(compute_target, "name"):
            raise TrainingException(
                "compute_target must be a ComputeTarget or a name, not {!r}.".format(compute_target)
            )
        config.target = compute_target
        if config.target != "amlcompute":
            return
    config.target = "amlcompute"
    config.amlcompute.vm_size = vm_size
    config.amlcompute.vm_priority = vm_priority


def _distribute(
    config: RunConfiguration,
    backend: Optional[str],
    training: Optional[_DistributedTraining],
    process_count_per_node: int,
) -> None:
    from azureml._localaml.unsupported import unsupported
    from azureml.exceptions import TrainingException

    processes = count(process_count_per_node, "process_count_per_node")
    if backend is not None and training is not None:
        raise TrainingException("Give either distributed_training or distributed_backend, not both.")
    if training is not None:
        if not isinstance(training, _DistributedTraining):
            raise TrainingException("distributed_training must be Mpi(...), not {!r}.".format(training))
        if not isinstance(training, Mpi):
            raise unsupported("distributed_training={}()".format(type(training).__name__), "Use Mpi().")
        if processes != 1 and processes != training.process_count_per_node:
            raise TrainingException("process_count_per_node belongs to Mpi(process_count_per_node=...).")
        backend, processes = "mpi", training.process_count_per_node
    elif backend is not None:
        if str(backend).lower() != "mpi":
            raise TrainingException(
                "Unsupported distributed backend {!r}. Estimator knows the distributed backend 'mpi'.".format(backend)
            )
        backend = "mpi"
    elif config.node_count > 1 or processes > 1:
        raise TrainingException(
            "distributed_training (or distributed_backend='mpi') must be given when node_count or "
            "process_count_per_node is more than 1."
        )
    if backend:
        if config.node_count > 1 and config.target == "local":
            raise TrainingException("The target 'local' is one node; node_count > 1 needs an AmlCompute cluster.")
        config.framework, config.communicator = "Python", "Mpi"
        config.mpi.process_count_per_node = processes
        config.mpi.node_count = config.node_count


def _add_input(config: RunConfiguration, value: Any) -> None:
    from azureml.exceptions import UserErrorException

    if is_datastore(value):
        value = value.as_mount()
    if not is_data_reference(value):
        raise UserErrorException("inputs must hold DataReference objects, not {}.".format(type(value).__name__))
    add_reference(value, config.data_references)


def _resume(config: RunConfiguration, resume_from: Any) -> List[str]:
    from azureml.exceptions import UserErrorException

    if hasattr(resume_from, "create_data_reference"):
        resume_from = resume_from.create_data_reference(_RESUME_NAME)
    if not is_data_reference(resume_from):
        raise UserErrorException("resume_from must be a DataPath, not {}.".format(type(resume_from).__name__))
    return [_RESUME_FLAG, add_reference(resume_from, config.data_references)]


def _warn_old_names(**names: Any) -> None:
    used: Dict[str, str] = {old: new for old, (new, value) in names.items() if value is not None}
    for old, new in used.items():
        _LOGGER.warning("'%s' is deprecated. Please use '%s' instead.", old, new)
