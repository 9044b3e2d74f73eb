"""The base of all estimators."""

import os
from typing import TYPE_CHECKING, Any, Optional, Tuple

if TYPE_CHECKING:
    from azureml.core.conda_dependencies import CondaDependencies
    from azureml.core.runconfig import RunConfiguration


class MMLBaseEstimator:
    """A source folder and a run configuration.

    Args:
        source_directory: folder with the code; all of it travels to the job.
        compute_target: a ComputeTarget or its name.
        estimator_config: the run configuration.
    """

    run_config: "Optional[RunConfiguration]" = None

    def __init__(
        self, source_directory: str, *, compute_target: Any, estimator_config: "Optional[RunConfiguration]" = None
    ) -> None:
        self._source_directory = source_directory if source_directory else os.curdir
        self._compute_target = compute_target
        self._estimator_config = estimator_config
        self.run_config = estimator_config

    @property
    def source_directory(self) -> str:
        """The folder with the code."""
        return self._source_directory

    @property
    def conda_dependencies(self) -> "Optional[CondaDependencies]":
        """The packages of the job's environment; changes count at the next submit."""
        return self._config.environment.python.conda_dependencies

    @property
    def _config(self) -> "RunConfiguration":
        from azureml.exceptions import TrainingException

        if self.run_config is None:
            raise TrainingException("This estimator has no run configuration.")
        return self.run_config

    def _to_submission(self) -> "Tuple[str, RunConfiguration]":
        """The source folder and the configuration; for `Experiment.submit`."""
        return self._source_directory, self._config
