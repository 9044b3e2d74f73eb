"""Removing workspaces, with all that belongs to them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from localaml.paths import ACCOUNT, content_key, datastore_prefix, default_container, default_file_share

if TYPE_CHECKING:
    from localaml.domain.models import Workspace
    from localaml.services.context import ServiceContext


async def remove_workspace(context: ServiceContext, workspace: Workspace) -> None:
    """Cancels the runs, removes clusters, records and bytes. Data in containers that were registered by name stays."""
    workspace_id = workspace.workspace_id
    while True:
        await context.orchestrator.delete_workspace_runs(workspace_id)
        # While it was awaited, another caller can have submitted a run or made a cluster.
        if not any(run.workspace_id == workspace_id for run in context.store.runs.list_active()):
            break
    context.store.workspaces.delete(workspace_id)
    # After the records: what is left when the emulator is killed here is out of everybody's sight.
    await context.objects.delete_prefix(content_key(workspace_id, "").rstrip("/") + "/")
    for container in (default_container(workspace_id), default_file_share(workspace_id)):
        await context.objects.delete_prefix(datastore_prefix(ACCOUNT, container))


async def remove_everything(context: ServiceContext) -> int:
    """Cancels all runs and removes all resources; returns how many runs it cancelled."""
    canceled = await context.orchestrator.cancel_all()
    for workspace in context.store.workspaces.list():
        await remove_workspace(context, workspace)
    context.store.wipe()
    return canceled
