"""Words of Azure's services."""

from typing import List

RUN_ORIGIN = "ExperimentRun"
NOTEBOOK_ORIGIN = "LocalUpload"
BASE_RUN_SOURCE = "azureml.runsource"


class RunStatus:
    """The states of a run, as `run.get_status()` says them. Some are Azure's alone."""

    QUEUED = "Queued"
    NOT_STARTED = "NotStarted"
    PREPARING = "Preparing"
    PROVISIONING = "Provisioning"
    STARTING = "Starting"
    RUNNING = "Running"
    CANCEL_REQUESTED = "CancelRequested"
    CANCELED = "Canceled"
    FINALIZING = "Finalizing"
    COMPLETED = "Completed"
    FAILED = "Failed"
    UNAPPROVED = "Unapproved"
    NOTRESPONDING = "NotResponding"
    PAUSING = "Pausing"
    PAUSED = "Paused"

    @classmethod
    def list(cls) -> List[str]:
        """All states."""
        return [value for name, value in vars(cls).items() if name.isupper()]

    @classmethod
    def get_running_statuses(cls) -> List[str]:
        """The states of a run that is still to work."""
        over = (cls.COMPLETED, cls.FAILED, cls.CANCELED, *cls.get_post_processing_statuses())
        return [state for state in cls.list() if state not in over]

    @classmethod
    def get_post_processing_statuses(cls) -> List[str]:
        """The states of a run whose work is over, but not its end."""
        return [cls.CANCEL_REQUESTED, cls.FINALIZING]
