"""The exceptions of HyperDrive, under the names that Azure's SDK gives them."""

from typing import Any

from azureml._common.exceptions import AzureMLException


class HyperDriveException(AzureMLException):
    """Base of the others."""

    def __init__(self, exception_message: str, **kwargs: Any) -> None:
        super().__init__(exception_message, **kwargs)


class HyperDriveConfigException(HyperDriveException):
    """A setting of a sweep is missing or wrong."""

    _error_code = "UserError"


class HyperDriveScenarioNotSupportedException(HyperDriveConfigException):
    """Settings that cannot go together."""


class HyperDriveNotImplementedException(HyperDriveScenarioNotSupportedException):
    """A method of runs that sweeps do not have."""


class HyperDriveServiceException(HyperDriveException):
    """The service failed."""


class HyperDriveRehydrateException(HyperDriveException):
    """A stored sweep cannot be read."""
