"""`SKLearn`: a training script with scikit-learn, on one node."""

from typing import TYPE_CHECKING, Any, Mapping, Optional, Sequence

from azureml.train._framework_packages import SCIKIT_LEARN
from azureml.train.estimator._configuration import given
from azureml.train.estimator._distribution import Backends
from azureml.train.estimator._framework_base_estimator import _FrameworkBaseEstimator

if TYPE_CHECKING:
    from azureml.core.container_registry import ContainerRegistry
    from azureml.core.environment import Environment


class SKLearn(_FrameworkBaseEstimator):
    """A training script with scikit-learn, on one node.

    Args:
        framework_version: one of `get_supported_versions()`: exactly this one is installed, on a Python that it exists
            for. Default: the newest that this machine's Python can have. See docs/frameworks.md.
        The rest: see `azureml.train.estimator.Estimator`.

    Raises:
        TrainingException: arguments that are missing, wrong or exclude each other.
    """

    FRAMEWORK_NAME = "SKLearn"
    DEFAULT_VERSION = SCIKIT_LEARN.azures_default
    _FRAMEWORK = SCIKIT_LEARN
    _BACKENDS = Backends()

    def __init__(
        self,
        source_directory: str,
        *,
        compute_target: Any = None,
        vm_size: Optional[str] = None,
        vm_priority: Optional[str] = None,
        entry_script: Optional[str] = None,
        script_params: Optional[Mapping[str, Any]] = None,
        use_docker: bool = True,
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
