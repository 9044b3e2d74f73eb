"""`Workspace`: where everything else lies."""

import time
from typing import TYPE_CHECKING, Any, Dict, Iterator, List, Mapping, Optional, Tuple

from azureml._localaml.client import get_client
from azureml._localaml.labels import read_labels, text_map
from azureml._localaml.lazy import lazy_names
from azureml._localaml.unsupported import unsupported
from azureml.core._workspace_contents import WorkspaceContents
from azureml.core._workspace_gaps import WorkspaceGaps
from azureml.exceptions import UserErrorException, WorkspaceException

if TYPE_CHECKING:
    from azureml.core.authentication import AbstractAuthentication

_DEFAULT_SUBSCRIPTION = "00000000-0000-0000-0000-000000000000"
_DEFAULT_RESOURCE_GROUP = "local"
_TYPE = "Microsoft.MachineLearningServices/workspaces"


class Workspace(WorkspaceContents, WorkspaceGaps):
    """A workspace of the emulator.

    Args:
        subscription_id, resource_group, workspace_name: what it is called.
        auth: accepted; the emulator knows its owner by a token file.
        _disable_service_check: do not ask the emulator now whether the workspace exists.

    Raises:
        WorkspaceException: there is none of that name.
        UserErrorException: no emulator is running; the text says how to start one.
    """

    def __init__(
        self,
        subscription_id: str,
        resource_group: str,
        workspace_name: str,
        auth: "Optional[AbstractAuthentication]" = None,
        _location: Optional[str] = None,
        _disable_service_check: bool = False,
        _workspace_id: Optional[str] = None,
        sku: str = "basic",
        tags: Optional[Dict[str, str]] = None,
        _cloud: str = "AzureCloud",
    ) -> None:
        for key, value in (
            ("subscription_id", subscription_id),
            ("resource_group", resource_group),
            ("workspace_name", workspace_name),
        ):
            if not isinstance(value, str) or not value or "/" in value:
                raise UserErrorException("{} must be a name, not {!r}.".format(key, value))
        self._subscription_id = subscription_id
        self._resource_group = resource_group
        self._workspace_name = workspace_name
        self._auth = auth
        self._client = get_client()
        self._message: Optional[Dict[str, Any]] = None
        self._known_location = _location
        self._known_workspace_id = _workspace_id
        if not _disable_service_check:
            self._refresh()

    # Making and finding

    @staticmethod
    def from_config(
        path: Optional[str] = None,
        auth: "Optional[AbstractAuthentication]" = None,
        _logger: Any = None,
        _file_name: Optional[str] = None,
    ) -> "Workspace":
        """The workspace that a config.json names.

        Args:
            path: the file, or a folder (default: the current one): looked for in its `.azureml`, its `aml_config` and
                itself, and in the folders above it.

        Raises:
            UserErrorException: no config file, or one that names no workspace.
            WorkspaceException: the workspace does not exist.
        """
        from azureml._localaml.config_file import find_config, read_config

        found = find_config(path, _file_name)
        config = read_config(found)
        print("Found the config file in: {}".format(found))
        return Workspace(config.subscription_id, config.resource_group, config.workspace_name, auth=auth)

    @staticmethod
    def create(
        name: str,
        auth: "Optional[AbstractAuthentication]" = None,
        subscription_id: Optional[str] = None,
        resource_group: Optional[str] = None,
        location: Optional[str] = None,
        create_resource_group: bool = True,
        sku: str = "basic",
        tags: Optional[Dict[str, str]] = None,
        friendly_name: Optional[str] = None,
        storage_account: Optional[str] = None,
        key_vault: Optional[str] = None,
        app_insights: Optional[str] = None,
        container_registry: Optional[str] = None,
        adb_workspace: Optional[str] = None,
        primary_user_assigned_identity: Optional[str] = None,
        cmk_keyvault: Optional[str] = None,
        resource_cmk_uri: Optional[str] = None,
        hbi_workspace: bool = False,
        default_cpu_compute_target: Any = None,
        default_gpu_compute_target: Any = None,
        private_endpoint_config: Any = None,
        private_endpoint_auto_approval: bool = True,
        exist_ok: bool = False,
        show_output: bool = True,
        user_assigned_identity_for_cmk_encryption: Optional[str] = None,
        system_datastores_auth_mode: str = "accessKey",
        v1_legacy_mode: Optional[bool] = None,
    ) -> "Workspace":
        """Makes a workspace with its default datastores.

        Args:
            name: 2 to 33 letters, digits, `-` or `_`.
            subscription_id, resource_group: any names; resource groups need not be made. Default: zeros and `local`.
            default_cpu_compute_target, default_gpu_compute_target: provisioning configurations; the clusters
                `cpu-cluster` and `gpu-cluster` are made of them.
            exist_ok: return the workspace that has the name.
            storage_account, key_vault, app_insights, container_registry, settings of identities, keys and networks:
                accepted and of no effect, the emulator keeps everything in its state dir.

        Raises:
            WorkspaceException: the name is taken.
            UserErrorException: not a good name.
        """
        if private_endpoint_config is not None:
            raise unsupported("Workspace.create(private_endpoint_config=...)")
        import uuid

        begin = time.monotonic()
        subscription_id = subscription_id or _DEFAULT_SUBSCRIPTION
        resource_group = resource_group or _DEFAULT_RESOURCE_GROUP
        settings = {
            "friendlyName": friendly_name or name,
            "sku": sku,
            "tags": text_map({} if tags is None else tags, "tags"),
        }
        if location:
            settings["location"] = location.replace(" ", "").lower()
        request = {
            "parent": "subscriptions/{}/resourceGroups/{}".format(subscription_id, resource_group),
            "workspaceName": name,
            "workspace": settings,
            "allowExisting": exist_ok,
            "requestId": str(uuid.uuid4()),
        }
        workspace = Workspace._of(get_client().call("WorkspaceService", "CreateWorkspace", request), auth)
        if show_output:
            print("Deployed Workspace with name {}. Took {:.2f} seconds.".format(name, time.monotonic() - begin))
        for cluster, configuration in (
            (Workspace.DEFAULT_CPU_CLUSTER_NAME, default_cpu_compute_target),
            (Workspace.DEFAULT_GPU_CLUSTER_NAME, default_gpu_compute_target),
        ):
            if configuration is not None:
                from azureml.core.compute import ComputeTarget

                ComputeTarget.create(workspace, cluster, configuration).wait_for_completion(show_output=show_output)
        return workspace

    @staticmethod
    def get(
        name: str,
        auth: "Optional[AbstractAuthentication]" = None,
        subscription_id: Optional[str] = None,
        resource_group: Optional[str] = None,
        location: Optional[str] = None,
        cloud: str = "AzureCloud",
        id: Optional[str] = None,
    ) -> "Workspace":
        """The workspace of this name. The subscription and the group may be left out while the name says enough.

        Raises:
            WorkspaceException: there is none, or there are several (`found_multiple`).
        """
        if subscription_id and resource_group:
            return Workspace(subscription_id, resource_group, name, auth=auth)
        found = [
            message
            for message in _list_workspaces(subscription_id, resource_group)
            if _names_of(message)[2].lower() == name.lower() and (id is None or message.get("workspaceId") == id)
        ]
        if not found:
            raise WorkspaceException("There is no workspace {!r}. Workspace.create makes one.".format(name))
        if len(found) > 1:
            raise WorkspaceException(
                "There are several workspaces {!r}: {}. Say which by subscription_id and resource_group.".format(
                    name, ", ".join(message["name"] for message in found)
                ),
                found_multiple=True,
            )
        return Workspace._of(found[0], auth)

    @staticmethod
    def list(
        subscription_id: str, auth: "Optional[AbstractAuthentication]" = None, resource_group: Optional[str] = None
    ) -> "Dict[str, List[Workspace]]":
        """The workspaces of a subscription by name; in a list, as several groups may use one name."""
        result: Dict[str, List[Workspace]] = {}
        for message in _list_workspaces(subscription_id, resource_group):
            workspace = Workspace._of(message, auth)
            result.setdefault(workspace.name, []).append(workspace)
        return result

    def write_config(self, path: Optional[str] = None, file_name: Optional[str] = None) -> None:
        """Writes `.azureml/config.json` into a folder (default: the current one) for `Workspace.from_config`.

        Raises:
            UserErrorException: the folder does not exist.
        """
        from azureml._localaml.config_file import WorkspaceConfig, write_config

        write_config(
            WorkspaceConfig(self._subscription_id, self._resource_group, self._workspace_name), path, file_name
        )

    # What it is

    @property
    def name(self) -> str:
        """Its name."""
        return self._workspace_name

    @property
    def subscription_id(self) -> str:
        """The subscription's id."""
        return self._subscription_id

    @property
    def resource_group(self) -> str:
        """The resource group's name."""
        return self._resource_group

    @property
    def location(self) -> str:
        """The region that was given when it was made, or `local`."""
        return self._known_location or str(self._loaded.get("location") or "")

    @property
    def sku(self) -> str:
        """`Basic`, or what was given when it was made."""
        return str(self._loaded.get("sku") or "")

    @property
    def tags(self) -> Dict[str, str]:
        """Its tags, as the emulator has them now."""
        return read_labels(self._refresh().get("tags"))

    @property
    def discovery_url(self) -> str:
        """The emulator's HTTP address."""
        return self._client.endpoint.http_address

    def get_details(self) -> Dict[str, Any]:
        """The workspace as a dict with Azure's keys. What LocalAML does not have (key vault, ...) is None."""
        from azureml._localaml.wire import iso_time

        message = self._refresh()
        return {
            "id": self._arm_id,
            "name": self.name,
            "identity": None,
            "location": message.get("location"),
            "type": _TYPE,
            "tags": read_labels(message.get("tags")),
            "sku": message.get("sku"),
            "workspaceid": message.get("workspaceId"),
            "description": message.get("description", ""),
            "friendlyName": message.get("friendlyName", ""),
            "creationTime": iso_time(message, "createTime"),
            "containerRegistry": None,
            "keyVault": None,
            "applicationInsights": None,
            "storageAccount": None,
            "discoveryUrl": self.discovery_url,
        }

    def update(
        self,
        friendly_name: Optional[str] = None,
        description: Optional[str] = None,
        tags: Optional[Dict[str, str]] = None,
        image_build_compute: Optional[str] = None,
        service_managed_resources_settings: Any = None,
        primary_user_assigned_identity: Optional[str] = None,
        allow_public_access_when_behind_vnet: Optional[bool] = None,
        v1_legacy_mode: Optional[bool] = None,
    ) -> Dict[str, Any]:
        """Changes what is not None; `tags` replace all tags. Returns the details as `get_details`."""
        if service_managed_resources_settings is not None:
            raise unsupported("Workspace.update(service_managed_resources_settings=...)")
        request: Dict[str, Any] = {"name": self._resource_name}
        if friendly_name is not None:
            request["friendlyName"] = friendly_name
        if description is not None:
            request["description"] = description
        if tags is not None:
            request["tags"] = text_map(tags, "tags")
            request["replaceTags"] = True
        self._message = self._client.call("WorkspaceService", "UpdateWorkspace", request)
        return self.get_details()

    def delete(self, delete_dependent_resources: bool = False, no_wait: bool = False) -> None:
        """Cancels its runs, removes its clusters, and deletes it with everything in it."""
        self._client.call("WorkspaceService", "DeleteWorkspace", {"name": self._resource_name})

    # Internals

    @classmethod
    def _of(cls, message: Mapping[str, Any], auth: "Optional[AbstractAuthentication]" = None) -> "Workspace":
        subscription, group, name = _names_of(message)
        workspace = cls(subscription, group, name, auth=auth, _disable_service_check=True)
        workspace._message = dict(message)
        return workspace

    @property
    def _resource_name(self) -> str:
        """The emulator's name of it."""
        return "subscriptions/{}/resourceGroups/{}/workspaces/{}".format(
            self._subscription_id, self._resource_group, self._workspace_name
        )

    @property
    def _arm_id(self) -> str:
        return "/subscriptions/{}/resourceGroups/{}/providers/{}/{}".format(
            self._subscription_id, self._resource_group, _TYPE, self._workspace_name
        )

    @property
    def _workspace_id(self) -> str:
        """Its GUID."""
        return self._known_workspace_id or str(self._loaded.get("workspaceId") or "")

    @property
    def _loaded(self) -> Dict[str, Any]:
        return self._refresh() if self._message is None else self._message

    def _refresh(self) -> Dict[str, Any]:
        self._message = self._client.call("WorkspaceService", "GetWorkspace", {"name": self._resource_name})
        return self._message

    def __repr__(self) -> str:
        return "Workspace.create(name={!r}, subscription_id={!r}, resource_group={!r})".format(
            self._workspace_name, self._subscription_id, self._resource_group
        )

    def _repr_html_(self) -> str:
        from azureml._run_impl.html import table

        return table(
            (
                ("Name", self._workspace_name),
                ("Resource Group", self._resource_group),
                ("Subscription", self._subscription_id),
            )
        )

    def __reduce__(self) -> Tuple[Any, ...]:
        return _again, (self._subscription_id, self._resource_group, self._workspace_name)


def _again(subscription_id: str, resource_group: str, name: str) -> "Workspace":
    return Workspace(subscription_id, resource_group, name, _disable_service_check=True)


def _list_workspaces(subscription_id: Optional[str], resource_group: Optional[str]) -> Iterator[Dict[str, Any]]:
    parent = ""
    if subscription_id:
        parent = "subscriptions/{}".format(subscription_id)
        if resource_group:
            parent += "/resourceGroups/{}".format(resource_group)
    for message in get_client().pages("WorkspaceService", "ListWorkspaces", {"parent": parent}, "workspaces"):
        if not resource_group or _names_of(message)[1].lower() == resource_group.lower():
            yield message


def _names_of(message: Mapping[str, Any]) -> Tuple[str, str, str]:
    parts = str(message["name"]).split("/")
    return parts[1], parts[3], parts[5]


# Names that projects import from here: Azure's module has them, because it uses them.
_LENT = {
    "AmlCompute": "azureml.core.compute",
    "ComputeTarget": "azureml.core.compute",
    "Dataset": "azureml.core.dataset",
    "InteractiveLoginAuthentication": "azureml.core.authentication",
    "Keyvault": "azureml.core.keyvault",
    "Model": "azureml.core.model",
}

__getattr__, __dir__ = lazy_names(__name__, _LENT)
