"""What Azure's `Workspace` has and LocalAML does not: each refused by its name."""

from typing import Any, Dict, Optional

from azureml._localaml.unsupported import unsupported


class WorkspaceGaps:
    """The part of `Workspace` that is not supported."""

    @staticmethod
    def setup() -> None:
        """Not supported: Azure's interactive set-up."""
        raise unsupported("Workspace.setup", "Use `localaml init`.")

    @property
    def service_context(self) -> Any:
        """Not supported: Azure's bundle of REST clients."""
        raise unsupported("Workspace.service_context")

    @property
    def images(self) -> Any:
        """Not supported."""
        raise unsupported("Workspace.images")

    @property
    def webservices(self) -> Any:
        """Not supported."""
        raise unsupported("Workspace.webservices")

    @property
    def linked_services(self) -> Any:
        """Not supported."""
        raise unsupported("Workspace.linked_services")

    @property
    def private_endpoints(self) -> Any:
        """Not supported."""
        raise unsupported("Workspace.private_endpoints")

    def get_mlflow_tracking_uri(self, _with_auth: bool = False) -> str:
        """Not supported."""
        raise unsupported("Workspace.get_mlflow_tracking_uri")

    def update_dependencies(self, container_registry: Optional[str] = None, force: bool = False) -> None:
        """Not supported."""
        raise unsupported("Workspace.update_dependencies")

    def add_private_endpoint(
        self,
        private_endpoint_config: Any,
        private_endpoint_auto_approval: bool = True,
        location: Optional[str] = None,
        show_output: bool = True,
        tags: Optional[Dict[str, str]] = None,
    ) -> Any:
        """Not supported."""
        raise unsupported("Workspace.add_private_endpoint")

    def delete_private_endpoint_connection(self, private_endpoint_connection_name: str) -> None:
        """Not supported."""
        raise unsupported("Workspace.delete_private_endpoint_connection")

    def list_keys(self) -> Any:
        """Not supported."""
        raise unsupported("Workspace.list_keys")

    def sync_keys(self, no_wait: bool = False) -> None:
        """Not supported."""
        raise unsupported("Workspace.sync_keys")

    def diagnose_workspace(self, diagnose_parameters: Any) -> Any:
        """Not supported."""
        raise unsupported("Workspace.diagnose_workspace", "Use `localaml doctor`.")

    def set_connection(self, name: str, category: str, target: str, authType: str, value: str) -> Any:
        """Not supported."""
        raise unsupported("Workspace.set_connection")

    def list_connections(self, category: Optional[str] = None, target: Optional[str] = None) -> Any:
        """Not supported."""
        raise unsupported("Workspace.list_connections")

    def get_connection(self, name: str) -> Any:
        """Not supported."""
        raise unsupported("Workspace.get_connection")

    def delete_connection(self, name: str) -> None:
        """Not supported."""
        raise unsupported("Workspace.delete_connection")
