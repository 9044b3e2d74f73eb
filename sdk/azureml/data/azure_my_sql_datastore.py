"""Where Azure's SDK has AzureMySqlDatastore."""

from azureml.data._other_datastores import AzureMySqlDatastore

__all__ = ["AzureMySqlDatastore"]
