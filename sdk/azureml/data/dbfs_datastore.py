"""Where Azure's SDK has DBFSDatastore."""

from azureml.data._other_datastores import DBFSDatastore

__all__ = ["DBFSDatastore"]
