"""Run configurations as YAML files: `<project>/.azureml/<name>.runconfig` (1.0.8: `aml_config/`)."""

import logging
import os
from typing import TYPE_CHECKING, Any, Dict, Optional

from azureml._run_impl.yaml_text import YamlSubsetError, dump
from azureml._run_impl.yaml_text import load as load_yaml

if TYPE_CHECKING:
    from azureml.core.runconfig import RunConfiguration

_FOLDERS = (".azureml", "aml_config")
_SUFFIX = ".runconfig"
_ENVIRONMENT_FILE = "environment.yml"
_LOGGER = logging.getLogger(__name__)


def save(config: "RunConfiguration", path: Optional[str], name: Optional[str], separate_environment: bool) -> None:
    target = _target(path or config._path or os.getcwd(), name or config._name)
    folder = os.path.dirname(target) or "."
    os.makedirs(folder, exist_ok=True)
    content = config._to_dict()
    if separate_environment:
        content["environment"] = _ENVIRONMENT_FILE
        _write(os.path.join(folder, _ENVIRONMENT_FILE), config.environment._to_dict())
    _write(target, content)


def load(path: str, name: Optional[str] = None) -> "RunConfiguration":
    from azureml.core.runconfig import RunConfiguration
    from azureml.exceptions import RunConfigurationException

    file = find(path, name)
    content = _read(file)
    folder = os.path.dirname(file)
    environment = content.get("environment")
    if isinstance(environment, str):
        content["environment"] = environment = _read(os.path.join(folder, environment))
    config = RunConfiguration(_path=path, _name=name)
    unknown = config._update(content)
    if unknown:
        _LOGGER.warning("%s: LocalAML does not know %s; left out.", file, ", ".join(unknown))
    python = (environment or {}).get("python") or {}
    conda_file = config.environment.python.conda_dependencies_file
    if conda_file and "condaDependencies" not in python:
        # Relative to the project folder, as Azure has it, or beside the file itself.
        for base in (os.path.dirname(folder), folder, os.getcwd()):
            if os.path.isfile(os.path.join(base, conda_file)):
                config.environment.python.conda_dependencies_file = os.path.join(base, conda_file)
                break
        else:
            raise RunConfigurationException("{} names {}, which does not exist.".format(file, conda_file))
    return config


def find(path: str, name: Optional[str] = None) -> str:
    """The configuration's file. Raises UserErrorException when there is none."""
    from azureml.exceptions import UserErrorException

    if name is None and os.path.isfile(path):
        return path
    tried = [os.path.join(path, folder, (name or "local") + _SUFFIX) for folder in (*_FOLDERS, "")]
    for candidate in tried:
        if os.path.isfile(candidate):
            return candidate
    raise UserErrorException("There is no run configuration {}.".format(" or ".join(tried)))


def _target(path: str, name: Optional[str]) -> str:
    if name:
        return os.path.join(path, _FOLDERS[0], name + _SUFFIX)
    if os.path.isdir(path):
        return os.path.join(path, _FOLDERS[0], "local" + _SUFFIX)
    return path


def _write(path: str, content: Dict[str, Any]) -> None:
    with open(path, "w", encoding="utf-8") as file:
        file.write(dump(content))


def _read(path: str) -> Dict[str, Any]:
    from azureml.exceptions import RunConfigurationException

    try:
        with open(path, encoding="utf-8-sig") as file:
            content = load_yaml(file.read())
    except (OSError, UnicodeDecodeError, YamlSubsetError) as error:
        raise RunConfigurationException("{} cannot be read: {}".format(path, error)) from None
    if not isinstance(content, dict):
        raise RunConfigurationException("{} holds no run configuration.".format(path))
    return content
