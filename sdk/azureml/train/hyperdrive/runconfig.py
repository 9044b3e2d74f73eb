"""`HyperDriveConfig`: a sweep over the hyperparameters of a training script."""

import enum
import json
from typing import TYPE_CHECKING, Any, Dict, List, Optional, Tuple

from azureml._localaml.deprecation import warn_deprecated
from azureml._localaml.unsupported import unsupported
from azureml.core.script_run_config import ScriptRunConfig
from azureml.train.hyperdrive.exceptions import HyperDriveConfigException
from azureml.train.hyperdrive.policy import EarlyTerminationPolicy, NoTerminationPolicy
from azureml.train.hyperdrive.sampling import BayesianParameterSampling, HyperParameterSampling

if TYPE_CHECKING:
    from azureml.core.runconfig import RunConfiguration

MAX_DURATION_MINUTES = 10080
_MOST_RUNS = 1000


class PrimaryMetricGoal(enum.Enum):
    """Whether more or less of the primary metric is better."""

    MAXIMIZE = "MAXIMIZE"
    MINIMIZE = "MINIMIZE"

    @staticmethod
    def from_str(goal: str) -> "PrimaryMetricGoal":
        """The goal of a name in any case. Raises HyperDriveConfigException for another word."""
        if str(goal).upper() not in PrimaryMetricGoal.__members__:
            raise HyperDriveConfigException("The goal is 'maximize' or 'minimize', not {!r}.".format(goal))
        return PrimaryMetricGoal[str(goal).upper()]


class HyperDriveConfig:
    """A sweep: what to run, which values to try, and when to stop. `Experiment.submit` takes it.

    Args:
        hyperparameter_sampling: how values are chosen.
        primary_metric_name: the metric that the script logs with `run.log`.
        primary_metric_goal: whether it is to be large or small.
        max_total_runs: at most so many children; fewer where the space has no more points.
        max_concurrent_runs: so many at the same time (None: all); the compute target's nodes are a limit, too.
        max_duration_minutes: the sweep is cancelled after so many minutes.
        policy: stops children that do badly; None: none is stopped.
        estimator: an Estimator, or ...
        run_config: ... a ScriptRunConfig with a script; one of the two. Each child gets its values as arguments; a
            value replaces an argument of the same name.
        resume_from, resume_child_runs, pipeline: not supported.
        debug_flag: accepted, without effect.
        custom_run_id: the run's id.

    Raises:
        HyperDriveConfigException: a setting is missing or wrong.
        UserErrorException: what LocalAML does not support.
    """

    def __init__(
        self,
        hyperparameter_sampling: HyperParameterSampling,
        primary_metric_name: str,
        primary_metric_goal: "PrimaryMetricGoal",
        max_total_runs: int,
        max_concurrent_runs: Optional[int] = None,
        max_duration_minutes: int = MAX_DURATION_MINUTES,
        policy: Optional[EarlyTerminationPolicy] = None,
        estimator: Any = None,
        run_config: Optional[ScriptRunConfig] = None,
        resume_from: Any = None,
        resume_child_runs: Any = None,
        pipeline: Any = None,
        debug_flag: Any = None,
        custom_run_id: Optional[str] = None,
    ) -> None:
        for name, value in (
            ("resume_from", resume_from),
            ("resume_child_runs", resume_child_runs),
            ("pipeline", pipeline),
        ):
            if value:
                raise unsupported("HyperDriveConfig({}=...)".format(name))
        if (estimator is None) == (run_config is None):
            raise HyperDriveConfigException("HyperDriveConfig needs an estimator or a run_config, one of the two.")
        if run_config is not None and not isinstance(run_config, ScriptRunConfig):
            raise HyperDriveConfigException("run_config must be a ScriptRunConfig, not {!r}.".format(run_config))
        if run_config is not None and run_config.command:
            raise unsupported("HyperDriveConfig of a ScriptRunConfig(command=...)", "Use script and arguments.")
        if estimator is not None and not hasattr(estimator, "_to_submission"):
            raise HyperDriveConfigException("estimator must be an Estimator, not {!r}.".format(estimator))
        if not isinstance(hyperparameter_sampling, HyperParameterSampling):
            raise HyperDriveConfigException(
                "hyperparameter_sampling must be a sampling, not {!r}.".format(hyperparameter_sampling)
            )
        if not isinstance(primary_metric_goal, PrimaryMetricGoal):
            raise HyperDriveConfigException(
                "primary_metric_goal must be a PrimaryMetricGoal, not {!r}.".format(primary_metric_goal)
            )
        if not isinstance(primary_metric_name, str) or not primary_metric_name:
            raise HyperDriveConfigException(
                "primary_metric_name must be a metric's name, not {!r}.".format(primary_metric_name)
            )
        policy = NoTerminationPolicy() if policy is None else policy
        if not isinstance(policy, EarlyTerminationPolicy):
            raise HyperDriveConfigException("policy must be an early termination policy, not {!r}.".format(policy))
        if isinstance(hyperparameter_sampling, BayesianParameterSampling) and not isinstance(
            policy, NoTerminationPolicy
        ):
            raise HyperDriveConfigException(
                "Bayesian sampling goes with no early termination policy: use NoTerminationPolicy."
            )
        _check_whole("max_total_runs", max_total_runs, _MOST_RUNS)
        if max_concurrent_runs is not None:
            _check_whole("max_concurrent_runs", max_concurrent_runs, _MOST_RUNS)
        _check_whole("max_duration_minutes", max_duration_minutes, 10**6)
        self._estimator = estimator
        self._run_config = run_config
        self._sampling = hyperparameter_sampling
        self._generator_config = hyperparameter_sampling.to_json()
        self._primary_metric_config = {"name": primary_metric_name, "goal": primary_metric_goal.value.lower()}
        self._policy_config = policy.to_json()
        self._max_total_runs = max_total_runs
        self._max_concurrent_runs = max_total_runs if max_concurrent_runs is None else max_concurrent_runs
        self._max_duration_minutes = max_duration_minutes
        self._custom_run_id = custom_run_id
        self._sweep()  # what cannot be sent is told now

    @property
    def estimator(self) -> Any:
        """The estimator, or None."""
        return self._estimator

    @property
    def run_config(self) -> Optional[ScriptRunConfig]:
        """The ScriptRunConfig, or None."""
        return self._run_config

    @property
    def pipeline(self) -> None:
        """None: sweeps over pipelines are not supported."""
        return None

    @property
    def source_directory(self) -> str:
        """The folder with the code."""
        return str((self._estimator if self._run_config is None else self._run_config).source_directory)

    def _to_submission(self) -> "Tuple[str, RunConfiguration]":
        """The source folder and the configuration of a child, without its values; for `Experiment.submit`."""
        submission: Tuple[str, RunConfiguration] = (
            self._estimator if self._run_config is None else self._run_config
        )._to_submission()
        return submission

    def _sweep(self) -> Dict[str, Any]:
        """The SweepDefinition (proto3 JSON)."""
        properties = self._policy_config.get("properties") or {}
        policy = {
            _camel_case(name): value
            for name, value in properties.items()
            if name != "exclude_finished_jobs"  # False always, and what is done without it
        }
        sweep = {
            "sampling": self._generator_config["name"],
            "parameters": [
                {"name": name, "distribution": expression[0], "argumentsJson": _arguments(name, expression)}
                for name, expression in self._generator_config["parameter_space"].items()
            ],
            "primaryMetricName": self._primary_metric_config["name"],
            "primaryMetricGoal": "PRIMARY_METRIC_GOAL_" + self._primary_metric_config["goal"].upper(),
            "maxTotalRuns": self._max_total_runs,
            "maxConcurrentRuns": self._max_concurrent_runs,
            "maxDurationMinutes": self._max_duration_minutes,
            "policy": dict(policy, name=self._policy_config["name"]),
        }
        given = self._generator_config.get("properties") or {}
        if not isinstance(given, dict) or set(given) - {"seed"}:
            raise unsupported("properties {!r} of a sampling".format(given), 'It takes {"seed": number}.')
        if "seed" in given:
            if not isinstance(given["seed"], int):
                raise HyperDriveConfigException("The seed must be a whole number, not {!r}.".format(given["seed"]))
            sweep["seed"] = str(given["seed"])
        return sweep

    def _labels(self) -> Tuple[Dict[str, str], Dict[str, str]]:
        """Tags and properties of the run, as Azure's service sets them."""
        tags = {
            "max_concurrent_jobs": str(self._max_concurrent_runs),
            "max_total_jobs": str(self._max_total_runs),
            "max_duration_minutes": str(self._max_duration_minutes),
            "policy_config": json.dumps(self._policy_config),
            "generator_config": json.dumps(self._generator_config, default=_plain),
            "primary_metric_config": json.dumps(self._primary_metric_config),
        }
        properties = {
            "primary_metric_config": tags["primary_metric_config"],
            "runTemplate": "HyperDrive",
            "azureml.runsource": "hyperdrive",
            "platform": "AML",
        }
        return tags, properties

    def _without_swept(self, arguments: List[str]) -> List[str]:
        """Arguments without those that the sweep gives: an option that is swept, with the words behind it."""
        swept = {name.lstrip("-") for name in self._generator_config["parameter_space"]}
        kept: List[str] = []
        dropped: List[str] = []
        dropping = False
        for word in arguments:
            if _is_option(word):
                dropping = word.lstrip("-").partition("=")[0] in swept
                if dropping:
                    dropped.append(word)
            if not dropping:
                kept.append(word)
        if dropped:
            print("The sweep's values replace these arguments of the script: {}.".format(", ".join(dropped)))
        return kept


class HyperDriveRunConfig(HyperDriveConfig):
    """The old name of `HyperDriveConfig`, with the estimator first. Gives a HyperDriveConfig, as in Azure."""

    def __new__(  # type: ignore[misc]  # on purpose another class
        cls,
        estimator: Any,
        hyperparameter_sampling: HyperParameterSampling,
        primary_metric_name: str,
        primary_metric_goal: "PrimaryMetricGoal",
        max_total_runs: int,
        max_concurrent_runs: Optional[int] = None,
        max_duration_minutes: int = MAX_DURATION_MINUTES,
        policy: Optional[EarlyTerminationPolicy] = None,
    ) -> "HyperDriveConfig":
        warn_deprecated("HyperDriveRunConfig", "HyperDriveConfig")
        return HyperDriveConfig(
            hyperparameter_sampling,
            primary_metric_name,
            primary_metric_goal,
            max_total_runs,
            max_concurrent_runs,
            max_duration_minutes,
            policy,
            estimator,
        )


def _arguments(name: str, expression: Any) -> List[str]:
    distribution, arguments = expression
    values = arguments[0] if distribution == "choice" else arguments
    if distribution == "choice" and any(isinstance(value, dict) for value in values):
        raise unsupported("choices between parameter spaces (hyperparameter {!r})".format(name), "Use several sweeps.")
    try:
        return [json.dumps(value, default=_plain) for value in values]
    except (TypeError, ValueError):
        raise HyperDriveConfigException(
            "The hyperparameter {!r} has a value that is no number, text or list of them: {!r}.".format(name, values)
        ) from None


def _plain(value: Any) -> Any:
    """Numbers of NumPy as Python's."""
    if hasattr(value, "item") and getattr(value, "ndim", None) == 0:
        return value.item()
    raise TypeError(value)


def _is_option(word: str) -> bool:
    """Whether a word begins an option; a negative number does not."""
    if not word.startswith("-"):
        return False
    try:
        float(word)
    except ValueError:
        return True
    return False


def _check_whole(name: str, value: Any, most: int) -> None:
    if not isinstance(value, int) or not 1 <= value <= most:
        raise HyperDriveConfigException("{} must be a whole number from 1 to {}, not {!r}.".format(name, most, value))


def _camel_case(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)
