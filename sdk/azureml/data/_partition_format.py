"""Columns from the paths of files: `{state}/{day:yyyy/MM/dd}/data.csv`."""

import re
from datetime import datetime
from typing import Any, Dict, List, NamedTuple, Optional, Pattern

from azureml.data.dataset_error_handling import DatasetExecutionError
from azureml.exceptions import UserErrorException

_FIELD = re.compile(r"\{([^{}]*)\}")
_NAME = re.compile(r"[^\W\d]\w*")
# Letters of a time's form, as Azure writes them: pattern, and which part of the time they are.
_PARTS = {
    "yyyy": (r"\d{4}", "year"),
    "yy": (r"\d{2}", "short year"),
    "MM": (r"\d{1,2}", "month"),
    "M": (r"\d{1,2}", "month"),
    "dd": (r"\d{1,2}", "day"),
    "d": (r"\d{1,2}", "day"),
    "HH": (r"\d{1,2}", "hour"),
    "H": (r"\d{1,2}", "hour"),
    "mm": (r"\d{1,2}", "minute"),
    "m": (r"\d{1,2}", "minute"),
    "ss": (r"\d{1,2}", "second"),
    "s": (r"\d{1,2}", "second"),
}
_LETTERS = re.compile(r"[A-Za-z]+")


class PartitionFormat(NamedTuple):
    """A form of paths. `columns`: name -> the parts of its time in the order of its groups; None: text."""

    text: str
    expression: Pattern[str]
    columns: Dict[str, Optional[List[str]]]

    def values(self, path: str) -> Dict[str, Any]:
        """The columns of a file. Raises DatasetExecutionError when its path is not of the form."""
        match = self.expression.search(path)
        if match is None:
            raise DatasetExecutionError(
                "The path {!r} does not end in the form of partition_format {!r}.".format(path, self.text)
            )
        values: Dict[str, Any] = {}
        groups = iter(match.groups())
        for name, parts in self.columns.items():
            values[name] = next(groups) if parts is None else self._time([(part, next(groups)) for part in parts], path)
        return values

    def _time(self, parts: Any, path: str) -> datetime:
        fields = {"year": 1900, "month": 1, "day": 1}
        for part, text in parts:
            if part == "short year":
                fields["year"] = 2000 + int(text)
            else:
                fields[part] = int(text)
        try:
            return datetime(**fields)  # type: ignore[arg-type]  # the names are those of its parameters
        except ValueError as error:
            raise DatasetExecutionError("The path {!r} holds no time: {}.".format(path, error)) from None


def parse(text: str) -> "PartitionFormat":
    """Reads a partition format. Raises UserErrorException when it is none."""
    if not isinstance(text, str) or not _FIELD.search(text):
        raise UserErrorException(
            "partition_format must name a column, like '{{state}}/data.csv', not {!r}.".format(text)
        )
    expression, position = "", 0
    columns: Dict[str, Optional[List[str]]] = {}
    for field in _FIELD.finditer(text):
        expression += _literal(text[position : field.start()])
        position = field.end()
        name, colon, form = field.group(1).partition(":")
        if not _NAME.fullmatch(name) or name in columns:
            raise UserErrorException(
                "partition_format {!r}: {!r} is no name for a column, or is there twice.".format(text, name)
            )
        if not colon:
            columns[name] = None
            expression += "([^/]+)"
        else:
            parts: List[str] = []
            expression += _time_expression(form, parts, text)
            columns[name] = parts
    expression += _literal(text[position:])
    # From the first column on; what stands before it may be the end of a name only when it begins with "/".
    start = "" if text.startswith("/") else "(?:^|/)"
    return PartitionFormat(text, re.compile(start + expression + "$"), columns)


def _literal(text: str) -> str:
    return re.escape(text).replace(r"\*", "[^/]*")


def _time_expression(form: str, parts: List[str], text: str) -> str:
    expression, position = "", 0
    for letters in _LETTERS.finditer(form):
        known = _PARTS.get(letters.group())
        if known is None or known[1] in parts:
            raise UserErrorException(
                "partition_format {!r}: {!r} is no part of a time; use yyyy, MM, dd, HH, mm and ss.".format(
                    text, letters.group()
                )
            )
        expression += re.escape(form[position : letters.start()]) + "({})".format(known[0])
        parts.append(known[1])
        position = letters.end()
    if not parts:
        raise UserErrorException("partition_format {!r}: the form {!r} names no part of a time.".format(text, form))
    return expression + re.escape(form[position:])
