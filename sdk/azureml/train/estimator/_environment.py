"""From an estimator's arguments on packages and images to an environment."""

import os
from typing import TYPE_CHECKING, Any, List, Mapping, Optional, Sequence

from azureml.core.conda_dependencies import CondaDependencies
from azureml.core.environment import DEFAULT_CPU_IMAGE, DEFAULT_GPU_IMAGE, Environment
from azureml.core.runconfig import EnvironmentDefinition

if TYPE_CHECKING:
    from azureml.core.container_registry import ContainerRegistry


# Other names under which a package brings the same along.
_SAME = {
    "tensorflow": ("tensorflow-gpu", "tensorflow-cpu", "tf-nightly"),
    "torch": ("pytorch",),
    "scikit-learn": ("sklearn",),
}


class EnvironmentArguments:
    """The arguments of an estimator that say what the job runs in; names as in the estimator's signature.

    Args:
        default_packages: pip packages to add to a new environment, unless the others name them.
        default_python: the version of Python that goes with them, unless the others name one.
    """

    def __init__(
        self,
        use_gpu: bool,
        use_docker: bool,
        custom_docker_image: Optional[str],
        image_registry_details: "Optional[ContainerRegistry]",
        user_managed: bool,
        conda_packages: Optional[Sequence[str]],
        pip_packages: Optional[Sequence[str]],
        conda_dependencies_file: Optional[str],
        pip_requirements_file: Optional[str],
        environment_variables: Optional[Mapping[str, str]],
        environment_definition: Optional[Environment],
        shm_size: Optional[str],
        default_packages: Sequence[str] = (),
        default_python: Optional[str] = None,
    ) -> None:
        self.use_gpu = use_gpu
        self.use_docker = use_docker
        self.custom_docker_image = custom_docker_image
        self.image_registry_details = image_registry_details
        self.user_managed = user_managed
        self.conda_packages = conda_packages
        self.pip_packages = pip_packages
        self.conda_dependencies_file = conda_dependencies_file
        self.pip_requirements_file = pip_requirements_file
        self.environment_variables = environment_variables
        self.environment_definition = environment_definition
        self.shm_size = shm_size
        self.default_packages = default_packages
        self.default_python = default_python

    def make(self, source_directory: str) -> Environment:
        """The environment.

        Raises:
            TrainingException: arguments that exclude each other.
            UserErrorException: a file that cannot be read, a package list that is none.
        """
        _check_lists(self)
        if self.environment_definition is not None:
            environment = self._from_definition(self.environment_definition)
        else:
            environment = self._new()
        if not environment.python.user_managed_dependencies:
            environment.python.conda_dependencies = self._packages(environment, source_directory)
        if self.environment_variables:
            environment.environment_variables = dict(
                environment.environment_variables or {},
                **{str(name): str(value) for name, value in self.environment_variables.items()},
            )
        if self.shm_size:
            environment.docker.shm_size = self.shm_size
        return environment

    def _new(self) -> Environment:
        environment = EnvironmentDefinition()
        docker = environment.docker
        docker.enabled = bool(self.use_docker)
        docker.gpu_support = bool(self.use_gpu)
        docker.base_image = self.custom_docker_image or (DEFAULT_GPU_IMAGE if self.use_gpu else DEFAULT_CPU_IMAGE)
        if self.image_registry_details is not None:
            docker.base_image_registry = self.image_registry_details
        if self.use_gpu:
            environment.environment_variables["NCCL_SOCKET_IFNAME"] = "^docker0"
        environment.python.user_managed_dependencies = bool(self.user_managed)
        return environment

    def _from_definition(self, definition: Environment) -> Environment:
        from azureml.exceptions import TrainingException

        if not isinstance(definition, Environment):
            raise TrainingException("environment_definition must be an Environment, not {!r}.".format(definition))
        excluded = [
            name
            for name in ("use_gpu", "custom_docker_image", "image_registry_details", "user_managed")
            if getattr(self, name)
        ]
        if excluded:
            raise TrainingException("environment_definition says it all; leave out {}.".format(", ".join(excluded)))
        return definition.clone(definition.name)  # type: ignore[arg-type]  # a definition of 1.0.8 has no name

    def _packages(self, environment: Environment, source_directory: str) -> CondaDependencies:
        if self.conda_dependencies_file:
            result = CondaDependencies(_in_source(self.conda_dependencies_file, source_directory))
        elif environment.python.conda_dependencies is not None:
            result = environment.python.conda_dependencies
        else:
            result = CondaDependencies()
        for package in self.conda_packages or ():
            result.add_conda_package(package)
        for package in self._pip(source_directory):
            if package.startswith("-"):
                result.set_pip_option(package)
            else:
                result.add_pip_package(package)
        if self.environment_definition is None:
            self._add_defaults(result)
        return result

    def _add_defaults(self, dependencies: CondaDependencies) -> None:
        from azureml._run_impl.requirements import package_key

        named = {package_key(package) for package in dependencies.conda_packages + dependencies.pip_packages}
        for package in self.default_packages:
            key = package_key(package)
            if named.isdisjoint((key, *_SAME.get(key, ()))):
                dependencies.add_pip_package(package)
        if self.default_python and dependencies.get_python_version() is None:
            dependencies.set_python_version(self.default_python)

    def _pip(self, source_directory: str) -> List[str]:
        from azureml._run_impl.requirements import read_requirements_file

        packages: List[str] = []
        if self.pip_requirements_file:
            packages += read_requirements_file(_in_source(self.pip_requirements_file, source_directory))
        return packages + list(self.pip_packages or ())


def _check_lists(arguments: "EnvironmentArguments") -> None:
    from azureml.exceptions import TrainingException, UserErrorException

    definition = arguments.environment_definition
    user_managed = arguments.user_managed or (
        isinstance(definition, Environment) and definition.python.user_managed_dependencies
    )
    for name in ("conda_packages", "pip_packages"):
        value: Any = getattr(arguments, name)
        if value is None:
            continue
        if isinstance(value, str) or not all(isinstance(package, str) and package.strip() for package in value):
            raise TrainingException("{} must be a list of package names, not {!r}.".format(name, value))
    if user_managed:
        given = [
            name
            for name in ("conda_packages", "pip_packages", "conda_dependencies_file", "pip_requirements_file")
            if getattr(arguments, name)
        ]
        if given:
            raise UserErrorException(
                "With user-managed dependencies nothing is installed; leave out {}.".format(", ".join(given))
            )
    if arguments.environment_variables is not None and not isinstance(arguments.environment_variables, Mapping):
        raise TrainingException("environment_variables must be a dict of name and value.")


def _in_source(path: str, source_directory: str) -> str:
    """Paths of package files are relative to the source folder, as in Azure; one in the current folder is found,
    too. Raises UserErrorException when there is no such file."""
    from azureml.exceptions import UserErrorException

    for place in (os.path.join(source_directory, path), path):
        if os.path.isfile(place):
            return place
    raise UserErrorException("The file of packages {} does not exist in {}.".format(path, source_directory))
