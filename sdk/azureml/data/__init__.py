"""Data: datastores, references to what lies in them, and datasets."""

from azureml._localaml.lazy import lazy_names

# The version of Azure's SDK whose interface this is.
VERSION = __version__ = "1.61.0"

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "DataType": "azureml.data.dataset_factory",
        "FileDataset": "azureml.data.file_dataset",
        "TabularDataset": "azureml.data.tabular_dataset",
    },
    frozenset(
        (
            "DatacacheStore",
            "HDFSOutputDatasetConfig",
            "LinkFileOutputDatasetConfig",
            "LinkTabularOutputDatasetConfig",
            "OutputFileDatasetConfig",
        )
    ),
)
