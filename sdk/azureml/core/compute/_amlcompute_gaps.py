"""What Azure's `AmlCompute` has and LocalAML does not: each refused by its name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, List, Optional

from azureml._localaml.unsupported import unsupported

if TYPE_CHECKING:
    from azureml.core.workspace import Workspace


class AmlComputeGaps:
    """The part of `AmlCompute` that is not supported."""

    def add_identity(self, identity_type: str, identity_id: Any = None) -> None:
        """Not supported."""
        raise unsupported("AmlCompute.add_identity")

    def remove_identity(self, identity_id: Any = None) -> None:
        """Not supported."""
        raise unsupported("AmlCompute.remove_identity")

    @staticmethod
    def list_usages(workspace: Workspace, show_all: bool = False, location: Optional[str] = None) -> List[Any]:
        """Not supported."""
        raise unsupported("AmlCompute.list_usages")

    @staticmethod
    def list_quotas(workspace: Workspace, location: Optional[str] = None) -> List[Any]:
        """Not supported."""
        raise unsupported("AmlCompute.list_quotas")

    @staticmethod
    def update_quotas(workspace: Workspace, vm_family: Any, limit: Any = None, location: Optional[str] = None) -> Any:
        """Not supported."""
        raise unsupported("AmlCompute.update_quotas")
