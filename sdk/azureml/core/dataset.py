"""`Dataset`: makes and finds datasets."""

from typing import Any

from azureml._localaml.unsupported import unsupported
from azureml.data.abstract_dataset import AbstractDataset, _Factories

__all__ = ["Dataset"]

# What Azure's first generation of datasets (before SDK 1.0.69) had here.
_FIRST_GENERATION = frozenset(
    (
        "Scenario",
        "archive",
        "auto_read_files",
        "compare_profiles",
        "create_snapshot",
        "definition",
        "definition_version",
        "delete_snapshot",
        "deprecate",
        "diff",
        "from_binary_files",
        "from_delimited_files",
        "from_excel_files",
        "from_json_files",
        "from_pandas_dataframe",
        "from_parquet_files",
        "from_sql_query",
        "generate_profile",
        "get",
        "get_all_snapshots",
        "get_definition",
        "get_definitions",
        "get_profile",
        "get_snapshot",
        "head",
        "is_visible",
        "list",
        "reactivate",
        "sample",
        "state",
        "to_pandas_dataframe",
        "to_spark_dataframe",
        "update_definition",
    )
)


class _Names(_Factories):
    def __getattr__(cls, name: str) -> Any:
        if name in _FIRST_GENERATION:
            raise unsupported(
                "Dataset.{} (the first generation of datasets)".format(name),
                "Use Dataset.File.from_files or Dataset.Tabular.from_delimited_files, and Dataset.get_by_name.",
            )
        raise AttributeError("type object 'Dataset' has no attribute {!r}".format(name))


class Dataset(AbstractDataset, metaclass=_Names):
    """`Dataset.File.from_files` and `Dataset.Tabular.from_...` make datasets; `get_by_name`, `get_by_id` and `get_all`
    find them. They are objects of `azureml.data.FileDataset` and `azureml.data.TabularDataset`."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        raise unsupported("Dataset(...)", "Use Dataset.File, Dataset.Tabular, or Dataset.get_by_name.")
