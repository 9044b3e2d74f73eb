"""Answers for workspaces."""

from __future__ import annotations

import uuid
from dataclasses import replace

from localaml.domain.models import Workspace
from localaml.domain.names import WorkspaceName, check_name, parse_resource_group
from localaml.errors import AlreadyExists, InvalidArgument
from localaml.services.context import ServiceContext
from localaml.services.default_datastores import default_datastores
from localaml.services.labels import check_labels, merged_labels
from localaml.services.messages import workspace_message
from localaml.services.paging import decode_token, fill_page, items_of, page_size
from localaml.services.removal import remove_workspace
from localaml.services.rpc import Caller
from localaml.store.stored import Stored, printable
from localaml_proto.v1 import workspace_pb2

_REQUESTS = uuid.UUID("5b0a4c7e-5d5c-4c8e-9a53-0f6a4f1f7b1d")


class WorkspaceService:
    """`localaml.v1.WorkspaceService`."""

    SERVICE = "localaml.v1.WorkspaceService"

    def __init__(self, context: ServiceContext) -> None:
        self._context = context

    async def create_workspace(
        self, request: workspace_pb2.CreateWorkspaceRequest, caller: Caller
    ) -> workspace_pb2.Workspace:
        store = self._context.store
        group = parse_resource_group(request.parent)
        check_name("workspace", request.workspace_name)
        name = WorkspaceName(group.subscription, group.resource_group, request.workspace_name)
        wanted = request.workspace
        check_labels(wanted.tags, "tag")
        # The id follows from the request: a repeated one is recognised by it.
        workspace_id = (
            str(uuid.uuid5(_REQUESTS, f"{name}\n{request.request_id}"))
            if request.request_id
            else self._context.identifiers.guid()
        )
        workspace = Workspace(
            name=name,
            workspace_id=workspace_id,
            created_at=self._context.clock.now(),
            friendly_name=wanted.friendly_name or request.workspace_name,
            description=wanted.description,
            location=wanted.location or "local",
            sku=wanted.sku or "Basic",
            tags=dict(wanted.tags),
        )
        with store.transaction():
            existing = store.workspaces.find(name)
            if existing is None:
                store.workspaces.insert(workspace)
                for datastore in default_datastores(workspace):
                    store.datastores.put(datastore)
            elif request.allow_existing or (request.request_id and existing.workspace_id == workspace_id):
                workspace = existing
            else:
                raise AlreadyExists(
                    "WORKSPACE_EXISTS",
                    f"A workspace {name.workspace!r} exists already in resource group {name.resource_group!r}. "
                    "Take another name, pass exist_ok=True, or get the one that exists.",
                    {"workspace": str(existing.name)},
                )
        return workspace_message(workspace)

    async def get_workspace(
        self, request: workspace_pb2.GetWorkspaceRequest, caller: Caller
    ) -> workspace_pb2.Workspace:
        return workspace_message(self._context.workspace(request.name))

    async def list_workspaces(
        self, request: workspace_pb2.ListWorkspacesRequest, caller: Caller
    ) -> workspace_pb2.ListWorkspacesResponse:
        store = self._context.store.workspaces
        subscription, group = _parent(request.parent)
        size, after = page_size(request.page), decode_token(request.page)
        found = ((_key(each), each) for each in sorted(store.stored(subscription, group), key=_key))
        items = items_of(((key, each) for key, each in found if key > after), workspace_message)
        response = workspace_pb2.ListWorkspacesResponse()
        response.next_page_token = fill_page(response.workspaces, items, size, response.unreadable)
        return response

    async def update_workspace(
        self, request: workspace_pb2.UpdateWorkspaceRequest, caller: Caller
    ) -> workspace_pb2.Workspace:
        store = self._context.store
        workspace = self._context.workspace(request.name)
        if request.HasField("friendly_name"):
            workspace = replace(workspace, friendly_name=request.friendly_name)
        if request.HasField("description"):
            workspace = replace(workspace, description=request.description)
        if request.replace_tags or request.tags:
            kept = {} if request.replace_tags else workspace.tags
            workspace = replace(workspace, tags=merged_labels(kept, request.tags, "tag"))
        if request.HasField("default_datastore"):
            datastore = store.datastores.get(workspace.workspace_id, request.default_datastore)
            workspace = replace(workspace, default_datastore=datastore.name.name)
        store.workspaces.update(workspace)
        return workspace_message(workspace)

    async def delete_workspace(
        self, request: workspace_pb2.DeleteWorkspaceRequest, caller: Caller
    ) -> workspace_pb2.DeleteWorkspaceResponse:
        workspace = self._context.workspace(request.name)
        await remove_workspace(self._context, workspace)
        return workspace_pb2.DeleteWorkspaceResponse()


def _key(workspace: Stored[Workspace]) -> str:
    # The first column is the workspace's id.
    return f"{workspace.id}\n{printable(workspace.row[0])}"


def _parent(name: str) -> tuple[str | None, str | None]:
    if not name:
        return None, None
    parts = name.split("/")
    if len(parts) == 2 and parts[0].lower() == "subscriptions":
        return check_name("subscription", parts[1]), None
    if len(parts) == 4:
        group = parse_resource_group(name)
        return group.subscription, group.resource_group
    raise InvalidArgument(
        "INVALID_RESOURCE_NAME",
        f"{name[:200]!r} is neither subscriptions/{{subscription}} "
        f"nor subscriptions/{{subscription}}/resourceGroups/{{group}}.",
    )
