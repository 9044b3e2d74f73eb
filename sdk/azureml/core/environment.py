"""`Environment`: the Python packages, variables and image in which a job runs."""

import copy
import json
import os
from enum import Enum
from typing import TYPE_CHECKING, Any, Dict, List, Optional

from azureml._localaml.unsupported import unsupported
from azureml._run_impl.config_element import ConfigElement, Field
from azureml._run_impl.dockerfiles import dockerfile_text
from azureml.core._environment_registry import EnvironmentRegistry, ImageBuildDetails
from azureml.core.conda_dependencies import CondaDependencies
from azureml.core.container_registry import ContainerRegistry

if TYPE_CHECKING:
    from azureml.core.workspace import Workspace

__all__ = [
    "DEFAULT_CPU_IMAGE",
    "DEFAULT_GPU_IMAGE",
    "CondaDependencies",
    "ContainerRegistry",
    "DockerBuildContext",
    "DockerImagePlatform",
    "DockerSection",
    "Environment",
    "ImageBuildDetails",
    "LocationType",
    "PythonSection",
    "RSection",
    "SparkPackage",
    "SparkSection",
]

DEFAULT_CPU_IMAGE = "mcr.microsoft.com/azureml/base:0.2.1"
DEFAULT_GPU_IMAGE = "mcr.microsoft.com/azureml/base-gpu:0.2.1"
_SAVED_NAME = "azureml_environment.json"
_SAVED_CONDA_NAME = "conda_dependencies.yml"


class PythonSection(ConfigElement):
    """Which Python a job gets."""

    _FIELDS = (
        Field("interpreter_path"),
        Field("user_managed_dependencies"),
        Field("conda_dependencies_file"),
        Field("base_conda_environment", attribute="_base_conda_environment"),
        Field("conda_dependencies"),
    )

    def __init__(self, **kwargs: Any) -> None:
        super().__init__()
        self.interpreter_path = "python"
        self.user_managed_dependencies = False
        self.conda_dependencies: Optional[CondaDependencies] = CondaDependencies()
        self._conda_dependencies_file: Optional[str] = None
        self._base_conda_environment: Optional[str] = kwargs.get("_base_conda_environment")
        self._seal()

    @property
    def conda_dependencies_file(self) -> Optional[str]:
        """A conda environment file; setting it reads it into `conda_dependencies`."""
        return self._conda_dependencies_file

    @conda_dependencies_file.setter
    def conda_dependencies_file(self, value: Optional[str]) -> None:
        self._conda_dependencies_file = value
        if value is not None and os.path.isfile(value):
            self.conda_dependencies = CondaDependencies(value)

    def _update(self, content: Dict[str, Any]) -> List[str]:
        unknown = super()._update(content)
        if isinstance(self.conda_dependencies, dict):
            self.conda_dependencies = CondaDependencies(_underlying_structure=self.conda_dependencies)
        return unknown


class DockerImagePlatform(ConfigElement):
    """Operating system and processor of an image."""

    _FIELDS = (Field("os"), Field("architecture"))

    def __init__(self) -> None:
        super().__init__()
        self.os = "Linux"
        self.architecture = "amd64"
        self._seal()


class LocationType(Enum):
    """Where a Docker build context lies."""

    Git = "git"
    StorageAccount = "storageaccount"


class DockerBuildContext(ConfigElement):
    """A Docker build context. Kept for signatures."""

    _FIELDS = (Field("location_type"), Field("location"), Field("dockerfile_path"))

    def __init__(
        self,
        location_type: "Optional[LocationType]" = None,
        location: Optional[str] = None,
        dockerfile_path: str = "Dockerfile",
    ) -> None:
        super().__init__()
        self.location_type = location_type
        self.location = location
        self.dockerfile_path = dockerfile_path
        self._seal()

    @staticmethod
    def from_local_directory(
        workspace: "Workspace", path: str, dockerfile_path: str = "Dockerfile"
    ) -> "DockerBuildContext":
        """Not supported."""
        raise unsupported("DockerBuildContext.from_local_directory", "Name a ready image with `docker.base_image`.")


class DockerSection(ConfigElement):
    """Which image a job runs in, where the emulator's nodes are containers."""

    _FIELDS = (
        Field("enabled"),
        Field("base_image"),
        Field("base_dockerfile"),
        Field("build_context", DockerBuildContext),
        Field("shared_volumes"),
        Field("gpu_support"),
        Field("shm_size"),
        Field("arguments"),
        Field("base_image_registry", ContainerRegistry),
        Field("platform", DockerImagePlatform),
    )

    def __init__(self, **kwargs: Any) -> None:
        super().__init__()
        self.enabled = False
        self.base_image: Optional[str] = DEFAULT_CPU_IMAGE
        self.base_dockerfile: Optional[str] = None
        self.build_context: Optional[DockerBuildContext] = None
        self.shared_volumes = True
        self.gpu_support = False
        self.shm_size: Optional[str] = None
        self.arguments: List[str] = []
        self.base_image_registry = ContainerRegistry()
        self.platform = DockerImagePlatform()
        self._seal()


class SparkPackage(ConfigElement):
    """A Maven package for Spark."""

    _FIELDS = (Field("group"), Field("artifact"), Field("version"))

    def __init__(
        self, group: Optional[str] = None, artifact: Optional[str] = None, version: Optional[str] = None
    ) -> None:
        super().__init__()
        self.group = group
        self.artifact = artifact
        self.version = version
        self._seal()


class SparkSection(ConfigElement):
    """Spark settings. Kept for signatures: LocalAML runs no Spark."""

    _FIELDS = (Field("repositories"), Field("packages"), Field("precache_packages"))

    def __init__(self, **kwargs: Any) -> None:
        super().__init__()
        self.repositories: List[str] = []
        self.packages: List[SparkPackage] = []
        self.precache_packages = True
        self._seal()


class RSection(ConfigElement):
    """R settings. Kept for signatures: LocalAML runs no R."""

    _FIELDS = tuple(
        Field(name)
        for name in (
            "r_version",
            "user_managed",
            "rscript_path",
            "snapshot_date",
            "cran_packages",
            "github_packages",
            "custom_url_packages",
            "bioconductor_packages",
        )
    )

    def __init__(self) -> None:
        super().__init__()
        self.r_version: Optional[str] = None
        self.user_managed = False
        self.rscript_path: Optional[str] = None
        self.snapshot_date: Optional[str] = None
        self.cran_packages: Optional[List[Any]] = None
        self.github_packages: Optional[List[Any]] = None
        self.custom_url_packages: Optional[List[str]] = None
        self.bioconductor_packages: Optional[List[str]] = None
        self._seal()


class Environment(EnvironmentRegistry, ConfigElement):
    """A named environment. It can be registered in a workspace, or be in a run configuration only."""

    _FIELDS = (
        Field("name"),
        Field("version"),
        Field("python", PythonSection),
        Field("environment_variables"),
        Field("docker", DockerSection),
        Field("spark", SparkSection),
        Field("databricks"),
        Field("r", RSection),
        Field("inferencing_stack_version"),
        Field("asset_id"),
    )

    def __init__(self, name: Optional[str], **kwargs: Any) -> None:
        super().__init__()
        if not isinstance(name, (str, type(None))):
            raise TypeError("The name of an environment must be text, not {!r}.".format(name))
        self.name = name
        self.version: Optional[str] = None
        self.python = PythonSection()
        self.environment_variables: Dict[str, str] = {}
        self.docker = DockerSection()
        self.spark = SparkSection()
        self.databricks: Any = None
        self.r: Optional[RSection] = None
        self.inferencing_stack_version: Optional[str] = None
        self.asset_id: Optional[str] = None
        self._seal()

    def clone(self, new_name: str) -> "Environment":
        """A copy under another name."""
        result = copy.deepcopy(self)
        result.name = new_name
        result.version = None
        return result

    # Made from files and images

    @staticmethod
    def from_conda_specification(name: str, file_path: str) -> "Environment":
        """From a conda environment file."""
        result = Environment(name)
        result.python.conda_dependencies = CondaDependencies(file_path)
        return result

    @staticmethod
    def from_pip_requirements(name: str, file_path: str, pip_version: Optional[str] = None) -> "Environment":
        """From a pip requirements file.

        Args:
            pip_version: adds this version of pip to the conda packages.
        """
        from azureml._run_impl.requirements import read_requirements_file

        dependencies = CondaDependencies()
        dependencies.set_pip_requirements(read_requirements_file(file_path))
        if pip_version:
            dependencies.add_conda_package("pip={}".format(pip_version))
        result = Environment(name)
        result.python.conda_dependencies = dependencies
        return result

    @staticmethod
    def from_docker_image(
        name: str,
        image: str,
        container_registry: Optional[ContainerRegistry] = None,
        conda_specification: Optional[str] = None,
        pip_requirements: Optional[str] = None,
    ) -> "Environment":
        """An image, with the packages of one file on top; without a file the image's own Python is used as it is."""
        result = _with_packages(name, conda_specification, pip_requirements)
        result.docker.base_image = image
        if container_registry is not None:
            result.docker.base_image_registry = container_registry
        return result

    @staticmethod
    def from_dockerfile(
        name: str, dockerfile: str, conda_specification: Optional[str] = None, pip_requirements: Optional[str] = None
    ) -> "Environment":
        """An image to be built from a Dockerfile (its path or its text)."""
        result = _with_packages(name, conda_specification, pip_requirements)
        result.docker.base_image = None
        result.docker.base_dockerfile = dockerfile_text(dockerfile)
        return result

    @staticmethod
    def from_docker_build_context(name: str, docker_build_context: "DockerBuildContext") -> "Environment":
        """Not supported."""
        raise unsupported("Environment.from_docker_build_context", "Use Environment.from_docker_image.")

    @staticmethod
    def from_existing_conda_environment(name: str, conda_environment_name: str) -> "Environment":
        """Not supported."""
        raise unsupported(
            "Environment.from_existing_conda_environment",
            "Write the environment to a file (conda env export) and use Environment.from_conda_specification.",
        )

    def save_to_directory(self, path: str, overwrite: bool = False) -> None:
        """Writes the environment to a folder.

        Raises:
            FileExistsError: the folder exists and `overwrite` is not set.
        """
        if os.path.exists(path) and not overwrite:
            raise FileExistsError("{} exists. Give another path, or overwrite=True.".format(path))
        os.makedirs(path, exist_ok=True)
        content = self._to_dict()
        content["python"].pop("condaDependencies")
        with open(os.path.join(path, _SAVED_NAME), "w", encoding="utf-8") as file:
            json.dump(content, file, indent=4, default=str)
        if self.python.conda_dependencies is not None:
            self.python.conda_dependencies.save(os.path.join(path, _SAVED_CONDA_NAME))

    @staticmethod
    def load_from_directory(path: str) -> "Environment":
        """Reads what `save_to_directory` wrote.

        Raises:
            FileNotFoundError: nothing was saved there.
            UserErrorException: the file is not of that form.
        """
        from azureml.exceptions import UserErrorException

        try:
            with open(os.path.join(path, _SAVED_NAME), encoding="utf-8") as file:
                content = json.load(file)
        except ValueError as error:
            raise UserErrorException("No environment can be read from {}: {}.".format(path, error)) from None
        result = Environment(None)
        result._update(content)
        conda_file = os.path.join(path, _SAVED_CONDA_NAME)
        result.python.conda_dependencies = CondaDependencies(conda_file) if os.path.exists(conda_file) else None
        return result


def _with_packages(name: str, conda_specification: Optional[str], pip_requirements: Optional[str]) -> "Environment":
    from azureml.exceptions import UserErrorException

    if conda_specification and pip_requirements:
        raise UserErrorException("Give either conda_specification or pip_requirements, not both.")
    if conda_specification:
        result = Environment.from_conda_specification(name, conda_specification)
    elif pip_requirements:
        result = Environment.from_pip_requirements(name, pip_requirements)
    else:
        result = Environment(name)
        result.python.user_managed_dependencies = True
    result.docker.enabled = True
    return result
