"""Reads the files of a dataset as one pandas DataFrame, as its definition says.

What becomes of a field follows azureml-core 1.61, as observed: an empty one is missing, words such as `NA` are text,
columns of whole numbers, numbers, true/false or times become such, a column of whole numbers with gaps becomes one of
floats. A column of nothing but 0 and 1 stays one of numbers here.
"""

import json
import re
from typing import Any, Dict, List, Mapping, Sequence, Tuple

from azureml.data._partition_format import parse
from azureml.data.dataset_error_handling import DatasetExecutionError, missing_package

_ENCODINGS = {
    "utf8": "utf-8-sig",
    "iso88591": "latin-1",
    "latin1": "latin-1",
    "ascii": "ascii",
    "utf16": "utf-16",
    "utf32": "utf-32",
    "utf8bom": "utf-8-sig",
    "windows1252": "cp1252",
}
_WHOLE = re.compile(r"[+-]?\d{1,18}")
_TIME_OF_DAY = r"(?:[T ]\d{1,2}:\d{2}(?::\d{2}(?:\.\d{1,9})?)?(?: ?(?:Z|[+-]\d{2}:?\d{2}))?)?"
_TIME = re.compile(r"(?:\d{4}-\d{1,2}-\d{1,2}|\d{4}/\d{1,2}/\d{1,2}|\d{1,2}/\d{1,2}/\d{4})" + _TIME_OF_DAY)
# (path on this machine, where it comes from)
Files = Sequence[Tuple[str, str]]


def pandas() -> Any:
    """The package. Raises UserErrorException when it is not installed."""
    try:
        import pandas as package
    except ImportError:
        raise missing_package("pandas", "Reading a dataset as a table") from None
    return package


def read(files: "Files", reading: Mapping[str, Any], on_error: str, out_of_range: str) -> Any:
    """All files as one DataFrame.

    Args:
        on_error, out_of_range: what becomes of a field that is not of the type that `set_column_types` wants, or of a
            time that cannot be held: ``null`` (missing) or ``fail``.

    Raises:
        DatasetExecutionError: a file is not of the form; with ``fail``: a field is not of its type.
        UserErrorException: pandas or pyarrow is not installed.
    """
    readers = {"delimited": _delimited, "parquet": _parquet, "jsonLines": _json_lines}
    frames = readers[str(reading["format"])](files, reading)
    types = reading.get("columnTypes") or {}
    package = pandas()
    data = package.concat(frames, ignore_index=True) if frames else package.DataFrame()
    for name in data.columns:
        if name in types:
            data[name] = _converted(data[name], types[name], on_error, out_of_range)
        elif reading.get("infer"):
            data[name] = _inferred(data[name])
        else:
            data[name] = _with_none(data[name])
    for position, (name, values) in enumerate(_columns_of_files(files, frames, reading).items()):
        if name in data.columns:
            raise DatasetExecutionError("The column {!r} of paths is one of the data, too.".format(name))
        data.insert(position, name, values)
    return data


def _columns_of_files(files: "Files", frames: Sequence[Any], reading: Mapping[str, Any]) -> Dict[str, List[Any]]:
    columns: Dict[str, List[Any]] = {}
    if reading.get("includePath"):
        columns["Path"] = [shown for (_, shown), frame in zip(files, frames) for _ in range(len(frame))]
    if reading.get("partitionFormat"):
        form = parse(reading["partitionFormat"])
        for (_, shown), frame in zip(files, frames):
            for name, value in form.values(shown).items():
                columns.setdefault(name, []).extend([value] * len(frame))
    return columns


# -- delimited --------------------------------------------------------------------------------------------------------


def _delimited(files: "Files", reading: Mapping[str, Any]) -> List[Any]:
    header = reading["header"]
    frames: List[Any] = []
    names: List[str] = []
    for number, (path, shown) in enumerate(files):
        rows = _rows(path, shown, reading)
        if header == "NO_HEADERS" or (header == "ONLY_FIRST_FILE_HAS_HEADERS" and number):
            first: List[Any] = []
        else:
            first = list(rows.iloc[0]) if len(rows) else []
            rows = rows.iloc[1:]
        if header == "COMBINE_ALL_FILES_HEADERS":
            names = []
        if not names:
            names = _names(first, 0)
        if len(rows.columns) > len(names):
            names = names + _names([None] * (len(rows.columns) - len(names)), len(names))
        rows.columns = names[: len(rows.columns)]
        frames.append(rows)
    return frames


def _names(first: Sequence[Any], before: int) -> List[str]:
    """Names of columns from a first row: `Column3` where it has none, `a_1` for the second `a`."""
    names: List[str] = []
    seen: Dict[str, int] = {}
    for number, value in enumerate(first, before + 1):
        name = value if isinstance(value, str) and value else "Column{}".format(number)
        count = seen.get(name, 0)
        seen[name] = count + 1
        names.append("{}_{}".format(name, count) if count else name)
    return names


def _rows(path: str, shown: str, reading: Mapping[str, Any]) -> Any:
    """The rows of a file, the header among them, all fields as text or NaN."""
    package = pandas()
    separator = str(reading["separator"])
    arguments: Dict[str, Any] = {
        "header": None,
        "dtype": object,
        "keep_default_na": False,
        "na_values": [] if reading.get("emptyAsString") else [""],
        "encoding": _ENCODINGS[str(reading["encoding"])],
        "sep": separator if len(separator) == 1 else re.escape(separator),
        "engine": "c" if len(separator) == 1 else "python",
    }
    if arguments["engine"] == "c":
        arguments["low_memory"] = False
    try:
        try:
            return package.read_csv(path, **arguments)
        except package.errors.ParserError:
            # A row with more fields than the first: Azure gives them columns of their own.
            width = _width(path, separator, arguments["encoding"])
            return package.read_csv(path, names=list(range(width)), **arguments)
    except package.errors.EmptyDataError:
        return package.DataFrame()
    except (UnicodeError, ValueError) as error:
        raise DatasetExecutionError("{}: is not delimited text as the dataset says: {}.".format(shown, error)) from None


def _width(path: str, separator: str, encoding: str) -> int:
    import csv

    with open(path, encoding=encoding, newline="") as file:
        if len(separator) == 1:
            return max((len(row) for row in csv.reader(file, delimiter=separator)), default=0)
        return max((line.count(separator) + 1 for line in file), default=0)


# -- other formats ----------------------------------------------------------------------------------------------------


def _parquet(files: "Files", reading: Mapping[str, Any]) -> List[Any]:
    package = pandas()
    try:
        import pyarrow
    except ImportError:
        raise missing_package("pyarrow", "Reading Parquet files") from None
    frames = []
    for path, shown in files:
        try:
            frames.append(package.read_parquet(path, engine="pyarrow"))
        except (pyarrow.ArrowException, OSError) as error:
            raise DatasetExecutionError("{}: cannot be read as Parquet: {}.".format(shown, error)) from None
    return frames


def _json_lines(files: "Files", reading: Mapping[str, Any]) -> List[Any]:
    package = pandas()
    frames = []
    for path, shown in files:
        records = []
        with open(path, encoding=_ENCODINGS[str(reading["encoding"])]) as file:
            try:
                for number, line in enumerate(file, 1):
                    record = _record(line, "{}: line {}".format(shown, number), reading["invalidLines"] == "drop")
                    if record is not None:
                        records.append(record)
            except UnicodeError as error:
                raise DatasetExecutionError("{}: is no text as the dataset says: {}.".format(shown, error)) from None
        frames.append(package.DataFrame(records))
    return frames


def _record(line: str, where: str, drop: bool) -> Any:
    if not line.strip():
        return None
    try:
        value = json.loads(line)
    except ValueError as error:
        value, why = None, str(error)
    else:
        why = "it is no object"
    if isinstance(value, dict):
        return value
    if drop:
        return None
    raise DatasetExecutionError("{}: is not JSON as the dataset says: {}. (invalid_lines='drop')".format(where, why))


# -- types ------------------------------------------------------------------------------------------------------------


def _with_none(series: Any) -> Any:
    return series.where(series.notna(), None) if series.dtype == object else series


def _inferred(series: Any) -> Any:
    """A column of text as what all its fields look like."""
    values = series.dropna()
    if series.dtype != object or not len(values):
        return _with_none(series)
    texts = values.map(str.strip)
    distinct = texts.unique()
    if all(text.lower() in ("true", "false") for text in distinct):
        result = texts.map(lambda text: text.lower() == "true")
        return result if len(values) == len(series) else result.astype(object).reindex(series.index, fill_value=None)
    numbers = pandas().to_numeric(texts, errors="coerce")
    if numbers.notna().all() and not any("_" in text for text in distinct[:100]):
        whole = all(_WHOLE.fullmatch(text) for text in distinct)
        if whole and len(values) == len(series):
            return numbers.astype("int64")
        return numbers.astype("float64").reindex(series.index)
    if all(_TIME.fullmatch(text) for text in distinct):
        times = _times(texts, [])
        if times.notna().all():
            return times.reindex(series.index)
    return _with_none(series)


def _times(texts: Any, formats: Sequence[str]) -> Any:
    """Times without a zone (those with one as UTC); missing where a text is none."""
    package = pandas()
    if not formats:
        new = int(package.__version__.split(".")[0]) >= 2
        found = package.to_datetime(texts, errors="coerce", utc=True, **({"format": "mixed"} if new else {}))
    else:
        found = None
        for form in formats:
            this = package.to_datetime(texts, format=form, errors="coerce", utc=True)
            found = this if found is None else found.fillna(this)
    return found.dt.tz_localize(None).astype("datetime64[ns]")


def _with_point(value: Any) -> Any:
    """A number as text, with a decimal point for the decimal comma."""
    return value.replace(".", "").replace(",", ".") if isinstance(value, str) else value


def _converted(series: Any, wanted: Mapping[str, Any], on_error: str, out_of_range: str) -> Any:
    package = pandas()
    kind = wanted["type"]
    present = series.dropna()
    if kind == "string":
        return _with_none(present.map(str).reindex(series.index).astype(object))
    texts = present.map(lambda value: value.strip() if isinstance(value, str) else value)
    if kind == "bool":
        words = texts.map(lambda value: str(value).lower())
        result = words.map({"true": True, "1": True, "false": False, "0": False})
    elif kind == "datetime":
        if package.api.types.is_datetime64_any_dtype(texts):
            return series
        formats = list(wanted.get("formats") or ())
        result = _times(texts.map(str), formats) if len(texts) else texts.astype("datetime64[ns]")
    else:
        if wanted.get("decimalMark") == ",":
            texts = texts.map(
                lambda value: value.replace(".", "").replace(",", ".") if isinstance(value, str) else value
            )
        result = package.to_numeric(texts, errors="coerce")
        if kind == "long":
            result = result.where(result == result.round())
    if (on_error == "fail" or (kind == "datetime" and out_of_range == "fail")) and result.isna().any():
        bad = present[result.isna()].iloc[0]
        raise DatasetExecutionError("The column {!r}: {!r} is no {}.".format(series.name, bad, kind))
    if result.notna().all() and len(result) == len(series):
        return result.astype({"long": "int64", "float": "float64", "bool": "bool"}.get(kind, "datetime64[ns]"))
    if kind == "bool":
        return _with_none(result.astype(object).reindex(series.index))
    return result.reindex(series.index).astype("datetime64[ns]" if kind == "datetime" else "float64")
