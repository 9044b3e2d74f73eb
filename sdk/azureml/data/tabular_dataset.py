"""`TabularDataset`: files that are read as one table."""

import random
import tempfile
from datetime import datetime, timedelta, timezone
from typing import Any, Dict, List, Optional, Sequence, Tuple, Union

from azureml._localaml.unsupported import unsupported
from azureml.data._dataset_files import File, fetch, files_of
from azureml.data.abstract_dataset import AbstractDataset, chance, count
from azureml.data.dataset_error_handling import DatasetExecutionError
from azureml.exceptions import DatasetTimestampMissingError, UserErrorException

Columns = Union[str, Sequence[str]]


class TabularDataset(AbstractDataset):
    """A table. Made by `Dataset.Tabular.from_...`. Nothing is read before `to_pandas_dataframe`."""

    _is_file = False

    def to_pandas_dataframe(self, on_error: str = "null", out_of_range_datetime: str = "null") -> Any:
        """Reads all of it.

        Args:
            on_error: what becomes of a field that is not of the type that `set_column_types` says: ``null`` (missing)
                or ``fail``.
            out_of_range_datetime: the same for times that cannot be held.

        Raises:
            DatasetExecutionError: the files are not as the dataset says.
            UserErrorException: pandas (or pyarrow, for Parquet) is not installed.
        """
        from azureml.data._tables import pandas, read

        for name, value in (("on_error", on_error), ("out_of_range_datetime", out_of_range_datetime)):
            if value not in ("null", "fail"):
                raise UserErrorException("{} is 'null' or 'fail', not {!r}.".format(name, value))
        pandas()  # before anything is fetched
        files = files_of({k: v for k, v in self._definition.items() if k != "selections"}, self._workspace)
        with tempfile.TemporaryDirectory(prefix="localaml-dataset-") as folder:
            # Numbered: a file that two paths name is read twice, as in Azure.
            copies = [file._replace(path=str(number)) for number, file in enumerate(files)]
            local = fetch(copies, folder, self._workspace, overwrite=True)
            data = read(_shown(local, files), self._table["reading"], on_error, out_of_range_datetime)
        for step in self._table.get("steps") or ():
            data = _apply(data, step)
        return data

    # -- choosing rows and columns ------------------------------------------------------------------------------------

    def take(self, count: int) -> "TabularDataset":
        """The first so many rows."""
        return self._with({"take": _count(count)})

    def skip(self, count: int) -> "TabularDataset":
        """All rows but the first so many."""
        return self._with({"skip": _count(count)})

    def take_sample(self, probability: float, seed: Optional[int] = None) -> "TabularDataset":
        """Each row with a probability. The same seed gives the same rows."""
        return self._with({"sample": chance(probability, "probability", seed)})

    def random_split(self, percentage: float, seed: Optional[int] = None) -> "Tuple[TabularDataset, TabularDataset]":
        """Two datasets: each row is in the first with this probability (0 to 1), else in the second."""
        first = chance(percentage, "percentage", seed)
        return self._with({"sample": first}), self._with({"sample": dict(first, complement=True)})

    def keep_columns(self, columns: "Columns", validate: bool = False) -> "TabularDataset":
        """Only these columns; names that the table lacks are left out. A dataset without its timestamp column loses its
        abilities with times.

        Args:
            validate: read the table now, and raise UserErrorException when none of the columns is there.
        """
        names = _names(columns)
        timestamp, partition = self.timestamp_columns
        made = self._with({"keep": names})._with_timestamps(
            timestamp if timestamp in names else None,
            partition if timestamp in names and partition in names else None,
        )
        if validate:
            made.to_pandas_dataframe()
        return made

    def drop_columns(self, columns: "Columns") -> "TabularDataset":
        """All columns but these; names that the table lacks do not matter."""
        names = _names(columns)
        timestamp, partition = self.timestamp_columns
        lost = timestamp in names
        return self._with({"drop": names})._with_timestamps(
            None if lost else timestamp, None if lost or partition in names else partition
        )

    def filter(self, expression: Any) -> "TabularDataset":
        """Not supported."""
        raise unsupported("TabularDataset.filter", "Filter the DataFrame of to_pandas_dataframe().")

    # -- times --------------------------------------------------------------------------------------------------------

    @property
    def timestamp_columns(self) -> Tuple[Optional[str], Optional[str]]:
        """The columns of times, and of the times in paths."""
        return self._table.get("timestamp") or None, self._table.get("partitionTimestamp") or None

    def with_timestamp_columns(
        self,
        timestamp: Optional[str] = None,
        partition_timestamp: Optional[str] = None,
        validate: bool = False,
        **kwargs: Any,
    ) -> "TabularDataset":
        """Says which columns hold times, for `time_before` and the like; None forgets them.

        Args:
            partition_timestamp: a coarser time, of the files' paths.
            validate: read the table now, and raise UserErrorException when the columns hold no times.
        """
        for old, new in (("fine_grain_timestamp", "timestamp"), ("coarse_grain_timestamp", "partition_timestamp")):
            if old in kwargs:
                value = kwargs.pop(old)
                if new == "timestamp":
                    timestamp = timestamp or value
                else:
                    partition_timestamp = partition_timestamp or value
        if kwargs:
            raise TypeError("with_timestamp_columns() got an unexpected argument {!r}".format(sorted(kwargs)[0]))
        if partition_timestamp and not timestamp:
            raise UserErrorException("partition_timestamp can be assigned only if timestamp is assigned.")
        if timestamp and timestamp == partition_timestamp:
            raise UserErrorException("partition_timestamp cannot be the same as timestamp.")
        made = self._with_timestamps(timestamp, partition_timestamp)
        if validate and timestamp:
            data = made.to_pandas_dataframe()
            for name in (timestamp, partition_timestamp):
                if name:
                    _check_times(data, name)
        return made

    def time_before(self, end_time: datetime, include_boundary: bool = True, validate: bool = True) -> "TabularDataset":
        """The rows up to a time. Raises DatasetTimestampMissingError when no column is said to hold times."""
        return self._between("time_before", None, end_time, include_boundary)

    def time_after(
        self, start_time: datetime, include_boundary: bool = True, validate: bool = True
    ) -> "TabularDataset":
        """The rows from a time on. Raises DatasetTimestampMissingError as `time_before`."""
        return self._between("time_after", start_time, None, include_boundary)

    def time_between(
        self, start_time: datetime, end_time: datetime, include_boundary: bool = True, validate: bool = True
    ) -> "TabularDataset":
        """The rows between two times. Raises DatasetTimestampMissingError as `time_before`."""
        return self._between("time_between", start_time, end_time, include_boundary)

    def time_recent(
        self, time_delta: timedelta, include_boundary: bool = True, validate: bool = True
    ) -> "TabularDataset":
        """The rows of the last so much time, from now. Raises DatasetTimestampMissingError as `time_before`."""
        if not isinstance(time_delta, timedelta):
            raise UserErrorException("time_delta must be a datetime.timedelta, not {!r}.".format(time_delta))
        now = datetime.now()
        return self._between("time_recent", now - time_delta, now, include_boundary)

    # -- what LocalAML lacks ------------------------------------------------------------------------------------------

    def to_spark_dataframe(self) -> Any:
        """Not supported."""
        raise unsupported("TabularDataset.to_spark_dataframe", "Use to_pandas_dataframe().")

    def to_dask_dataframe(
        self, sample_size: int = 10000, dtypes: Any = None, on_error: str = "null", out_of_range_datetime: str = "null"
    ) -> Any:
        """Not supported."""
        raise unsupported("TabularDataset.to_dask_dataframe", "Use to_pandas_dataframe().")

    def to_csv_files(self, separator: str = ",") -> Any:
        """Not supported."""
        raise unsupported("TabularDataset.to_csv_files", "Write the DataFrame of to_pandas_dataframe().")

    def to_parquet_files(self) -> Any:
        """Not supported."""
        raise unsupported("TabularDataset.to_parquet_files", "Write the DataFrame of to_pandas_dataframe().")

    def partition_by(
        self,
        partition_keys: List[str],
        target: Any,
        name: Optional[str] = None,
        show_progress: bool = True,
        partition_as_file_dataset: bool = False,
    ) -> Any:
        """Not supported."""
        raise unsupported("TabularDataset.partition_by")

    def download(
        self,
        stream_column: str,
        target_path: Optional[str] = None,
        overwrite: bool = False,
        ignore_not_found: bool = True,
    ) -> Any:
        """Not supported: columns that name files."""
        raise unsupported("TabularDataset.download", "Use a FileDataset.")

    def mount(self, stream_column: str, mount_point: Optional[str] = None) -> Any:
        """Not supported: columns that name files."""
        raise unsupported("TabularDataset.mount", "Use a FileDataset.")

    def get_profile(self, workspace: Any = None) -> Any:
        """Not supported."""
        raise unsupported("TabularDataset.get_profile", "Use to_pandas_dataframe().describe().")

    def get_profile_runs(self, workspace: Any = None) -> Any:
        """Not supported."""
        raise unsupported("TabularDataset.get_profile_runs")

    def submit_profile_run(self, compute_target: Any, experiment: Any, cache_datastore_name: Any = None) -> Any:
        """Not supported."""
        raise unsupported("TabularDataset.submit_profile_run")

    # -- inside -------------------------------------------------------------------------------------------------------

    @property
    def _table(self) -> Dict[str, Any]:
        table: Dict[str, Any] = self._definition["table"]
        return table

    def _changed(self, **changes: Any) -> "TabularDataset":
        return TabularDataset._new(dict(self._definition, table=dict(self._table, **changes)), self._workspace)

    def _with(self, step: Dict[str, Any]) -> "TabularDataset":
        return self._changed(steps=[*self._table.get("steps", ()), step])

    def _with_timestamps(self, timestamp: Optional[str], partition: Optional[str]) -> "TabularDataset":
        return self._changed(timestamp=timestamp or "", partitionTimestamp=partition or "")

    def _between(self, method: str, start: Any, end: Any, include: bool) -> "TabularDataset":
        column = self.timestamp_columns[0]
        if column is None:
            raise DatasetTimestampMissingError(
                "Cannot perform time-series filter `{}` on dataset without timestamp columns defined. Please use "
                "`with_timestamp_columns` to enable time-series capabilities".format(method)
            )
        step = {"column": column, "include": bool(include)}
        for name, time in (("from", start), ("to", end)):
            if time is not None:
                step[name] = _iso(time)
        return self._with({"time": step})

    def _shown_steps(self) -> List[str]:
        reading = self._table.get("reading") or {}
        return ["Read({})".format(reading.get("format"))] + [
            "{}({})".format(kind.capitalize(), value)
            for step in self._table.get("steps") or ()
            for kind, value in step.items()
        ]


# The parameters above are called as in Azure's SDK.
_count = count


def _shown(local: Sequence[str], files: Sequence[File]) -> List[Tuple[str, str]]:
    return [(path, file.shown) for path, file in zip(local, files)]


def _names(columns: "Columns") -> List[str]:
    names = [columns] if isinstance(columns, str) else columns
    if not isinstance(names, (list, tuple)) or not names or not all(isinstance(name, str) for name in names):
        raise ValueError("Columns are given by name, one or a list of them, not {!r}.".format(columns))
    return list(names)


def _iso(time: Any) -> str:
    if not isinstance(time, datetime):
        raise UserErrorException("A time must be a datetime.datetime, not {!r}.".format(time))
    if time.tzinfo is not None:
        time = time.astimezone(timezone.utc).replace(tzinfo=None)
    return time.isoformat()


def _check_times(data: Any, name: str) -> None:
    from azureml.data._tables import pandas

    if name not in data.columns:
        raise DatasetExecutionError("The timestamp column {!r} is not in the table.".format(name))
    if not pandas().api.types.is_datetime64_any_dtype(data[name]):
        raise DatasetExecutionError("The timestamp column {!r} holds no times.".format(name))


def _apply(data: Any, step: Dict[str, Any]) -> Any:
    kind, value = next(iter(step.items()))
    if kind == "take":
        return data.iloc[: int(value)].reset_index(drop=True)
    if kind == "skip":
        return data.iloc[int(value) :].reset_index(drop=True)
    if kind == "keep":
        there = [name for name in data.columns if name in value]
        if not there:
            raise DatasetExecutionError("The table has none of the columns {}.".format(", ".join(value)))
        return data[there]
    if kind == "drop":
        return data[[name for name in data.columns if name not in value]]
    if kind == "time":
        return _in_time(data, value)
    if kind == "sample":
        probability, complement = float(value["probability"]), bool(value.get("complement"))
        number = random.Random(int(value["seed"]))  # noqa: S311 - has to repeat, hides nothing
        chosen = [(number.random() < probability) is not complement for _ in range(len(data))]
        return data[chosen].reset_index(drop=True)
    raise DatasetExecutionError("This SDK does not know the step {!r} of the dataset.".format(kind))


def _in_time(data: Any, value: Dict[str, Any]) -> Any:
    from azureml.data._tables import pandas

    _check_times(data, value["column"])
    times = data[value["column"]]
    if getattr(times.dtype, "tz", None) is not None:
        times = times.dt.tz_convert("UTC").dt.tz_localize(None)
    chosen = times.notna()
    if "from" in value:
        start = pandas().Timestamp(value["from"])
        chosen &= (times >= start) if value["include"] else (times > start)
    if "to" in value:
        end = pandas().Timestamp(value["to"])
        chosen &= (times <= end) if value["include"] else (times < end)
    return data[chosen].reset_index(drop=True)
