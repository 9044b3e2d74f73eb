"""`Estimator`: any training script."""

from typing import TYPE_CHECKING, Any, Mapping, Optional, Sequence

from azureml._localaml.deprecation import warn_deprecated
from azureml.train._distributed_training import Gloo, Mpi, Nccl, ParameterServer, _DistributedTraining
from azureml.train.estimator._configuration import given, run_configuration
from azureml.train.estimator._distribution import Backends
from azureml.train.estimator._mml_base_estimator import MMLBaseEstimator

if TYPE_CHECKING:
    from azureml.core.container_registry import ContainerRegistry
    from azureml.core.environment import Environment

_BACKENDS = Backends(("mpi",), (Mpi, ParameterServer, Gloo, Nccl))


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
        distributed_training: ``Mpi(...)``, ``ParameterServer(...)``, ``Gloo()`` or ``Nccl()``.
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
        inputs: DataReference objects that the script finds by ``AZUREML_DATAREFERENCE_<name>``, and named datasets
            (``dataset.as_named_input(name)``) that it finds by ``run.input_datasets[name]``.
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
        image_registry_details: "Optional[ContainerRegistry]" = None,
        user_managed: bool = False,
        conda_packages: Optional[Sequence[str]] = None,
        pip_packages: Optional[Sequence[str]] = None,
        conda_dependencies_file_path: Optional[str] = None,
        pip_requirements_file_path: Optional[str] = None,
        conda_dependencies_file: Optional[str] = None,
        pip_requirements_file: Optional[str] = None,
        environment_variables: Optional[Mapping[str, str]] = None,
        environment_definition: "Optional[Environment]" = None,
        inputs: Optional[Sequence[Any]] = None,
        source_directory_data_store: Any = None,
        shm_size: Optional[str] = None,
        resume_from: Any = None,
        max_run_duration_seconds: Optional[int] = None,
        _disable_validation: bool = True,
        _show_lint_warnings: bool = False,
        _show_package_warnings: bool = False,
    ) -> None:
        arguments = given(locals())
        warn_deprecated("Estimator", "ScriptRunConfig")
        config = run_configuration(arguments, _BACKENDS, "Estimator")
        super().__init__(source_directory, compute_target=compute_target or config.target, estimator_config=config)
