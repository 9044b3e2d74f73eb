"""Checks of estimator arguments."""

from typing import Any


def count(value: Any, what: str, least: int = 1) -> int:
    """A whole number of at least `least`. Raises TrainingException for anything else."""
    from azureml.exceptions import TrainingException

    try:
        number = int(value)
        if isinstance(value, bool) or number != float(value):
            raise ValueError
    except (TypeError, ValueError):
        raise TrainingException("{} must be a whole number, not {!r}.".format(what, value)) from None
    if number < least:
        raise TrainingException("{} must be at least {}, not {}.".format(what, least, number))
    return number


def one_of(first: Any, second: Any, first_name: str, second_name: str) -> Any:
    """The one of two names for the same thing that is given. Raises TrainingException when both are."""
    from azureml.exceptions import TrainingException

    if first is not None and second is not None:
        raise TrainingException("Give either {} or {}, not both: they mean the same.".format(first_name, second_name))
    return second if first is None else first
