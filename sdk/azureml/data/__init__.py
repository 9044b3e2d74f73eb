"""Data: datastores, and references to what lies in them. Datasets are not supported yet."""

from __future__ import annotations

from azureml._localaml.lazy import lazy_names

__getattr__, __dir__ = lazy_names(
    __name__,
    {},
    frozenset(
        (
            "DataType",
            "DatacacheStore",
            "FileDataset",
            "HDFSOutputDatasetConfig",
            "LinkFileOutputDatasetConfig",
            "LinkTabularOutputDatasetConfig",
            "OutputFileDatasetConfig",
            "TabularDataset",
        )
    ),
)
