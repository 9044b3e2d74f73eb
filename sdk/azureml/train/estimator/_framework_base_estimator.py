"""The base of the estimators that bring their framework along."""

import logging
import os
import re
from typing import Any, Dict, List, Mapping, Optional

from azureml._localaml.deprecation import warn_deprecated
from azureml.train._framework_packages import Framework, Release
from azureml.train.estimator._configuration import run_configuration
from azureml.train.estimator._distribution import Backends
from azureml.train.estimator._mml_base_estimator import MMLBaseEstimator

_LOGGER = logging.getLogger("azureml.train.estimator")
_IMPORTS_HOROVOD = re.compile(r"^[ \t]*(?:import|from)[ \t]+horovod\b", re.MULTILINE)


class _FrameworkBaseEstimator(MMLBaseEstimator):
    """A training script and the framework that it is written for.

    Args:
        arguments: of the derived class' constructor, by name.
    """

    FRAMEWORK_NAME = ""
    DEFAULT_VERSION = ""
    _FRAMEWORK: Framework
    _BACKENDS = Backends()

    def __init__(self, arguments: Dict[str, Any]) -> None:
        name = self.FRAMEWORK_NAME
        warn_deprecated(name, "ScriptRunConfig")
        self._framework_version: Optional[str] = arguments["framework_version"]
        release = self._release(self._framework_version)
        config = run_configuration(arguments, self._BACKENDS, name, release.packages, release.python)
        if arguments.get("use_gpu"):
            _LOGGER.warning("use_gpu=True: LocalAML installs the packages of %s that need no GPU.", name)
        super().__init__(
            arguments["source_directory"],
            compute_target=arguments["compute_target"] or config.target,
            estimator_config=config,
        )
        self._warn_about_horovod(arguments)

    @property
    def framework_version(self) -> Optional[str]:
        """The version that was asked for; None: the newest that can be had (Azure: `DEFAULT_VERSION`)."""
        return self._framework_version

    @classmethod
    def get_supported_versions(cls) -> List[str]:
        """What `framework_version` may be, oldest first."""
        return list(cls._FRAMEWORK.releases)

    @classmethod
    def _release(cls, version: Optional[str]) -> Release:
        from azureml.exceptions import TrainingException

        if version is None:
            return cls._FRAMEWORK.newest
        if not isinstance(version, str) or version not in cls._FRAMEWORK.releases:
            raise TrainingException(
                "{} {} is not supported by the {} estimator: its framework_version is one of {}. For another one leave "
                "framework_version out and name the package with its version in pip_packages.".format(
                    cls.FRAMEWORK_NAME, version, cls.FRAMEWORK_NAME, ", ".join(cls.get_supported_versions())
                )
            )
        return cls._FRAMEWORK.releases[version]

    def _warn_about_horovod(self, arguments: Mapping[str, Any]) -> None:
        """Azure's images have Horovod. It is no package like others: it is compiled against the framework."""
        dependencies = self.conda_dependencies
        if arguments["user_managed"] or arguments["environment_definition"] is not None or dependencies is None:
            return
        packages = dependencies.conda_packages + dependencies.pip_packages
        script = os.path.join(self.source_directory, arguments["entry_script"] or "")
        if any("horovod" in package for package in packages) or not os.path.isfile(script):
            return
        with open(script, encoding="utf-8", errors="replace") as file:
            if _IMPORTS_HOROVOD.search(file.read()):
                _LOGGER.warning(
                    "%s imports horovod, which LocalAML does not install by itself: it has to be compiled against %s. "
                    "Name it in pip_packages, or build it into an environment of your own (user_managed=True).",
                    arguments["entry_script"],
                    self.FRAMEWORK_NAME,
                )
