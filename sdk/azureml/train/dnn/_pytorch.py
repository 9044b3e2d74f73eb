"""`PyTorch`: a training script with PyTorch."""

from typing import TYPE_CHECKING, Any, Mapping, Optional, Sequence

from azureml.train._distributed_training import Gloo, Mpi, Nccl, _DistributedTraining
from azureml.train._framework_packages import PYTORCH
from azureml.train.estimator._configuration import given
from azureml.train.estimator._distribution import Backends
from azureml.train.estimator._framework_base_estimator import _FrameworkBaseEstimator

if TYPE_CHECKING:
    from azureml.core.container_registry import ContainerRegistry
    from azureml.core.environment import Environment


class PyTorch(_FrameworkBaseEstimator):
    """A training script with PyTorch.

    Args:
        distributed_backend: ``mpi``, ``gloo`` or ``nccl``.
        distributed_training: ``Mpi(...)``, ``Gloo()`` or ``Nccl()``.
        use_gpu: accepted; the packages are those for CPUs.
        framework_version: one of `get_supported_versions()`: exactly this one is installed, on a Python that it exists
            for. Default: the newest that this machine's Python can have. See docs/frameworks.md.
        The rest: see `azureml.train.estimator.Estimator`.

    Raises:
        TrainingException: arguments that are missing, wrong or exclude each other.
    """

    FRAMEWORK_NAME = "PyTorch"
    DEFAULT_VERSION = PYTORCH.azures_default
    _FRAMEWORK = PYTORCH
    _BACKENDS = Backends(("mpi", "gloo", "nccl"), (Mpi, Gloo, Nccl))

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
        framework_version: Optional[str] = None,
        _enable_optimized_mode: bool = False,
        _disable_validation: bool = True,
        _show_lint_warnings: bool = False,
        _show_package_warnings: bool = False,
    ) -> None:
        super().__init__(given(locals()))
