"""Where Azure's SDK has AzureSqlDatabaseDatastore."""

from azureml.data._other_datastores import AzureSqlDatabaseDatastore

__all__ = ["AzureSqlDatabaseDatastore"]
