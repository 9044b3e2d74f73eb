"""Run states, in Azure's words."""

from typing import Any, Mapping

TERMINAL = frozenset(("Completed", "Failed", "Canceled"))
ALL = frozenset(
    (
        "NotStarted",
        "Queued",
        "Starting",
        "Provisioning",
        "Preparing",
        "Running",
        "Finalizing",
        "CancelRequested",
        "Completed",
        "Failed",
        "Canceled",
        "NotResponding",
        "Paused",
    )
)


def state_of(run: Mapping[str, Any]) -> str:
    """The state of a Run message: `NotStarted`, `Running`, ..."""
    from azureml._localaml.wire import enum_word

    return enum_word(run, "state", "RUN_STATE_") or "NotStarted"


def state_filter(status: str) -> str:
    """A state's name on the wire. Raises UserErrorException for one that does not exist."""
    from azureml._localaml.wire import enum_name

    if status not in ALL:
        from azureml.exceptions import UserErrorException

        raise UserErrorException("There is no run status {!r}; there are {}.".format(status, ", ".join(sorted(ALL))))
    return enum_name(status, "RUN_STATE_")
