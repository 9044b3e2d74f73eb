"""The exception classes; `azureml.exceptions` shows them as a tree."""

from typing import TYPE_CHECKING, Any, Optional

from azureml._common.exceptions import AzureMLException

if TYPE_CHECKING:
    import logging


class UserErrorException(AzureMLException):
    """An argument, or the state of things, does not allow what was asked for."""

    _error_code = "UserError"

    def __init__(self, exception_message: str, **kwargs: Any) -> None:
        super().__init__(exception_message, **kwargs)


class AuthenticationException(UserErrorException):
    """Who is asking could not be told."""


class WorkspaceException(AzureMLException):
    """A workspace is missing, taken, or not what was asked for."""

    def __init__(self, exception_message: str, found_multiple: bool = False, **kwargs: Any) -> None:
        super().__init__(exception_message, **kwargs)
        self.found_multiple = found_multiple


class WorkspacePrivateEndpointException(AzureMLException):
    """A private endpoint; LocalAML has none."""

    def __init__(self, exception_message: str, found_multiple: bool = False, **kwargs: Any) -> None:
        super().__init__(exception_message, **kwargs)
        self.found_multiple = found_multiple


class ComputeTargetException(AzureMLException):
    """A compute target is missing, taken, or cannot be made."""


class ExperimentExecutionException(AzureMLException):
    """A run could not be submitted."""


class ActivityFailedException(AzureMLException):
    """A run ended as Failed.

    Args:
        error_details: the run's error, as JSON text or as an object.
    """

    def __init__(self, error_details: Any, **kwargs: Any) -> None:
        super().__init__("Activity Failed:\n{}".format(error_details), **kwargs)


class TrainingException(AzureMLException):
    """An estimator's settings cannot work together."""


class RunConfigurationException(AzureMLException):
    """A run configuration cannot be read, written or used."""


class RunEnvironmentException(AzureMLException):
    """This process does not belong to a run."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(
            "No submitted run in this process. Outside of a job, begin a run with experiment.start_logging().", **kwargs
        )


class SnapshotException(AzureMLException):
    """A source folder cannot be packed."""


class ProjectSystemException(AzureMLException):
    """A configuration file or project folder is missing or broken."""


class ServiceException(AzureMLException):
    """The service failed.

    Attributes:
        status_code: HTTP status, or None.
    """

    def __init__(self, exception_message: str, status_code: Optional[int] = None, **kwargs: Any) -> None:
        super().__init__(exception_message, **kwargs)
        self.status_code = status_code


class WebserviceException(AzureMLException):
    """A web service.

    Attributes:
        status_code: HTTP status, or None.
    """

    def __init__(
        self,
        exception_message: str,
        status_code: Optional[int] = None,
        logger: "Optional[logging.Logger]" = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(exception_message, **kwargs)
        self.status_code = status_code
        if logger is not None:
            logger.error(exception_message)


class ModelNotFoundException(AzureMLException):
    """A model of that name and version does not exist."""

    def __init__(self, exception_message: str, logger: "Optional[logging.Logger]" = None, **kwargs: Any) -> None:
        super().__init__(exception_message, **kwargs)
        if logger is not None:
            logger.error(exception_message)


class ModelPathNotFoundException(ModelNotFoundException):
    """A model's files are not where they should be."""


class DatasetTimestampMissingError(AzureMLException):
    """A dataset has no timestamp column."""

    def __init__(self, error_details: Any, **kwargs: Any) -> None:
        super().__init__(str(error_details), **kwargs)


class DiscoveryUrlNotFoundException(AzureMLException):
    """The environment names no discovery URL."""

    def __init__(self, discovery_key: str, **kwargs: Any) -> None:
        super().__init__("The environment variable {} is not set.".format(discovery_key), **kwargs)


class ParallelRunException(AzureMLException):
    """A parallel run step."""

    def __init__(
        self, exception_message: str, code: Optional[str] = None, delay_seconds: float = 0, **kwargs: Any
    ) -> None:
        super().__init__(exception_message, **kwargs)
        self.code = code
        self.delay_seconds = delay_seconds
