"""Where the values of hyperparameters come from: an expression is a list of a distribution's name and its arguments."""

from typing import Any, List

from azureml.train.hyperdrive.exceptions import HyperDriveConfigException


def choice(*options: Any) -> List[Any]:
    """One of several values, all as likely.

    Args:
        options: the values; or one list or range of them.

    Raises:
        HyperDriveConfigException: there are none, or several lists.
    """
    if not options:
        raise HyperDriveConfigException("choice needs values to choose from.")
    if len(options) == 1 and isinstance(options[0], (list, range)):
        values = list(options[0])
    elif any(isinstance(option, (list, range)) for option in options):
        values = []
    else:
        values = list(options)
    if not values:
        raise HyperDriveConfigException("choice takes one list or range that is not empty, or values one by one.")
    return ["choice", [values]]


def randint(upper: int) -> List[Any]:
    """A whole number from 0 up to, but not with, `upper`."""
    if not isinstance(upper, int) or upper <= 0:
        raise HyperDriveConfigException("randint needs a whole number above 0, not {!r}.".format(upper))
    return ["randint", [upper]]


def uniform(min_value: float, max_value: float) -> List[Any]:
    """A number between `min_value` and `max_value`, all as likely."""
    _check_bounds("uniform", min_value, max_value)
    if min_value >= max_value:
        raise HyperDriveConfigException("uniform needs min_value < max_value.")
    return ["uniform", [min_value, max_value]]


def quniform(min_value: float, max_value: float, q: int) -> List[Any]:
    """``round(uniform(min_value, max_value) / q) * q``."""
    _check_bounds("quniform", min_value, max_value)
    _check_step("quniform", q)
    if min_value >= max_value:
        raise HyperDriveConfigException("quniform needs min_value < max_value.")
    return ["quniform", [min_value, max_value, q]]


def loguniform(min_value: float, max_value: float) -> List[Any]:
    """``exp(uniform(min_value, max_value))``: the logarithms are given, not the bounds themselves."""
    _check_bounds("loguniform", min_value, max_value)
    if min_value > max_value:
        raise HyperDriveConfigException("loguniform needs min_value <= max_value.")
    return ["loguniform", [min_value, max_value]]


def qloguniform(min_value: float, max_value: float, q: int) -> List[Any]:
    """``round(exp(uniform(min_value, max_value)) / q) * q``."""
    _check_bounds("qloguniform", min_value, max_value)
    _check_step("qloguniform", q)
    if min_value > max_value:
        raise HyperDriveConfigException("qloguniform needs min_value <= max_value.")
    return ["qloguniform", [min_value, max_value, q]]


def normal(mu: float, sigma: float) -> List[Any]:
    """A number of the normal distribution with mean `mu` and standard deviation `sigma`."""
    _check_normal("normal", mu, sigma)
    return ["normal", [mu, sigma]]


def qnormal(mu: float, sigma: float, q: int) -> List[Any]:
    """``round(normal(mu, sigma) / q) * q``."""
    _check_normal("qnormal", mu, sigma)
    _check_step("qnormal", q)
    return ["qnormal", [mu, sigma, q]]


def lognormal(mu: float, sigma: float) -> List[Any]:
    """``exp(normal(mu, sigma))``."""
    _check_normal("lognormal", mu, sigma)
    return ["lognormal", [mu, sigma]]


def qlognormal(mu: float, sigma: float, q: int) -> List[Any]:
    """``round(exp(normal(mu, sigma)) / q) * q``."""
    _check_normal("qlognormal", mu, sigma)
    _check_step("qlognormal", q)
    return ["qlognormal", [mu, sigma, q]]


def _check_number(what: str, name: str, value: Any) -> None:
    if not isinstance(value, (int, float)):
        raise HyperDriveConfigException("{} needs a number as {}, not {!r}.".format(what, name, value))


def _check_bounds(what: str, min_value: Any, max_value: Any) -> None:
    _check_number(what, "min_value", min_value)
    _check_number(what, "max_value", max_value)


def _check_normal(what: str, mu: Any, sigma: Any) -> None:
    _check_number(what, "mu", mu)
    _check_number(what, "sigma", sigma)
    if sigma < 0:
        raise HyperDriveConfigException("{} needs a sigma that is not negative, not {!r}.".format(what, sigma))


def _check_step(what: str, q: Any) -> None:
    if not isinstance(q, int) or q <= 0:
        raise HyperDriveConfigException("{} needs a whole number above 0 as q, not {!r}.".format(what, q))
