"""`ScriptRun`: a run that was submitted."""

from typing import TYPE_CHECKING, Any, Optional

from azureml.core.run import Run

if TYPE_CHECKING:
    from azureml.core.experiment import Experiment
    from azureml.core.runconfig import RunConfiguration


class ScriptRun(Run):
    """A run that the emulator performs.

    Args:
        experiment: the run's experiment.
        run_id: its id.
        directory: the source folder, when known.
        _run_config: the configuration, when known.
    """

    RUN_TYPE = "azureml.scriptrun"

    def __init__(
        self,
        experiment: "Experiment",
        run_id: str,
        directory: Optional[str] = None,
        _run_config: "Optional[RunConfiguration]" = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(experiment, run_id, **kwargs)
        self._directory = directory
        self._run_config = _run_config

    def cancel(self) -> None:
        """Asks the run to end: its processes get SIGTERM, after a grace SIGKILL. Returns at once.

        Raises:
            UserErrorException: the run has ended already.
        """
        super().cancel()

    def get_diagnostics(self, destination: Optional[str] = None) -> Any:
        """Not supported (a method of 2018, gone since)."""
        from azureml._localaml.unsupported import unsupported

        raise unsupported("ScriptRun.get_diagnostics", "get_all_logs(destination) fetches the run's logs.")
