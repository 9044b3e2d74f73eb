"""How the values of a sweep's children are chosen."""

from abc import ABC
from typing import Any, Dict, List, Mapping, Optional, Sequence

from azureml.train.hyperdrive.exceptions import HyperDriveConfigException

_DISTRIBUTIONS = (
    "choice",
    "randint",
    "uniform",
    "quniform",
    "loguniform",
    "qloguniform",
    "normal",
    "qnormal",
    "lognormal",
    "qlognormal",
)


class HyperParameterSampling(ABC):  # noqa: B024 - as in Azure
    """Base of the samplings.

    Args:
        sampling_method_name: its name in Azure's service.
        parameter_space: name of a hyperparameter -> a parameter expression such as ``uniform(0, 1)``. A name without
            dashes becomes the option ``--name``.
        properties: ``{"seed": 7}`` makes the sweep repeat its values.
        supported_distributions: the expressions that may be used; None: all.
        distributions_validators: further checks, by the expression's name: functions of its arguments.

    Raises:
        HyperDriveConfigException: the space is none, or has what this sampling cannot do.
    """

    def __init__(
        self,
        sampling_method_name: str,
        parameter_space: Mapping[str, Any],
        properties: Optional[Mapping[str, Any]] = None,
        supported_distributions: Optional[Sequence[str]] = None,
        distributions_validators: Optional[Mapping[str, Any]] = None,
    ) -> None:
        self._name = sampling_method_name
        self._parameter_space = parameter_space
        self._properties = properties
        allowed = tuple(supported_distributions or _DISTRIBUTIONS)
        if not isinstance(parameter_space, Mapping):
            raise HyperDriveConfigException(
                "The parameter space must be a dict of name and expression, not {!r}.".format(parameter_space)
            )
        for name, expression in parameter_space.items():
            _check_expression(name, expression, allowed)
            validator = (distributions_validators or {}).get(expression[0])
            if validator is not None:
                validator(expression[1])

    def to_json(self) -> Dict[str, Any]:
        """The sampling as Azure's service gets it: name, parameter_space, and properties where there are any."""
        told: Dict[str, Any] = {"name": self._name, "parameter_space": self._parameter_space}
        if self._properties:
            told["properties"] = self._properties
        return told

    def __repr__(self) -> str:
        return repr(self.to_json())


class RandomParameterSampling(HyperParameterSampling):
    """Values drawn at random, by any expressions. In a space of choices no combination comes twice.

    Args:
        parameter_space: name -> expression.
        properties: ``{"seed": 7}`` makes the sweep repeat its values.
    """

    SAMPLING_NAME = "RANDOM"

    def __init__(self, parameter_space: Mapping[str, Any], properties: Optional[Mapping[str, Any]] = None) -> None:
        super().__init__(self.SAMPLING_NAME, parameter_space, properties)


class GridParameterSampling(HyperParameterSampling):
    """All combinations of choices, the last parameter changing fastest.

    Args:
        parameter_space: name -> ``choice(...)``.
    """

    SAMPLING_NAME = "GRID"

    def __init__(self, parameter_space: Mapping[str, Any], properties: Optional[Mapping[str, Any]] = None) -> None:
        super().__init__(self.SAMPLING_NAME, parameter_space, properties, ("choice",))


class BayesianParameterSampling(HyperParameterSampling):
    """Values that are likely to be better, by what earlier children have told. It goes with no early termination.

    Args:
        parameter_space: name -> ``choice``, ``uniform`` or ``quniform``.
        properties: ``{"seed": 7}`` gives it a seed.
    """

    SAMPLING_NAME = "BayesianOptimization"

    def __init__(self, parameter_space: Mapping[str, Any], properties: Optional[Mapping[str, Any]] = None) -> None:
        super().__init__(
            self.SAMPLING_NAME,
            parameter_space,
            properties,
            ("quniform", "uniform", "choice"),
            {"choice": _check_plain_options, "quniform": _check_whole},
        )


def _check_expression(name: Any, expression: Any, allowed: Sequence[str]) -> None:
    if not isinstance(name, str) or not name:
        raise HyperDriveConfigException("The name of a hyperparameter must be text, not {!r}.".format(name))
    is_expression = (
        isinstance(expression, (list, tuple))
        and len(expression) == 2
        and isinstance(expression[0], str)
        and isinstance(expression[1], (list, tuple))
    )
    if not is_expression:
        raise HyperDriveConfigException(
            "The hyperparameter {!r} needs a parameter expression such as choice(1, 2), not {!r}.".format(
                name, expression
            )
        )
    if expression[0] not in allowed:
        raise HyperDriveConfigException(
            "The hyperparameter {!r} has the distribution {!r}; this sampling takes {} only.".format(
                name, expression[0], ", ".join(allowed)
            )
        )
    if expression[0] == "choice" and not (len(expression[1]) == 1 and isinstance(expression[1][0], (list, tuple))):
        raise HyperDriveConfigException("The choice of {!r} is not as choice(...) makes it.".format(name))


def _check_plain_options(arguments: List[Any]) -> None:
    for option in arguments[0]:
        if isinstance(option, bool) or not isinstance(option, (int, float, str)):
            raise HyperDriveConfigException(
                "Bayesian sampling chooses between whole numbers, numbers and texts, not {!r}.".format(option)
            )


def _check_whole(arguments: List[Any]) -> None:
    if not all(isinstance(value, int) for value in arguments):
        raise HyperDriveConfigException("Bayesian sampling takes whole numbers only in quniform.")
