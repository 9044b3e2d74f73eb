"""Where Azure's SDK has AzureDataLakeDatastore and AzureDataLakeGen2Datastore."""

from azureml.data._other_datastores import AzureDataLakeDatastore, AzureDataLakeGen2Datastore

__all__ = ["AzureDataLakeDatastore", "AzureDataLakeGen2Datastore"]
