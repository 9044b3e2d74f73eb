"""`Dataset.File` and `Dataset.Tabular`: what makes datasets."""

import os
import re
import tempfile
import uuid
from typing import Any, Dict, List, Mapping, NoReturn, Optional, Union

from azureml._localaml.unsupported import unsupported
from azureml.data._dataset_sources import Sources, read_sources
from azureml.data.abstract_dataset import definition
from azureml.data.dataset_error_handling import DatasetValidationError, missing_package
from azureml.data.dataset_type_definitions import PromoteHeadersBehavior
from azureml.data.file_dataset import FileDataset
from azureml.data.tabular_dataset import TabularDataset
from azureml.exceptions import UserErrorException

_ENCODINGS = ("utf8", "iso88591", "latin1", "ascii", "utf16", "utf32", "utf8bom", "windows1252")


class DataType:
    """The type of a column, for `set_column_types`."""

    def __init__(self, kind: str, **settings: Any) -> None:
        self._kind = kind
        self._settings = settings

    @staticmethod
    def to_string() -> "DataType":
        """Text."""
        return DataType("string")

    @staticmethod
    def to_long() -> "DataType":
        """Whole numbers; what is none becomes missing."""
        return DataType("long")

    @staticmethod
    def to_float(decimal_mark: str = ".") -> "DataType":
        """Numbers; what is none becomes missing."""
        if decimal_mark not in (".", ","):
            raise UserErrorException("decimal_mark is '.' or ',', not {!r}.".format(decimal_mark))
        return DataType("float", decimalMark=decimal_mark)

    @staticmethod
    def to_bool() -> "DataType":
        """True and false."""
        return DataType("bool")

    @staticmethod
    def to_datetime(formats: Union[str, List[str], None] = None) -> "DataType":
        """Times. `formats` are tried in turn, as for `datetime.strptime`; without any, common forms are understood."""
        return DataType("datetime", formats=[formats] if isinstance(formats, str) else list(formats or ()))

    @staticmethod
    def to_stream(workspace: Any, escaped: bool = False) -> NoReturn:
        """Not supported."""
        raise unsupported("DataType.to_stream")

    def _to_dict(self) -> Dict[str, Any]:
        return dict(self._settings, type=self._kind)


class FileDatasetFactory:
    """`Dataset.File`."""

    @staticmethod
    def from_files(
        path: Any, validate: bool = True, partition_format: Optional[str] = None, is_file: bool = False
    ) -> FileDataset:
        """A dataset of files.

        Args:
            path: a tuple of a datastore and a path in it, a DataPath, a DataReference, a URL, or a list of those. A
                path is a file, a folder, or a pattern (``*``, ``?``, ``[...]``, ``**`` for any number of folders).
            validate: look whether something is there (in datastores; URLs are fetched when they are used).
            is_file: accepted: whether a path is a file is looked up.

        Raises:
            UserErrorException: another form of path.
            DatasetValidationError: nothing is there.
        """
        if partition_format:
            raise unsupported("from_files(partition_format=...)", "Read the parts of the paths from to_path().")
        sources = read_sources(path)
        content = definition(sources.items)
        if validate:
            _validate(content, sources)
        return FileDataset._new(content, sources.workspace)

    @staticmethod
    def upload_directory(
        src_dir: str,
        target: Any,
        pattern: Optional[str] = None,
        overwrite: bool = False,
        show_progress: bool = True,
    ) -> FileDataset:
        """Copies a folder into a datastore and makes a dataset of it.

        Args:
            target: a tuple of a datastore and a path in it, or a DataPath.
            pattern: only files whose path below `src_dir` this pattern means.

        Raises:
            UserErrorException: no such folder, or nothing in it that the pattern means.
        """
        datastore, place = _target(target)
        folder = os.path.expanduser(os.fspath(src_dir))
        if not os.path.isdir(folder):
            raise UserErrorException("The folder {} to upload does not exist.".format(folder))
        expression = _pattern(pattern) if pattern else None
        files = []
        for here, folders, names in os.walk(folder):
            folders.sort()
            for name in sorted(names):
                file = os.path.join(here, name)
                relative = os.path.relpath(file, folder).replace(os.sep, "/")
                if expression is None or expression.fullmatch(relative):
                    files.append(file)
        if not files:
            raise UserErrorException("There is no file to upload in {}.".format(folder))
        datastore.upload_files(files, folder, place, overwrite, show_progress)
        return FileDatasetFactory.from_files((datastore, place))


class TabularDatasetFactory:
    """`Dataset.Tabular`. For `path` and `validate` see `Dataset.File.from_files`.

    More arguments of its methods:
        include_path: add a column `Path` that says where a row comes from.
        set_column_types: column -> `DataType`.
        partition_format: columns from paths, e.g. ``{state}/{day:yyyy/MM/dd}/data.csv``; it ends where paths end.
    """

    @staticmethod
    def from_delimited_files(
        path: Any,
        validate: bool = True,
        include_path: bool = False,
        infer_column_types: bool = True,
        set_column_types: "Optional[Mapping[str, DataType]]" = None,
        separator: str = ",",
        header: Any = True,
        partition_format: Optional[str] = None,
        support_multi_line: bool = False,
        empty_as_string: bool = False,
        encoding: str = "utf8",
    ) -> TabularDataset:
        """A table from files such as CSV.

        Args:
            infer_column_types: make numbers, times, true and false of columns that are such; else all is text.
            separator: between the fields of a row.
            header: True (all files begin with the same names), False, or a `PromoteHeadersBehavior`.
            support_multi_line: accepted: quoted line breaks are always understood.
            empty_as_string: an empty field is '' and not missing.
            encoding: of the text.

        Raises:
            UserErrorException, DatasetValidationError: as `Dataset.File.from_files`; also bad settings.
        """
        if not isinstance(separator, str) or not separator:
            raise UserErrorException("separator must be text, not {!r}.".format(separator))
        settings = {
            "format": "delimited",
            "separator": separator,
            "header": _header(header),
            "emptyAsString": bool(empty_as_string),
            "encoding": _encoding(encoding),
            "infer": bool(infer_column_types),
        }
        return _table(path, validate, settings, include_path, set_column_types, partition_format)

    @staticmethod
    def from_parquet_files(
        path: Any,
        validate: bool = True,
        include_path: bool = False,
        set_column_types: "Optional[Mapping[str, DataType]]" = None,
        partition_format: Optional[str] = None,
    ) -> TabularDataset:
        """A table from Parquet files."""
        return _table(path, validate, {"format": "parquet"}, include_path, set_column_types, partition_format)

    @staticmethod
    def from_json_lines_files(
        path: Any,
        validate: bool = True,
        include_path: bool = False,
        set_column_types: "Optional[Mapping[str, DataType]]" = None,
        partition_format: Optional[str] = None,
        invalid_lines: str = "error",
        encoding: str = "utf8",
    ) -> TabularDataset:
        """A table from files with a JSON object in each line.

        Args:
            invalid_lines: ``error``, or ``drop`` lines that are none.
        """
        if invalid_lines not in ("error", "drop"):
            raise UserErrorException("invalid_lines is 'error' or 'drop', not {!r}.".format(invalid_lines))
        settings = {"format": "jsonLines", "invalidLines": invalid_lines, "encoding": _encoding(encoding)}
        return _table(path, validate, settings, include_path, set_column_types, partition_format)

    @staticmethod
    def from_sql_query(
        query: Any, validate: bool = True, set_column_types: Any = None, query_timeout: int = 30
    ) -> TabularDataset:
        """Not supported: no database can be reached."""
        raise unsupported("Dataset.Tabular.from_sql_query", "Export the rows into files of a datastore.")

    @staticmethod
    def register_pandas_dataframe(
        dataframe: Any,
        target: Any,
        name: str,
        description: Optional[str] = None,
        tags: Optional[Mapping[str, str]] = None,
        show_progress: bool = True,
        row_group_size: Optional[int] = None,
        make_target_path_unique: bool = True,
    ) -> TabularDataset:
        """Writes a DataFrame as Parquet into a datastore and registers it (as a new version where the name is taken).

        Args:
            target: a tuple of a datastore and a path in it, or a DataPath.
            make_target_path_unique: write below a new folder of the path.
        """
        datastore, place = _target(target)
        if make_target_path_unique:
            place = "/".join(part for part in (place.strip("/"), str(uuid.uuid4())) if part)
        with tempfile.TemporaryDirectory(prefix="localaml-dataset-") as folder:
            file = os.path.join(folder, "data.parquet")
            try:
                dataframe.to_parquet(file, engine="pyarrow", row_group_size=row_group_size)
            except ImportError:
                raise missing_package("pyarrow", "register_pandas_dataframe") from None
            datastore.upload_files([file], folder, place, not make_target_path_unique, show_progress)
        made = TabularDatasetFactory.from_parquet_files((datastore, place + "/data.parquet"))
        return made.register(datastore.workspace, name, description, tags, create_new_version=True)

    @staticmethod
    def register_spark_dataframe(
        dataframe: Any, target: Any, name: str, description: Any = None, tags: Any = None, show_progress: bool = True
    ) -> TabularDataset:
        """Not supported."""
        raise unsupported("Dataset.Tabular.register_spark_dataframe", "Use register_pandas_dataframe.")

    @staticmethod
    def register_dask_dataframe(
        dataframe: Any, target: Any, name: str, description: Any = None, tags: Any = None, show_progress: bool = True
    ) -> TabularDataset:
        """Not supported."""
        raise unsupported("Dataset.Tabular.register_dask_dataframe", "Use register_pandas_dataframe.")


def _table(
    path: Any,
    validate: bool,
    settings: Dict[str, Any],
    include_path: bool,
    set_column_types: "Optional[Mapping[str, DataType]]",
    partition_format: Optional[str],
) -> TabularDataset:
    from azureml.data._partition_format import parse

    sources = read_sources(path)
    settings["includePath"] = bool(include_path)
    settings["columnTypes"] = _column_types(set_column_types)
    if partition_format:
        parse(partition_format)
        settings["partitionFormat"] = partition_format
    content = definition(sources.items, {"reading": settings, "steps": []})
    if validate:
        _validate(content, sources)
    return TabularDataset._new(content, sources.workspace)


def _validate(content: Dict[str, Any], sources: Sources) -> None:
    workspace = sources.workspace
    if workspace is None:
        return
    request = {"parent": workspace._resource_name, "definition": content, "page": {"pageSize": 1}}
    try:
        workspace._client.call("DatasetService", "ListDatasetFiles", request)
    except UserErrorException as error:
        if getattr(error, "reason", "") != "DATA_NOT_FOUND":
            raise
        raise DatasetValidationError(
            "{} Pass validate=False to make the dataset before its data.".format(error.message)
        ) from None


def _header(header: Any) -> str:
    if isinstance(header, bool):
        header = PromoteHeadersBehavior.ALL_FILES_HAVE_SAME_HEADERS if header else PromoteHeadersBehavior.NO_HEADERS
    if isinstance(header, str) and header in PromoteHeadersBehavior.__members__:
        header = PromoteHeadersBehavior[header]
    if not isinstance(header, PromoteHeadersBehavior):
        raise UserErrorException(
            "header is True, False or one of {}, not {!r}.".format(
                ", ".join("PromoteHeadersBehavior." + name for name in PromoteHeadersBehavior.__members__), header
            )
        )
    return header.name


def _encoding(encoding: Any) -> str:
    if encoding not in _ENCODINGS:
        raise UserErrorException(
            "Invalid encoding {!r}. The supported encodings are {}.".format(encoding, ", ".join(_ENCODINGS))
        )
    return str(encoding)


def _column_types(types: "Optional[Mapping[str, DataType]]") -> Dict[str, Any]:
    if types is None:
        return {}
    if not isinstance(types, Mapping) or not all(
        isinstance(name, str) and isinstance(kind, DataType) for name, kind in types.items()
    ):
        raise UserErrorException("set_column_types must be a dict of column name and DataType.")
    return {name: kind._to_dict() for name, kind in types.items()}


def _target(target: Any) -> Any:
    """(datastore, path) of a place to write to."""
    if hasattr(target, "datastore_type"):
        target = (target, "")
    sources = read_sources(target)
    if len(sources.items) != 1 or sources.workspace is None:
        raise UserErrorException("The target is a tuple of a datastore and a path in it, not {!r}.".format(target))
    from azureml.core.datastore import Datastore

    source = sources.items[0]
    return Datastore.get(sources.workspace, source["datastoreName"]), source["path"].rstrip("/")


def _pattern(pattern: str) -> Any:
    """Paths that a pattern means, as in `from_files`."""
    parts = pattern.replace("\\", "/").strip("/").split("/")
    expression = ""
    for number, part in enumerate(parts):
        last = number == len(parts) - 1
        if part == "**":
            expression += ".+" if last else "(?:[^/]+/)*"
        else:
            inner = re.escape(part).replace(r"\*", "[^/]*").replace(r"\?", "[^/]")
            expression += inner + ("" if last else "/")
    return re.compile(expression)
