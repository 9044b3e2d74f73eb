"""Sweeps in run definitions: from messages to what `domain.sweeps` knows, and to the definitions of children.

What is allowed follows azureml-train-core 1.61 (`azureml.train.hyperdrive`) as seen from outside; where its client
takes what cannot work, it is refused here.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from localaml.domain.models import Run
from localaml.domain.names import RunName
from localaml.domain.states import RunState
from localaml.domain.sweep_sampling import DISTRIBUTIONS
from localaml.domain.sweeps import (
    Parameter,
    Policy,
    PolicyKind,
    Sampling,
    Sweep,
    Values,
    argument_words,
    option_of,
)
from localaml.errors import InvalidArgument, Unimplemented
from localaml.jobs.sweeps import bayesian
from localaml.jobs.sweeps.children import child_key, child_mark
from localaml.jobs.targets import RUN_BASED_TARGET
from localaml.services.container_definition import sealed_password, stored_password
from localaml.store.codec import known
from localaml_proto.v1 import run_definition_pb2

if TYPE_CHECKING:
    from localaml.services.sealing import SecretSealer

HYPERDRIVE_RUN = "hyperdrive"
MOST_RUNS = 1000
_CHILD_RUN = "azureml.scriptrun"
_NO_POLICY = ("", "Default")
_OPTION = re.compile(r"-{0,2}[A-Za-z0-9_][^\s=\0]*")
_Definition = run_definition_pb2.RunDefinition
# How many numbers each distribution has.
_COUNTS = {"randint": 1, "uniform": 2, "loguniform": 2, "normal": 2, "lognormal": 2}
_SEED_BITS = 2**31
_LARGEST = 1e300


def as_sweep(run: Run) -> Run:
    """A run to be stored, of the type that Azure's sweeps have, with a seed noted in its definition: that of the
    caller, else one that follows from the run's id."""
    definition = _Definition.FromString(run.definition)
    if not definition.sweep.HasField("seed"):
        digest = hashlib.sha256(run.run_id.encode()).digest()
        definition.sweep.seed = int.from_bytes(digest[:8], "big") % _SEED_BITS
    return replace(run, run_type=HYPERDRIVE_RUN, definition=definition.SerializeToString())


def check_sweep(definition: _Definition) -> Sweep:
    """The sweep of a definition.

    Raises:
        InvalidArgument: ``SWEEP_INVALID``, ``SWEEP_PARAMETER_INVALID``, ``SWEEP_POLICY_INVALID``.
        Unimplemented: ``SWEEP_OF_COMMAND_NOT_SUPPORTED``.
    """
    part = definition.sweep
    if definition.command:
        raise Unimplemented(
            "SWEEP_OF_COMMAND_NOT_SUPPORTED",
            "LocalAML does not support sweeps over a command: its children get their values as arguments of a script. "
            "Give an entry script.",
        )
    if part.sampling not in [each.value for each in Sampling]:
        raise _invalid(f"{part.sampling[:64]!r} is no sampling. {known([each.value for each in Sampling])}")
    sampling = Sampling(part.sampling)
    parameters = tuple(_parameter(sampling, each) for each in part.parameters)
    if not parameters:
        raise _invalid("its parameter space is empty")
    options = [parameter.option for parameter in parameters]
    if len(set(options)) < len(options):
        raise _invalid("two of its hyperparameters have the same option")
    if not part.primary_metric_name:
        raise _invalid("primary_metric_name is empty: name the metric that the script logs")
    goals = (run_definition_pb2.PRIMARY_METRIC_GOAL_MAXIMIZE, run_definition_pb2.PRIMARY_METRIC_GOAL_MINIMIZE)
    if part.primary_metric_goal not in goals:
        raise _invalid("primary_metric_goal is neither MAXIMIZE nor MINIMIZE")
    if not 1 <= part.max_total_runs <= MOST_RUNS:
        raise _invalid(f"max_total_runs must be 1 to {MOST_RUNS} (it is {part.max_total_runs})")
    if part.max_concurrent_runs < 0:
        raise _invalid(f"max_concurrent_runs must be at least 1 (it is {part.max_concurrent_runs})")
    if part.max_duration_minutes < 0:
        raise _invalid(f"max_duration_minutes must be at least 1 (it is {part.max_duration_minutes})")
    policy = _policy(part.policy)
    if policy is not None and sampling is Sampling.BAYESIAN:
        raise _invalid(
            "Bayesian sampling goes with no early termination policy (as Azure documents it): use NoTerminationPolicy"
        )
    return Sweep(
        sampling=sampling,
        parameters=parameters,
        seed=part.seed,
        metric=part.primary_metric_name,
        maximize=part.primary_metric_goal == run_definition_pb2.PRIMARY_METRIC_GOAL_MAXIMIZE,
        max_total=part.max_total_runs,
        max_concurrent=part.max_concurrent_runs or part.max_total_runs,
        max_seconds=part.max_duration_minutes * 60.0,
        policy=policy,
    )


class StoredSweeps:
    """Reads stored sweeps and makes their children (`jobs.sweeps.definitions.SweepDefinitions`).

    Args:
        sealer: opens the password of an image's registry, and seals it for each child.
    """

    def __init__(self, sealer: SecretSealer, now: Callable[[], datetime]) -> None:
        self._sealer = sealer
        self._now = now

    def sweep(self, run: Run) -> Sweep:
        return check_sweep(_Definition.FromString(run.definition))

    def machine(self, parent: Run) -> tuple[str, str]:
        part = _Definition.FromString(parent.definition).amlcompute
        return (part.vm_size, part.vm_priority) if parent.target == RUN_BASED_TARGET else ("", "")

    def child(self, parent: Run, index: int, values: Values) -> Run:
        key = child_key(parent.key, index)
        definition = _Definition.FromString(parent.definition)
        definition.ClearField("sweep")
        definition.arguments.extend(argument_words(values))
        stored = definition.SerializeToString()
        definition.environment.docker.base_image_registry.password = stored_password(parent, self._sealer)
        shown = json.dumps(dict(values))
        inherited = {name: value for name, value in parent.properties.items() if name == "ContentSnapshotId"}
        return Run(
            name=RunName(parent.name.workspace, parent.name.experiment, key.run_id),
            workspace_id=parent.workspace_id,
            number=0,
            run_type=_CHILD_RUN,
            state=RunState.NOT_STARTED,
            created_at=self._now(),
            submitted=True,
            tags={"hyperparameters": shown},
            properties={"azureml.runsource": "experiment", "hyperparameters": shown, **inherited},
            parent_run_id=parent.run_id,
            root_run_id=parent.root_run_id or parent.run_id,
            target=parent.target,
            warnings=parent.warnings,
            definition=stored,
            snapshot_id=parent.snapshot_id,
            execution={**child_mark(index, values), **sealed_password(definition, key, self._sealer)},
        )


def _parameter(sampling: Sampling, message: run_definition_pb2.SweepParameter) -> Parameter:
    name, distribution = message.name, message.distribution
    if not _OPTION.fullmatch(name):
        raise _wrong(name, "cannot be an option of a script")
    if distribution not in DISTRIBUTIONS:
        raise _wrong(name, f"has the unknown distribution {distribution[:64]!r}")
    allowed = {Sampling.GRID: ("choice",), Sampling.BAYESIAN: bayesian.DISTRIBUTIONS}.get(sampling, DISTRIBUTIONS)
    if distribution not in allowed:
        raise _wrong(
            name, f"has the distribution {distribution!r}, and {sampling.value} takes {', '.join(allowed)} only"
        )
    try:
        arguments = tuple(json.loads(text) for text in message.arguments_json)
    except (ValueError, RecursionError):
        raise _wrong(name, "has an argument that is not JSON") from None
    if distribution == "choice":
        _check_options(name, sampling, arguments)
    else:
        _check_numbers(name, distribution, arguments)
    return Parameter(option_of(name), distribution, arguments)


def _check_options(name: str, sampling: Sampling, options: tuple[Any, ...]) -> None:
    if not options:
        raise _wrong(name, "has nothing to choose from")
    if any(isinstance(option, dict) for option in options):
        raise _wrong(
            name, "chooses between parameter spaces, which LocalAML does not support: write them as several sweeps"
        )
    if any("\0" in json.dumps(option, ensure_ascii=False).replace("\\u0000", "\0") for option in options):
        raise _wrong(name, "has an option with a NUL character")
    if sampling is Sampling.BAYESIAN and not all(
        isinstance(option, (int, float, str)) and not isinstance(option, bool) for option in options
    ):
        raise _wrong(name, "has an option that is neither text nor a number, as Bayesian sampling needs them")


def _check_numbers(name: str, distribution: str, arguments: tuple[Any, ...]) -> None:
    stepped = distribution in ("quniform", "qloguniform", "qnormal", "qlognormal")
    count = 3 if stepped else _COUNTS[distribution]
    if len(arguments) != count or not all(_is_number(value) for value in arguments):
        raise _wrong(name, f"needs {count} numbers for {distribution}, none larger than {_LARGEST:g}")
    if distribution == "randint" and not (isinstance(arguments[0], int) and arguments[0] > 0):
        raise _wrong(name, "needs a whole number above 0 for randint")
    if stepped and not (isinstance(arguments[2], int) and arguments[2] > 0):
        raise _wrong(name, f"needs a whole number above 0 as q of {distribution} (it is {arguments[2]})")
    if "uniform" in distribution and arguments[0] > arguments[1]:
        raise _wrong(name, f"has a minimum above its maximum: {arguments[0]} > {arguments[1]}")
    if "normal" in distribution and arguments[1] < 0:
        raise _wrong(name, f"has a negative sigma: {arguments[1]}")


def _is_number(value: Any) -> bool:
    """Numbers that can be calculated with as floats; whole ones have no bound in JSON."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and -_LARGEST <= value <= _LARGEST


def _policy(message: run_definition_pb2.EarlyTerminationPolicy) -> Policy | None:
    if message.name in _NO_POLICY:
        return None
    if message.name not in [each.value for each in PolicyKind]:
        names = [each.value for each in PolicyKind]
        raise _no_policy(f"{message.name[:64]!r} is no early termination policy. {known(names)}")
    kind = PolicyKind(message.name)
    if message.evaluation_interval < 1 or message.delay_evaluation < 0:
        raise _no_policy("evaluation_interval must be at least 1, and delay_evaluation not negative")
    factor = message.slack_factor if message.HasField("slack_factor") else None
    amount = message.slack_amount if message.HasField("slack_amount") else None
    if kind is PolicyKind.BANDIT:
        given = [value for value in (factor, amount) if value is not None]
        if len(given) != 1 or not (math.isfinite(given[0]) and given[0] >= 0):
            raise _no_policy("Bandit needs slack_factor or slack_amount, one of the two, not negative")
    elif factor is not None or amount is not None:
        raise _no_policy(f"slack belongs to Bandit, not to {kind.value}")
    if kind is PolicyKind.TRUNCATION_SELECTION and not 1 <= message.truncation_percentage <= 99:
        raise _no_policy("truncation_percentage must be 1 to 99")
    return Policy(
        kind, message.evaluation_interval, message.delay_evaluation, factor, amount, message.truncation_percentage
    )


def _invalid(why: str) -> InvalidArgument:
    return InvalidArgument("SWEEP_INVALID", f"The sweep cannot be done: {why}.")


def _wrong(name: str, why: str) -> InvalidArgument:
    return InvalidArgument(
        "SWEEP_PARAMETER_INVALID", f"The hyperparameter {name[:64]!r} {why}.", {"parameter": name[:64]}
    )


def _no_policy(why: str) -> InvalidArgument:
    return InvalidArgument("SWEEP_POLICY_INVALID", f"The early termination policy cannot be applied: {why}.")
