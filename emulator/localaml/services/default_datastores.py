"""The datastores that every workspace has."""

from __future__ import annotations

from localaml.domain.models import Datastore, Workspace
from localaml.domain.names import ChildName
from localaml.paths import ACCOUNT, default_container, default_file_share


def default_datastores(workspace: Workspace) -> list[Datastore]:
    """What Azure makes with every workspace."""
    return [
        Datastore(
            name=ChildName(workspace.name, "datastores", name),
            workspace_id=workspace.workspace_id,
            datastore_type=kind,
            created_at=workspace.created_at,
            account_name=ACCOUNT,
            container_name=container,
            credential_type="AccountKey",
        )
        for name, kind, container in (
            ("workspaceblobstore", "AzureBlob", default_container(workspace.workspace_id)),
            ("workspacefilestore", "AzureFile", default_file_share(workspace.workspace_id)),
        )
    ]
