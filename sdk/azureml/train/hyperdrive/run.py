"""`HyperDriveRun`: a sweep that was submitted."""

import math
from typing import TYPE_CHECKING, Any, Dict, List, Optional, Tuple

from azureml._localaml.unsupported import unsupported
from azureml.core.run import Run
from azureml.train.hyperdrive.exceptions import HyperDriveConfigException, HyperDriveNotImplementedException
from azureml.train.hyperdrive.runconfig import PrimaryMetricGoal

if TYPE_CHECKING:
    from azureml.core.experiment import Experiment
    from azureml.train.hyperdrive.runconfig import HyperDriveConfig

__all__ = ["HyperDriveRun", "PrimaryMetricGoal"]

_LOG = "azureml-logs/hyperdrive.txt"


class HyperDriveRun(Run):
    """A sweep and its children.

    Args:
        experiment: the run's experiment.
        run_id: its id.
        hyperdrive_config: what was submitted, when known.
        kwargs: `hyperdrive_run_config`, the older name of `hyperdrive_config`; `run_config` of the same time has no
            effect.

    Raises:
        UserErrorException: the experiment has no such run.
    """

    RUN_TYPE = "hyperdrive"
    HYPER_DRIVE_RUN_USER_AGENT = "sdk_run_hyper_drive"

    def __init__(
        self,
        experiment: "Experiment",
        run_id: str,
        hyperdrive_config: "Optional[HyperDriveConfig]" = None,
        **kwargs: Any,
    ) -> None:
        older = kwargs.pop("hyperdrive_run_config", None)
        kwargs.pop("run_config", None)
        super().__init__(experiment, run_id, **kwargs)
        self._hyperdrive_config = hyperdrive_config if hyperdrive_config is not None else older

    @property
    def hyperdrive_config(self) -> "HyperDriveConfig":
        """What was submitted. Raises UserErrorException for a run that another process has submitted."""
        if self._hyperdrive_config is None:
            raise unsupported(
                "HyperDriveRun.hyperdrive_config of a run that another process has submitted",
                "run.get_tags() has its settings.",
            )
        return self._hyperdrive_config

    @property
    def hyperdrive_run_config(self) -> "HyperDriveConfig":
        """The older name of `hyperdrive_config`."""
        return self.hyperdrive_config

    @property
    def run_client(self) -> Any:
        """Not supported (an attribute of 2019)."""
        raise unsupported("HyperDriveRun.run_client")

    def cancel(self) -> bool:  # type: ignore[override]  # as Azure's
        """Asks the sweep to end, and with it all of its children. Returns at once, True.

        Raises:
            UserErrorException: it has ended already.
        """
        super().cancel()
        return True

    def fail(self, *args: Any, **kwargs: Any) -> None:
        """Not for sweeps, as in Azure: they end when their children have."""
        raise HyperDriveNotImplementedException("A sweep cannot be made to fail; run.cancel() ends it.")

    # The children

    def get_best_run_by_primary_metric(
        self, include_failed: bool = True, include_canceled: bool = True, include_resume_from_runs: bool = True
    ) -> Optional[Run]:
        """The child with the best value of the primary metric among all that it has logged; None when no child has
        logged it. Of several, the first one started.

        Args:
            include_failed: also children that have failed.
            include_canceled: also children that were cancelled.
            include_resume_from_runs: without effect: there are no such runs.
        """
        left_out = [] if include_failed else ["Failed"]
        left_out += [] if include_canceled else ["Canceled"]
        found = [
            (child, best)
            for child, best in self._children_with_best()
            if best is not None and child._status not in left_out
        ]
        return (max if self._maximizes else min)(found, key=lambda pair: pair[1])[0] if found else None

    def get_hyperparameters(self) -> Dict[str, str]:
        """The values of all children: id -> JSON text."""
        children = {child.id for child in self._sorted_children()}
        return {name: text for name, text in self.get_tags().items() if name in children and text is not None}

    def get_children_sorted_by_primary_metric(
        self, top: int = 0, reverse: bool = False, discard_no_metric: bool = False
    ) -> List[Dict[str, Any]]:
        """The children, the best first: dicts with ``run_id``, ``hyperparameters`` (JSON text), ``best_primary_metric``
        and ``status``. Those without the metric come last.

        Args:
            top: only so many; 0: all.
            reverse: the worst first.
            discard_no_metric: leave out those without the metric.
        """
        if not isinstance(top, int) or top < 0:
            raise HyperDriveConfigException("top must be a whole number from 0 on, not {!r}.".format(top))
        children = self._children_with_best()
        with_metric: List[Tuple[Run, Any]] = [pair for pair in children if pair[1] is not None]
        with_metric.sort(key=lambda pair: pair[1], reverse=self._maximizes != reverse)
        without = [] if discard_no_metric else [pair for pair in children if pair[1] is None]
        rows = [
            {
                "run_id": child.id,
                "hyperparameters": (child._known().get("tags") or {}).get("hyperparameters"),
                "best_primary_metric": best,
                "status": child._status,
            }
            for child, best in with_metric + without
        ]
        return rows[:top] if top else rows

    def get_metrics(self) -> Dict[str, Any]:  # type: ignore[override]  # as Azure's
        """The metrics of all children: id -> metrics."""
        return {child.id: child.get_metrics() for child in self._sorted_children()}

    def get_diagnostics(self) -> str:
        """The sweep's own log: which children it has started and stopped, and why."""
        return self._log_text(self._log_urls()[_LOG]) if _LOG in self._log_urls() else ""

    # Inside

    @property
    def _metric(self) -> str:
        return str(self._definition.get("primaryMetricName") or "")

    @property
    def _maximizes(self) -> bool:
        return str(self._definition.get("primaryMetricGoal")).endswith("_MAXIMIZE")

    @property
    def _definition(self) -> Dict[str, Any]:
        return (self._known().get("definition") or {}).get("sweep") or {}

    def _sorted_children(self) -> List[Run]:
        """The children that the sweep has started, the first one first."""
        prefix = self.id + "_"
        children = [child for child in self.get_children() if child.id.startswith(prefix)]
        numbered = [(child.id[len(prefix) :], child) for child in children]
        return [child for number, child in sorted(((int(n), c) for n, c in numbered if n.isdigit()), key=_first)]

    def _children_with_best(self) -> List[Tuple[Run, Optional[float]]]:
        return [(child, self._best_of(child)) for child in self._sorted_children()]

    def _best_of(self, child: Run) -> Optional[float]:
        logged = child.get_metrics(name=self._metric).get(self._metric)
        values = logged if isinstance(logged, list) else [logged]
        numbers = [
            value
            for value in values
            if isinstance(value, (int, float)) and not isinstance(value, bool) and not math.isnan(value)
        ]
        return (max if self._maximizes else min)(numbers) if numbers else None


def _first(pair: Tuple[int, Any]) -> int:
    return pair[0]
