"""The exceptions of this SDK, under the names that Azure's SDK gives them.

AzureMLException
    UserErrorException              an argument or the state of things does not allow it
        AuthenticationException
    WorkspaceException              workspaces
    ComputeTargetException          compute targets
    ExperimentExecutionException    a run could not be submitted
    ActivityFailedException         a run ended as Failed
    TrainingException               estimators
    RunConfigurationException       run configurations
    RunEnvironmentException         no run in this process
    SnapshotException               source folders
    ProjectSystemException          config files and project folders
    WebserviceException, ModelNotFoundException, ModelPathNotFoundException
    DatasetTimestampMissingError, DiscoveryUrlNotFoundException, ParallelRunException
    WorkspacePrivateEndpointException
AzureMLAggregatedException          (an AzureMLException) several at once
"""

from azureml._common.exceptions import AzureMLAggregatedException, AzureMLException
from azureml.exceptions._azureml_exception import (
    ActivityFailedException,
    AuthenticationException,
    ComputeTargetException,
    DatasetTimestampMissingError,
    DiscoveryUrlNotFoundException,
    ExperimentExecutionException,
    ModelNotFoundException,
    ModelPathNotFoundException,
    ParallelRunException,
    ProjectSystemException,
    RunConfigurationException,
    RunEnvironmentException,
    ServiceException,
    SnapshotException,
    TrainingException,
    UserErrorException,
    WebserviceException,
    WorkspaceException,
    WorkspacePrivateEndpointException,
)

__all__ = [
    "ActivityFailedException",
    "AuthenticationException",
    "AzureMLAggregatedException",
    "AzureMLException",
    "ComputeTargetException",
    "DatasetTimestampMissingError",
    "DiscoveryUrlNotFoundException",
    "ExperimentExecutionException",
    "ModelNotFoundException",
    "ModelPathNotFoundException",
    "ParallelRunException",
    "ProjectSystemException",
    "RunConfigurationException",
    "RunEnvironmentException",
    "ServiceException",
    "SnapshotException",
    "TrainingException",
    "UserErrorException",
    "WebserviceException",
    "WorkspaceException",
    "WorkspacePrivateEndpointException",
]
