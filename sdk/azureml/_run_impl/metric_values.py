"""Metric values: checked and written as JSON at one end, read and put in Azure's shapes at the other."""

import json
import math
import operator
from typing import Any, Callable, Dict, Iterable, List, Mapping, Tuple

SCALAR = "METRIC_TYPE_SCALAR"
LIST = "METRIC_TYPE_LIST"
ROW = "METRIC_TYPE_ROW"
TABLE = "METRIC_TYPE_TABLE"
IMAGE = "METRIC_TYPE_IMAGE"
CONFUSION_MATRIX = "METRIC_TYPE_CONFUSION_MATRIX"
ACCURACY_TABLE = "METRIC_TYPE_ACCURACY_TABLE"
RESIDUALS = "METRIC_TYPE_RESIDUALS"
PREDICTIONS = "METRIC_TYPE_PREDICTIONS"

# Types that Python writes as JSON in a form that reads back as the same value. Not their subclasses (numpy.float64
# is one).
PLAIN_TYPES = frozenset((float, int, str, bool))

# One record has to fit into a message together with its neighbours.
MAX_VALUE_BYTES = 1024 * 1024
_MAX_NAME = 255
_MAX_DESCRIPTION = 4096
# Longer text is written as JSON when it is logged, so that it is refused there when it is too large.
LONG_TEXT = 100000


def check_name(name: Any) -> str:
    """A metric's name. Raises UserErrorException when it is none."""
    from azureml.exceptions import UserErrorException

    if not isinstance(name, str) or not name.strip() or len(name) > _MAX_NAME or not name.isprintable():
        shown = repr(name)
        raise UserErrorException(
            "A metric's name must be text of 1 to {} printable characters, not {}.".format(
                _MAX_NAME, shown if len(shown) <= 80 else shown[:77] + "..."
            )
        )
    return str(name)


def check_description(description: Any) -> str:
    """A description as text; None is none. Raises UserErrorException when it is too long."""
    from azureml.exceptions import UserErrorException

    text = "" if description is None else str(description)
    if len(text) > _MAX_DESCRIPTION:
        raise UserErrorException(
            "A metric's description has at most {} characters, not {}.".format(_MAX_DESCRIPTION, len(text))
        )
    return text.encode("utf-8", "replace").decode("utf-8")


def check_integer(value: int, what: str) -> int:
    """An integer of 64 bits. Raises UserErrorException for a larger one."""
    if -(2**63) <= value < 2**63:
        return value
    from azureml.exceptions import UserErrorException

    raise UserErrorException("{} is an integer of more than 64 bits; log it as a float or as text.".format(what))


def plain_scalar(value: Any, what: str) -> Any:
    """One value as a plain int, float, str or bool. Scalars of numpy, PyTorch, TensorFlow, Decimal and others are taken
    by what they have of `item()`, `numpy()`, `__index__` and `__float__`.

    Raises:
        UserErrorException: it is no single value.
    """
    if type(value) is int:
        return check_integer(value, what)
    if type(value) in PLAIN_TYPES:
        return value
    for kind in (bool, str, int, float):
        if isinstance(value, kind):
            return plain_scalar(kind(value), what)
    inner = _inner_scalar(value)
    if inner is not None:
        return plain_scalar(inner, what)
    from azureml.exceptions import UserErrorException

    raise UserErrorException(
        "{} must be one number or text, not {} ({}). For several values use log_list, log_row or log_table.".format(
            what, type(value).__name__, _short(value)
        )
    )


def _inner_scalar(value: Any) -> Any:
    """The plain int, float, str or bool that a scalar of some library holds; None when it holds none."""
    if isinstance(value, type):
        return None
    for convert in (_item_of, _numpy_of, operator.index, float):
        inner = _converted(convert, value)
        if type(inner) in PLAIN_TYPES:
            return inner
    return None


def _converted(convert: Callable[[Any], Any], value: Any) -> Any:
    try:
        return convert(value)
    except Exception:  # what a library raises for "more than one value" is its own: TypeError, RuntimeError, ...
        return None


def _item_of(value: Any) -> Any:
    inner = value.item()
    # An array of objects gives one of them.
    return inner if type(inner) in PLAIN_TYPES or hasattr(inner, "item") else float(inner)


def _numpy_of(value: Any) -> Any:
    return value.numpy().item()


def plain_list(value: Any, what: str) -> List[Any]:
    """A list of single values; also from a tuple, range, numpy array or tensor of one dimension."""
    from azureml.exceptions import UserErrorException

    if hasattr(value, "tolist"):
        value = value.tolist()
    try:
        items = None if isinstance(value, (str, bytes, Mapping)) else list(value)
    except TypeError:
        items = None
    if items is None:
        raise UserErrorException("{} must be a list of values, not {}.".format(what, type(value).__name__))
    return [plain_scalar(item, "each value of " + what) for item in items]


def plain_table(value: Any, what: str) -> Dict[str, Any]:
    """A table: column name -> one value or a list of values."""
    from azureml.exceptions import UserErrorException

    if not isinstance(value, Mapping) or not value:
        raise UserErrorException(
            "{} must be a dict of column name and list of values, not {}.".format(what, _short(value))
        )
    table = {}
    for column, cells in value.items():
        label = "column {!r} of {}".format(column, what)
        table[str(column)] = plain_list(cells, label) if _is_list(cells) else plain_scalar(cells, label)
    return table


def _is_list(cells: Any) -> bool:
    """Whether it holds several values. A scalar of TensorFlow has a `__len__` that raises, one of numpy, too."""
    if isinstance(cells, (str, bytes)):
        return False
    try:
        len(cells)
    except Exception:
        return hasattr(cells, "__next__")
    return True


def plain_document(value: Any, what: str) -> Any:
    """A JSON document, or its text: what `log_confusion_matrix` and its like take."""
    from azureml.exceptions import UserErrorException

    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError as error:
            raise UserErrorException("{} must be a dict or its JSON text: {}.".format(what, error)) from None
    if not isinstance(value, Mapping):
        raise UserErrorException("{} must be a dict or its JSON text, not {}.".format(what, _short(value)))
    return dict(value)


def encode(value: Any, what: str) -> str:
    """A checked value as JSON text. Raises UserErrorException when it is too large or cannot be written."""
    from azureml.exceptions import UserErrorException

    try:
        text = json.dumps(value, default=_item)
    except (TypeError, ValueError) as error:
        raise UserErrorException("{} cannot be logged: {}.".format(what, error)) from None
    if len(text) > MAX_VALUE_BYTES:
        raise UserErrorException(
            "{} has {} bytes; a metric can have {}. Write it to a file under ./outputs, or upload_file it.".format(
                what, len(text), MAX_VALUE_BYTES
            )
        )
    return text


def encode_scalar(value: Any) -> str:
    """A plain scalar as JSON text; quicker than `json.dumps` for numbers."""
    kind = type(value)
    if kind is float:
        text = repr(value)
        # NaN and the infinities, as the json module reads them back.
        return text if math.isfinite(value) else {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}[text]
    if kind is int:
        return repr(value)
    return json.dumps(value)


def shape_metrics(series: Iterable[Mapping[str, Any]]) -> Dict[str, Any]:
    """Metric series, in the order of acceptance, in the shapes of `Run.get_metrics`.

    One scalar record is the value, several are a list. Lists logged under one name follow one another. Rows and
    tables are ``{column: value or list}``, with the columns of later records behind those of earlier ones.
    """
    records: Dict[str, List[Tuple[str, Any]]] = {}
    for one in series:
        kind = str(one.get("type") or SCALAR)
        values = records.setdefault(str(one.get("name", "")), [])
        values.extend((kind, json.loads(text)) for text in one.get("valuesJson") or ())
    return {name: _shape(values) for name, values in records.items() if values}


def _shape(records: List[Tuple[str, Any]]) -> Any:
    kinds = {kind for kind, _ in records}
    if kinds <= {ROW, TABLE} and all(isinstance(value, dict) for _, value in records):
        columns: Dict[str, Any] = {}
        for _, row in records:
            for column, cell in row.items():
                columns[column] = _joined(columns[column], cell) if column in columns else cell
        return columns
    if LIST in kinds and kinds <= {LIST, SCALAR}:
        result: List[Any] = []
        for kind, value in records:
            result.extend(value if kind == LIST else [value])
        return result
    values = [value for _, value in records]
    return values[0] if len(values) == 1 else values


def _joined(first: Any, second: Any) -> List[Any]:
    return (first if isinstance(first, list) else [first]) + (second if isinstance(second, list) else [second])


def _item(value: Any) -> Any:
    """For `json.dumps`: arrays and scalars of numpy and its like."""
    for method in ("tolist", "item"):
        function = getattr(value, method, None)
        if callable(function):
            return function()
    inner = _inner_scalar(value)
    if inner is not None:
        return inner
    raise TypeError("{} is not JSON".format(type(value).__name__))


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
