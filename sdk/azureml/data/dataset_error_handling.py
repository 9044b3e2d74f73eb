"""What goes wrong with the data of datasets."""

from azureml.exceptions import UserErrorException


class DatasetValidationError(UserErrorException):
    """The data of a dataset that is being made is not there."""


class DatasetExecutionError(UserErrorException):
    """The data of a dataset cannot be read as its definition says."""


def missing_package(package: str, what: str) -> UserErrorException:
    """What is raised when a package for tables is not installed."""
    return UserErrorException(
        "{} needs the package {!r}, which is not installed in this Python. Install it: pip install "
        "'localaml-sdk[datasets]' (or pip install {}).".format(what, package, package)
    )
