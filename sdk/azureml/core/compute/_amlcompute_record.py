"""What is known of a cluster, and its forms: of the emulator, of Azure's resource, as text."""

from datetime import datetime
from typing import TYPE_CHECKING, Any, Dict, List, Mapping, Optional, Type, TypeVar

from azureml._localaml.labels import read_labels
from azureml.core.compute._amlcompute_settings import AmlComputeStatus, ScaleSettings, status_of
from azureml.exceptions import ComputeTargetException

if TYPE_CHECKING:
    from azureml.core.workspace import Workspace

_T = TypeVar("_T", bound="ClusterRecord")
COMPUTE_TYPE = "AmlCompute"


class ClusterRecord:
    """The part of `AmlCompute` that holds data."""

    workspace: "Workspace"
    type: str
    name: str
    provisioning_state: str
    id: str
    location: str
    vm_size: str
    vm_priority: str
    description: Optional[str]
    tags: Optional[Dict[str, Optional[str]]]
    provisioning_errors: Optional[List[Dict[str, Any]]]
    scale_settings: Optional[ScaleSettings]
    status: Optional[AmlComputeStatus]
    created_on: Optional[datetime]
    modified_on: Optional[datetime]
    is_attached: bool
    cluster_resource_id: Optional[str]
    cluster_location: str
    _just_made: bool

    def serialize(self) -> Dict[str, Any]:
        """It as a dict in the form of Azure's resource."""
        return {
            "id": self.id,
            "name": self.name,
            "location": self.location,
            "tags": self.tags,
            "identity": None,
            "properties": {
                "description": self.description,
                "resourceId": None,
                "computeType": self.type,
                "computeLocation": self.location,
                "provisioningState": self.provisioning_state,
                "provisioningErrors": self.provisioning_errors,
                "properties": {
                    "vmSize": self.vm_size,
                    "vmPriority": self.vm_priority,
                    "scaleSettings": self.scale_settings.serialize() if self.scale_settings else None,
                },
                "status": self.status.serialize() if self.status else None,
            },
        }

    @classmethod
    def _of_dict(cls: "Type[_T]", workspace: "Workspace", object_dict: Mapping[str, Any]) -> "_T":
        properties = object_dict.get("properties") or {}
        if properties.get("computeType") != COMPUTE_TYPE:
            raise ComputeTargetException(
                "{!r} is no {} but {!r}.".format(object_dict.get("name"), COMPUTE_TYPE, properties.get("computeType"))
            )
        target = cls._blank(workspace)
        inner = properties.get("properties") or {}
        target.name = object_dict["name"]
        target.id = object_dict.get("id") or target._arm_id
        target.location = object_dict.get("location") or ""
        target.tags = object_dict.get("tags")
        target.description = properties.get("description")
        target.provisioning_state = properties.get("provisioningState") or ""
        target.provisioning_errors = properties.get("provisioningErrors")
        target.vm_size = inner.get("vmSize") or ""
        target.vm_priority = inner.get("vmPriority") or ""
        target.scale_settings = ScaleSettings.deserialize(inner.get("scaleSettings"))
        target.status = AmlComputeStatus.deserialize(properties.get("status"))
        return target

    @classmethod
    def _blank(cls: "Type[_T]", workspace: "Workspace") -> "_T":
        target = object.__new__(cls)
        target.workspace = workspace
        target.type = COMPUTE_TYPE
        target.name = target.id = target.location = target.vm_size = target.vm_priority = target.provisioning_state = ""
        target.description = target.tags = target.provisioning_errors = target.scale_settings = target.status = None
        target.created_on = target.modified_on = None
        target.is_attached = False
        target._just_made = False
        target.cluster_resource_id = None
        target.cluster_location = ""
        return target

    @classmethod
    def _of(cls: "Type[_T]", workspace: "Workspace", message: Mapping[str, Any]) -> "_T":
        target = cls._blank(workspace)
        target.name = str(message["name"]).rpartition("/")[2]
        target._load(message)
        return target

    def _load(self, message: Mapping[str, Any]) -> None:
        """Takes over what the emulator says."""
        self.status = status = status_of(message)
        self.id = self._arm_id
        self.location = self.cluster_location = self.workspace.location
        self.vm_size = status.vm_size or ""
        self.vm_priority = status.vm_priority or ""
        self.scale_settings = status.scale_settings
        self.provisioning_state = status.provisioning_state or ""
        self.provisioning_errors = status.errors
        self.description = message.get("description") or None
        self.tags = read_labels(message.get("tags")) or None
        self.created_on = status.creation_time
        self.modified_on = status.modified_time

    @property
    def _errors(self) -> Optional[List[Dict[str, Any]]]:
        return self.status.errors if self.status else None

    @property
    def _minimum(self) -> int:
        return self.scale_settings.minimum_node_count if self.scale_settings else 0

    @property
    def _ready_node_count(self) -> int:
        counts = self.status.node_state_counts if self.status else None
        return counts.idle_node_count + counts.running_node_count if counts else 0

    @property
    def _resource_name(self) -> str:
        return "{}/computes/{}".format(self.workspace._resource_name, self.name)

    @property
    def _arm_id(self) -> str:
        return "{}/computes/{}".format(self.workspace._arm_id, self.name)

    def __repr__(self) -> str:
        return (
            "AmlCompute(workspace={!r}, name={}, id={}, type={}, provisioning_state={}, location={}, tags={})".format(
                self.workspace, self.name, self.id, self.type, self.provisioning_state, self.location, self.tags
            )
        )
