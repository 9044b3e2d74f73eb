"""Where Azure's SDK has AzurePostgreSqlDatastore."""

from azureml.data._other_datastores import AzurePostgreSqlDatastore

__all__ = ["AzurePostgreSqlDatastore"]
