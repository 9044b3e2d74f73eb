"""What is in a workspace."""

from typing import TYPE_CHECKING, Any, Dict, Optional, cast

from azureml.exceptions import UserErrorException

if TYPE_CHECKING:
    from azureml._localaml.client import Client
    from azureml.core.compute import AmlCompute, ComputeTarget
    from azureml.core.environment import Environment
    from azureml.core.experiment import Experiment
    from azureml.core.keyvault import Keyvault
    from azureml.core.model import Model
    from azureml.core.run import Run
    from azureml.core.workspace import Workspace
    from azureml.data.abstract_datastore import AbstractDatastore


class WorkspaceContents:
    """The part of `Workspace` that finds things in it."""

    DEFAULT_CPU_CLUSTER_NAME = "cpu-cluster"
    DEFAULT_GPU_CLUSTER_NAME = "gpu-cluster"

    _client: "Client"
    _message: Optional[Dict[str, Any]]

    @property
    def _self(self) -> "Workspace":
        return cast("Workspace", self)

    @property
    def compute_targets(self) -> "Dict[str, ComputeTarget]":
        """The compute targets by name."""
        from azureml.core.compute import ComputeTarget

        return {target.name: target for target in ComputeTarget.list(self._self)}

    def get_default_compute_target(self, type: str) -> "Optional[AmlCompute]":
        """The cluster `cpu-cluster` or `gpu-cluster`, or None when there is none.

        Args:
            type: ``CPU`` or ``GPU``.
        """
        names = {"CPU": self.DEFAULT_CPU_CLUSTER_NAME, "GPU": self.DEFAULT_GPU_CLUSTER_NAME}
        if type not in names:
            raise UserErrorException("The type of a default compute target is 'CPU' or 'GPU', not {!r}.".format(type))
        return self.compute_targets.get(names[type])  # type: ignore[return-value]  # the only kind there is

    @property
    def datastores(self) -> "Dict[str, AbstractDatastore]":
        """The datastores by name."""
        from azureml.core.datastore import list_datastores

        return {datastore.name: datastore for datastore in list_datastores(self._self)}

    def get_default_datastore(self) -> "AbstractDatastore":
        """The default datastore."""
        from azureml.core.datastore import Datastore

        return Datastore.get_default(self._self)

    def set_default_datastore(self, name: str) -> None:
        """Makes another datastore the default. Raises UserErrorException when it does not exist."""
        request = {"name": self._self._resource_name, "defaultDatastore": name}
        self._message = self._client.call("WorkspaceService", "UpdateWorkspace", request)

    @property
    def datasets(self) -> Dict[str, Any]:
        """The newest versions of the registered datasets by name."""
        from azureml.data.abstract_dataset import AbstractDataset

        return AbstractDataset.get_all(self._self)

    @property
    def experiments(self) -> "Dict[str, Experiment]":
        """The experiments by name."""
        from azureml.core.experiment import Experiment

        return {experiment.name: experiment for experiment in Experiment.list(self._self)}

    @property
    def environments(self) -> "Dict[str, Environment]":
        """The newest versions of the registered environments, and the curated ones, by name."""
        from azureml.core.environment import Environment

        return Environment.list(self._self)

    @property
    def models(self) -> "Dict[str, Model]":
        """The newest versions of the registered models, by name."""
        from azureml.core.model import Model

        return {model.name: model for model in Model.list(self._self, latest=True)}

    def get_default_keyvault(self) -> "Keyvault":
        """The workspace's secrets."""
        from azureml.core.keyvault import Keyvault

        return Keyvault(self._self)

    def get_run(self, run_id: str) -> "Run":
        """The run of this id, in whichever experiment it is."""
        from azureml.core.run import Run

        return Run.get(self._self, run_id)
