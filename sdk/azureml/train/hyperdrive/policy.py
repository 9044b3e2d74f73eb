"""When children of a sweep that do badly are stopped. A report of the primary metric counts as one interval."""

from abc import ABC
from typing import Any, Dict, Mapping, Optional

from azureml.train.hyperdrive.exceptions import HyperDriveConfigException


class EarlyTerminationPolicy(ABC):  # noqa: B024 - as in Azure
    """Base of the policies.

    Args:
        name: its name in Azure's service.
        properties: its settings.
    """

    def __init__(self, name: str, properties: Optional[Mapping[str, Any]] = None) -> None:
        self._name = name
        self._properties = dict(properties) if properties is not None else None

    def to_json(self) -> Dict[str, Any]:
        """The policy as Azure's service gets it."""
        told: Dict[str, Any] = {"name": self._name}
        if self._properties:
            told["properties"] = dict(self._properties)
        return told

    def __repr__(self) -> str:
        return repr(self.to_json())


class _PeriodicPolicy(EarlyTerminationPolicy):
    """Looks at a child every `evaluation_interval` reports, from `delay_evaluation` on."""

    def __init__(self, name: str, evaluation_interval: int, delay_evaluation: int, **more: Any) -> None:
        _check_whole("evaluation_interval", evaluation_interval, 1)
        _check_whole("delay_evaluation", delay_evaluation, 0)
        properties = {"evaluation_interval": evaluation_interval, "delay_evaluation": delay_evaluation}
        super().__init__(name, dict(properties, **more))
        self._evaluation_interval = evaluation_interval
        self._delay_evaluation = delay_evaluation

    @property
    def evaluation_interval(self) -> int:
        """Every so many reports a child is looked at."""
        return self._evaluation_interval

    @property
    def delay_evaluation(self) -> int:
        """Not before so many reports."""
        return self._delay_evaluation


class BanditPolicy(_PeriodicPolicy):
    """Stops a child whose best is further from the best child's than the slack.

    Args:
        evaluation_interval: every so many reports.
        slack_factor: the slack as a ratio ...
        slack_amount: ... or as an amount; one of the two.
        delay_evaluation: not before so many reports.

    Raises:
        HyperDriveConfigException: none or both of the slacks, a negative one, or a wrong type.
    """

    POLICY_NAME = "Bandit"

    def __init__(
        self,
        evaluation_interval: int = 1,
        slack_factor: Optional[float] = None,
        slack_amount: Optional[float] = None,
        delay_evaluation: int = 0,
    ) -> None:
        slack = {
            name: value
            for name, value in (("slack_factor", slack_factor), ("slack_amount", slack_amount))
            if value is not None
        }
        if len(slack) != 1:
            raise HyperDriveConfigException("BanditPolicy needs slack_factor or slack_amount, one of the two.")
        for name, value in slack.items():
            if not isinstance(value, (int, float)) or value < 0:
                raise HyperDriveConfigException("{} must be a number from 0 on, not {!r}.".format(name, value))
        super().__init__(self.POLICY_NAME, evaluation_interval, delay_evaluation, **slack)
        self._slack_factor = slack_factor
        self._slack_amount = slack_amount

    @property
    def slack_factor(self) -> Optional[float]:
        """The slack as a ratio."""
        return self._slack_factor

    @property
    def slack_amount(self) -> Optional[float]:
        """The slack as an amount."""
        return self._slack_amount


class MedianStoppingPolicy(_PeriodicPolicy):
    """Stops a child whose best is worse than the median of the running averages of all.

    Args:
        evaluation_interval: every so many reports.
        delay_evaluation: not before so many reports.
    """

    POLICY_NAME = "MedianStopping"

    def __init__(self, evaluation_interval: int = 1, delay_evaluation: int = 0) -> None:
        super().__init__(self.POLICY_NAME, evaluation_interval, delay_evaluation)


class TruncationSelectionPolicy(_PeriodicPolicy):
    """Stops the lowest children.

    Args:
        truncation_percentage: how many of each hundred, 1 to 99.
        evaluation_interval: every so many reports.
        delay_evaluation: not before so many reports.
    """

    POLICY_NAME = "TruncationSelection"

    def __init__(self, truncation_percentage: int, evaluation_interval: int = 1, delay_evaluation: int = 0) -> None:
        _check_whole("truncation_percentage", truncation_percentage, 1)
        if truncation_percentage > 99:
            raise HyperDriveConfigException("truncation_percentage must be 1 to 99.")
        super().__init__(
            self.POLICY_NAME,
            evaluation_interval,
            delay_evaluation,
            truncation_percentage=truncation_percentage,
            exclude_finished_jobs=False,
        )
        self._truncation_percentage = truncation_percentage

    @property
    def truncation_percentage(self) -> int:
        """How many of each hundred are stopped."""
        return self._truncation_percentage


class NoTerminationPolicy(EarlyTerminationPolicy):
    """All children come to their own ends."""

    POLICY_NAME = "Default"

    def __init__(self) -> None:
        super().__init__(self.POLICY_NAME)


def _check_whole(name: str, value: Any, least: int) -> None:
    if not isinstance(value, int) or value < least:
        raise HyperDriveConfigException("{} must be a whole number from {} on, not {!r}.".format(name, least, value))
