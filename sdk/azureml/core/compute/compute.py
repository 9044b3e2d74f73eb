"""`ComputeTarget`: finds, makes and lists places where runs can go."""

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Dict, List, Optional

from azureml._localaml.unsupported import unsupported
from azureml.exceptions import AzureMLException, ComputeTargetException, UserErrorException

if TYPE_CHECKING:
    from azureml.core.workspace import Workspace

__all__ = ["ComputeTarget", "ComputeTargetException", "ComputeTargetProvisioningConfiguration"]


class ComputeTarget(ABC):
    """A place where runs can go. Calling it with a name gives the object of its kind: an `AmlCompute`.

    Args:
        workspace: the workspace.
        name: the compute target's name.

    Raises:
        ComputeTargetException: there is none of that name.

    Attributes:
        name, location, type, tags, description, provisioning_state, provisioning_errors: as Azure shows them.
        id: the resource id.
        created_on, modified_on: times.
    """

    _compute_type = ""
    name: str
    type: str
    provisioning_state: str
    workspace: "Workspace"

    def __new__(cls, workspace: "Workspace", name: str) -> Any:
        from azureml.core.compute.amlcompute import AmlCompute

        return AmlCompute._get(workspace, name)

    def __init__(self, workspace: "Workspace", name: str) -> None:
        assert self.name, "`__new__` has filled the object"

    @staticmethod
    def create(workspace: "Workspace", name: str, provisioning_configuration: Any) -> Any:
        """Makes a compute target. When the name is taken with the same settings, that one is returned.

        Args:
            provisioning_configuration: of `AmlCompute.provisioning_configuration`.

        Raises:
            ComputeTargetException: the name is taken with other settings or not a good one, or settings do not fit.
        """
        if not isinstance(provisioning_configuration, ComputeTargetProvisioningConfiguration):
            raise UserErrorException(
                "ComputeTarget.create needs a provisioning configuration (AmlCompute.provisioning_configuration(...)), "
                "not {!r}.".format(provisioning_configuration)
            )
        provisioning_configuration.validate_configuration()
        return provisioning_configuration._compute_type._create(workspace, name, provisioning_configuration)

    @staticmethod
    def attach(workspace: "Workspace", name: str, attach_configuration: Any) -> Any:
        """Not supported: LocalAML has no compute targets that were made elsewhere."""
        kind = type(attach_configuration).__name__
        raise unsupported(
            "ComputeTarget.attach ({})".format(kind), "Make an AmlCompute cluster, or run on the target 'local'."
        )

    @staticmethod
    def list(workspace: "Workspace") -> "List[ComputeTarget]":
        """The compute targets of a workspace, by name."""
        from azureml.core.compute.amlcompute import AmlCompute

        request = {"parent": workspace._resource_name}
        pages = workspace._client.pages("ComputeService", "ListComputeTargets", request, "computeTargets")
        return [AmlCompute._of(workspace, message) for message in pages]

    @abstractmethod
    def wait_for_completion(self, show_output: bool = False, is_delete_operation: bool = False) -> None:
        """Waits until it is ready for use, or with `is_delete_operation` until it is gone."""

    @abstractmethod
    def refresh_state(self) -> None:
        """Asks the emulator for its state of now."""

    @abstractmethod
    def get_status(self) -> Any:
        """Its status of now."""

    @abstractmethod
    def delete(self) -> None:
        """Removes it."""

    @abstractmethod
    def detach(self) -> None:
        """Lets go of it without removing it."""

    @abstractmethod
    def serialize(self) -> Dict[str, Any]:
        """It as a dict."""

    @staticmethod
    @abstractmethod
    def deserialize(workspace: "Workspace", object_dict: Dict[str, Any]) -> "ComputeTarget":
        """An object of the dict that `serialize` gives."""


class ComputeTargetProvisioningConfiguration(ABC):
    """How a compute target is to be made."""

    def __init__(self, type: Any, location: Optional[str]) -> None:
        self._compute_type = type
        self.location = location

    @abstractmethod
    def validate_configuration(self) -> None:
        """Raises ComputeTargetException when the settings do not fit together."""


def as_compute_error(error: AzureMLException, prefix: str = "") -> ComputeTargetException:
    """The same error as a ComputeTargetException, with its facts."""
    result = ComputeTargetException(prefix + error.message, inner_exception=error)
    result.reason, result.grpc_code, result.metadata = error.reason, error.grpc_code, error.metadata
    return result
