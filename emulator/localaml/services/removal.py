"""Removing workspaces, with all that belongs to them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from localaml.jobs.datastore_data import WITH_DATA
from localaml.paths import ACCOUNT, content_key, datastore_prefix, default_container, default_file_share, model_prefix
from localaml.services.default_datastores import default_datastores

if TYPE_CHECKING:
    from localaml.domain.models import Workspace
    from localaml.services.context import ServiceContext


async def remove_workspace(context: ServiceContext, workspace: Workspace) -> None:
    """Cancels the runs, removes clusters, records and bytes. Data in containers that were registered by name stays."""
    workspace_id, store = workspace.workspace_id, context.store
    while True:
        known = {cluster.key for cluster in store.clusters.list(workspace_id)}
        await context.orchestrator.delete_workspace_runs(workspace_id)
        # While it was awaited, another caller can have submitted a run or made a cluster.
        has_new_cluster = any(cluster.key not in known for cluster in store.clusters.list(workspace_id))
        if not has_new_cluster and not any(run.workspace_id == workspace_id for run in store.runs.list_active()):
            break
    prefixes = [
        content_key(workspace_id, "").rstrip("/") + "/",
        model_prefix(workspace_id),
        datastore_prefix(ACCOUNT, default_container(workspace_id)),
        datastore_prefix(ACCOUNT, default_file_share(workspace_id)),
    ]
    with store.transaction():
        store.workspaces.delete(workspace_id)
        store.unfinished.note(prefixes)
    # After the records: what is left when the emulator is killed here goes at the next start.
    for prefix in prefixes:
        await context.objects.delete_prefix(prefix)
        store.unfinished.forget([prefix])


async def empty_workspace(context: ServiceContext, workspace: Workspace) -> int:
    """Removes what is in a workspace, and leaves an empty one of its name; returns how many runs were cancelled."""
    canceled = sum(run.workspace_id == workspace.workspace_id for run in context.store.runs.list_active())
    await remove_workspace(context, workspace)
    context.store.events.forget(workspace.workspace_id)
    new = replace(
        workspace,
        workspace_id=context.identifiers.guid(),
        created_at=context.clock.now(),
        default_datastore="workspaceblobstore",
    )
    with context.store.transaction():
        context.store.workspaces.insert(new)
        for datastore in default_datastores(new):
            context.store.datastores.put(datastore)
    return canceled


async def empty_runtime(context: ServiceContext) -> None:
    """Cancels all runs, and removes nodes and the folders of runs. The records stay, for whoever replaces them."""
    if context.faults is not None:
        context.faults.clear()
    await context.orchestrator.cancel_all()
    for workspace in context.store.workspaces.list():
        await context.orchestrator.delete_workspace_runs(workspace.workspace_id)


async def remove_everything(context: ServiceContext) -> int:
    """Cancels all runs and removes all resources and all data; returns how many runs it cancelled."""
    if context.faults is not None:
        context.faults.clear()
    canceled = await context.orchestrator.cancel_all()
    while workspaces := context.store.workspaces.list():
        for workspace in workspaces:
            registered = context.store.datastores.list(workspace.workspace_id)
            await remove_workspace(context, workspace)
            for datastore in registered:
                if datastore.datastore_type in WITH_DATA:
                    prefix = datastore_prefix(datastore.account_name, datastore.container_name)
                    await context.objects.delete_prefix(prefix)
    context.store.events.forget()
    return canceled
