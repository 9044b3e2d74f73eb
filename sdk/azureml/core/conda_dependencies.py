"""`CondaDependencies`: the packages of a Python environment, in the form of a conda environment file."""

import copy
import os
import re
from typing import Any, Dict, Iterable, List, Optional, Sequence

from azureml._run_impl.requirements import merge_requirements, package_key

CPU = "cpu"
GPU = "gpu"

# None: the emulator takes a Python that it has. Azure pins one here (3.6.2 in 2019), which few machines have.
PYTHON_DEFAULT_VERSION: Optional[str] = None

_DEFAULT_NAME = "project_environment"
_DEFAULT_FILE = "conda_dependencies.yml"
_HEADER = "# Conda environment specification: the packages that the job's Python environment is made of.\n\n"


class CondaDependencies:
    """Conda and pip packages, channels and the Python version of an environment.

    Args:
        conda_dependencies_file_path: a conda environment file to begin with.

    Raises:
        FileNotFoundError: there is no such file.
        UserErrorException: it is no conda environment file.
    """

    DEFAULT_NUMBER_OF_CONDA_PACKAGES = 0
    DEFAULT_NUMBER_OF_PIP_PACKAGES = 0

    def __init__(
        self,
        conda_dependencies_file_path: Optional[str] = None,
        _underlying_structure: Optional[Dict[str, Any]] = None,
    ) -> None:
        if conda_dependencies_file_path:
            self._content = _read_conda_file(conda_dependencies_file_path)
        elif _underlying_structure is not None:
            self._content = _checked(copy.deepcopy(_underlying_structure), "the given structure")
        else:
            self._content = {"name": _DEFAULT_NAME, "dependencies": [{"pip": ["azureml-defaults"]}]}

    @staticmethod
    def create(
        pip_indexurl: Optional[str] = None,
        pip_packages: Optional[Sequence[str]] = None,
        conda_packages: Optional[Sequence[str]] = None,
        python_version: Optional[str] = PYTHON_DEFAULT_VERSION,
        pin_sdk_version: bool = True,
    ) -> "CondaDependencies":
        """Makes dependencies from lists. `azureml-defaults` is always among them.

        Args:
            pip_indexurl: index to install pip packages from.
            python_version: e.g. ``3.8``; None leaves the choice to the emulator.
            pin_sdk_version: accepted; in a job `azureml-*` packages are always LocalAML's own.
        """
        result = CondaDependencies()
        if python_version:
            result.set_python_version(python_version)
        if pip_indexurl:
            result.set_pip_index_url(pip_indexurl)
        for package in _words(conda_packages, "conda_packages"):
            result.add_conda_package(package)
        for package in _words(pip_packages, "pip_packages"):
            result.add_pip_package(package)
        return result

    @staticmethod
    def merge_requirements(requirements: Sequence[str]) -> List[str]:
        """One requirement per package, with the version conditions of all its mentions."""
        return merge_requirements(requirements)

    @staticmethod
    def sdk_origin_url() -> str:
        """Where the SDK for jobs comes from. Empty: jobs get LocalAML's own, from no index."""
        return ""

    # What is in it

    @property
    def conda_channels(self) -> List[str]:
        """The channels, most important first."""
        return [str(channel) for channel in self._content.get("channels") or ()]

    @property
    def conda_packages(self) -> List[str]:
        """The conda packages, without Python itself."""
        return [entry for entry in self._conda_entries() if package_key(entry) != "python"]

    @property
    def pip_packages(self) -> List[str]:
        """The pip packages, without pip's options."""
        return [entry for entry in self._pip_entries() if not entry.startswith("-")]

    @property
    def pip_options(self) -> List[str]:
        """Options among the pip entries, such as ``--index-url ...``."""
        return [entry for entry in self._pip_entries() if entry.startswith("-")]

    def get_default_number_of_packages(self) -> int:
        """How many packages are there before any is added."""
        return self.DEFAULT_NUMBER_OF_CONDA_PACKAGES + self.DEFAULT_NUMBER_OF_PIP_PACKAGES

    def get_python_version(self) -> Optional[str]:
        """The Python version that is asked for, or None."""
        for entry in self._conda_entries():
            if package_key(entry) == "python":
                wanted = entry.split("::", 1)[-1].strip()
                return wanted[len("python") :].lstrip().lstrip("=").lstrip() or None
        return None

    def as_dict(self) -> Dict[str, Any]:
        """The content as a conda environment file has it; a copy."""
        return copy.deepcopy(self._content)

    # Changes

    def set_python_version(self, version: str) -> None:
        """Asks for a Python version, e.g. ``3.8`` or ``3.6.2``. Raises TypeError for a number: 3.10 is not 3.1."""
        if not isinstance(version, str):
            raise TypeError("The Python version must be text such as '3.8', not {!r}.".format(version))
        self._remove_conda("python")
        self._content["dependencies"].insert(0, "python={}".format(version.lstrip("=")))

    def add_channel(self, channel: str) -> None:
        """Adds a conda channel at the end."""
        if channel not in self.conda_channels:
            self._content["channels"] = [*self.conda_channels, channel]

    def remove_channel(self, channel: str) -> None:
        """Removes a conda channel; a missing one is fine."""
        channels = [entry for entry in self.conda_channels if entry != channel]
        if channels:
            self._content["channels"] = channels
        else:
            self._content.pop("channels", None)

    def add_conda_package(self, conda_package: str) -> None:
        """Adds a conda package; one of the same name is replaced."""
        self._remove_conda(package_key(conda_package))
        entries = self._content["dependencies"]
        position = next((i for i, entry in enumerate(entries) if isinstance(entry, dict)), len(entries))
        entries.insert(position, conda_package)

    def remove_conda_package(self, conda_package: str) -> None:
        """Removes a conda package by name; a missing one is fine."""
        self._remove_conda(package_key(conda_package))

    def add_pip_package(self, pip_package: str) -> None:
        """Adds a pip package; one of the same name is replaced."""
        self.remove_pip_package(pip_package)
        self._pip_list().append(pip_package)

    def remove_pip_package(self, pip_package: str) -> None:
        """Removes a pip package by name; a missing one is fine."""
        key = package_key(pip_package)
        self._keep_pip(lambda entry: entry.startswith("-") or package_key(entry) != key)

    def set_pip_requirements(self, pip_requirements: Sequence[str]) -> None:
        """Replaces all pip packages and options."""
        self._keep_pip(lambda entry: False)
        self._pip_list().extend(_words(pip_requirements, "pip_requirements"))

    def set_pip_index_url(self, index_url: str) -> None:
        """Installs pip packages from another index; the URL alone, or with ``--index-url`` before it."""
        self.set_pip_option(index_url if index_url.startswith("-") else "--index-url " + index_url)

    def set_pip_option(self, pip_option: str) -> None:
        """Adds an option of pip; the same option is replaced."""
        self.remove_pip_option(pip_option)
        self._pip_list().insert(0, pip_option)

    def remove_pip_option(self, pip_option: str) -> None:
        """Removes an option of pip by its name; a missing one is fine."""
        name = re.split(r"[\s=]", pip_option.strip(), maxsplit=1)[0]
        self._keep_pip(lambda entry: re.split(r"[\s=]", entry, maxsplit=1)[0] != name)

    def add_cntk_package(self, core_type: str = CPU) -> None:
        """Adds CNTK for `cpu` or `gpu`."""
        self.add_pip_package("cntk" + _suffix(core_type))

    def add_tensorflow_pip_package(self, core_type: str = CPU, version: Optional[str] = None) -> None:
        """Adds TensorFlow from pip for `cpu` or `gpu`."""
        self.add_pip_package("tensorflow" + _suffix(core_type) + ("==" + version if version else ""))

    def add_tensorflow_conda_package(self, core_type: str = CPU, version: Optional[str] = None) -> None:
        """Adds TensorFlow from conda for `cpu` or `gpu`."""
        self.add_conda_package("tensorflow" + _suffix(core_type) + ("=" + version if version else ""))

    # Files

    def save_to_file(self, base_directory: str, conda_file_path: Optional[str] = None) -> str:
        """Writes the conda environment file; returns its path relative to `base_directory`."""
        relative = os.fspath(conda_file_path or _DEFAULT_FILE)
        self.save(os.path.join(base_directory, relative))
        return relative

    def save(self, path: Optional[str] = None) -> str:
        """Writes the conda environment file (default: ``conda_dependencies.yml`` here); returns the path."""
        target = os.fspath(path or _DEFAULT_FILE)
        if os.path.isdir(target):
            target = os.path.join(target, _DEFAULT_FILE)
        folder = os.path.dirname(target)
        if folder:
            os.makedirs(folder, exist_ok=True)
        with open(target, "w", encoding="utf-8") as file:
            file.write(self.serialize_to_string())
        return target

    def serialize_to_string(self) -> str:
        """The content of the conda environment file."""
        from azureml._run_impl.yaml_text import dump

        return _HEADER + dump(self._content)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, CondaDependencies) and self._content == other._content

    __hash__ = None  # type: ignore[assignment]  # it can change

    def _conda_entries(self) -> List[str]:
        return [entry for entry in self._content["dependencies"] if isinstance(entry, str)]

    def _pip_entries(self) -> List[str]:
        for entry in self._content["dependencies"]:
            if isinstance(entry, dict):
                return list(entry["pip"])
        return []

    def _pip_list(self) -> List[str]:
        for entry in self._content["dependencies"]:
            if isinstance(entry, dict):
                found: List[str] = entry["pip"]
                return found
        packages: List[str] = []
        self._content["dependencies"].append({"pip": packages})
        return packages

    def _keep_pip(self, wanted: Any) -> None:
        packages = self._pip_list()
        packages[:] = [entry for entry in packages if wanted(entry)]
        if not packages:
            entries = self._content["dependencies"]
            entries[:] = [entry for entry in entries if not isinstance(entry, dict)]

    def _remove_conda(self, key: str) -> None:
        entries = self._content["dependencies"]
        entries[:] = [entry for entry in entries if isinstance(entry, dict) or package_key(entry) != key]


def _words(values: Optional[Iterable[str]], what: str) -> List[str]:
    from azureml.exceptions import UserErrorException

    if values is None:
        return []
    if isinstance(values, str):
        raise UserErrorException("{} must be a list of package names, not the string {!r}.".format(what, values))
    words = list(values)
    for word in words:
        if not isinstance(word, str) or not word.strip():
            raise UserErrorException("{} must hold package names; {!r} is none.".format(what, word))
    return words


def _suffix(core_type: str) -> str:
    from azureml.exceptions import UserErrorException

    if core_type not in (CPU, GPU):
        raise UserErrorException("core_type must be 'cpu' or 'gpu', not {!r}.".format(core_type))
    return "-gpu" if core_type == GPU else ""


def _read_conda_file(path: str) -> Dict[str, Any]:
    from azureml._run_impl.yaml_text import YamlSubsetError, load
    from azureml.exceptions import UserErrorException

    try:
        with open(path, encoding="utf-8-sig") as file:
            content = load(file.read())
    except (UnicodeDecodeError, YamlSubsetError) as error:
        raise UserErrorException("The conda dependencies file {} cannot be read: {}".format(path, error)) from None
    return _checked(content, path)


def _checked(content: Any, where: str) -> Dict[str, Any]:
    """Brings the content into one form: `dependencies` is a list of strings with at most one `{pip: [...]}`."""
    from azureml.exceptions import UserErrorException

    def bad(why: str) -> "UserErrorException":
        return UserErrorException("{} is no conda environment specification: {}.".format(where, why))

    if not isinstance(content, dict):
        raise bad("it must be a mapping with 'dependencies'")
    conda: List[Any] = []
    pip: List[str] = []
    entries = content.get("dependencies")
    if not isinstance(entries, (list, type(None))):
        raise bad("'dependencies' must be a list")
    for entry in entries or ():
        if isinstance(entry, str):
            conda.append(entry)
        elif isinstance(entry, dict) and list(entry) == ["pip"] and isinstance(entry["pip"], (list, type(None))):
            pip.extend(str(package) for package in entry["pip"] or ())
        else:
            raise bad("the dependency {!r} is neither a package nor a 'pip' list".format(entry))
    result = dict(content)
    result["dependencies"] = conda + ([{"pip": pip}] if pip else [])
    return result
