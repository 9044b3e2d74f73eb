"""What all datastores have in common."""

import json
from typing import TYPE_CHECKING, Any, Dict

if TYPE_CHECKING:
    from azureml.core.workspace import Workspace


class AbstractDatastore:
    """A named place for data in a workspace."""

    def __init__(self, workspace: "Workspace", name: str, datastore_type: str) -> None:
        self._workspace = workspace
        self._name = name
        self._datastore_type = datastore_type

    @property
    def workspace(self) -> "Workspace":
        """The workspace that it belongs to."""
        return self._workspace

    @property
    def name(self) -> str:
        """Its name."""
        return self._name

    @property
    def datastore_type(self) -> str:
        """`AzureBlob`, `AzureFile`, ..."""
        return self._datastore_type

    def set_as_default(self) -> None:
        """Makes it the workspace's default datastore."""
        self._workspace.set_default_datastore(self._name)

    def unregister(self) -> None:
        """Forgets it. The data stays. Raises UserErrorException for the default datastore."""
        self._workspace._client.call("DatastoreService", "UnregisterDatastore", {"name": self._resource_name})

    @property
    def _resource_name(self) -> str:
        return "{}/datastores/{}".format(self._workspace._resource_name, self._name)

    def _as_dict(self) -> Dict[str, Any]:
        return {"name": self._name, "datastore_type": self._datastore_type}

    def __str__(self) -> str:
        return json.dumps(self._as_dict(), indent=2)

    __repr__ = __str__
