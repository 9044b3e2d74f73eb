"""Answers for models. Their files are objects of their own: they outlive the run that they come from."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from localaml.domain.models import Asset, Workspace
from localaml.domain.names import check_name, check_relative_path, parse_child
from localaml.errors import AlreadyExists, FailedPrecondition, InvalidArgument
from localaml.paths import model_prefix
from localaml.services.context import ServiceContext
from localaml.services.labels import check_labels, merged_labels
from localaml.services.messages import signed_url
from localaml.services.model_files import ModelFiles, run_files, uploaded_files
from localaml.services.model_messages import (
    check_text,
    datasets_payload,
    model_message,
    resources_payload,
    with_datasets,
)
from localaml.services.paging import decode_number, decode_token, fill_files, fill_page, items_of, page_size
from localaml.services.rpc import Caller
from localaml.store import AssetFilter
from localaml_proto.v1 import model_pb2

_GUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_MAX_PATHS = 1000


class ModelService:
    """`localaml.v1.ModelService`."""

    SERVICE = "localaml.v1.ModelService"

    def __init__(self, context: ServiceContext) -> None:
        self._context = context

    async def register_model(self, request: model_pb2.RegisterModelRequest, caller: Caller) -> model_pb2.Model:
        workspace = self._context.workspace(request.parent)
        assets = self._context.store.assets
        name = check_name("model", request.model_name)
        known = assets.find_by_request(workspace.workspace_id, "model", request.request_id)
        if known is not None:
            return model_message(workspace, known)
        check_labels(request.tags, "tag")
        check_labels(request.properties, "property")
        payload = self._payload(workspace, request, caller)
        if request.upload_id and request.run_path:
            raise InvalidArgument("MODEL_SOURCE", "Give either uploaded files (upload_id) or a run's files (run_path).")
        if request.upload_id:
            asset_id = self._upload_id(workspace, request.upload_id)
            files = await uploaded_files(self._context, workspace, asset_id, request.file_count)
        elif request.run_path:
            asset_id = self._context.identifiers.guid()
            run = self._context.run(f"{workspace.name}/experiments/-/runs/{request.run_id}")
            files = await run_files(self._context, run, request.run_path, request.child_paths, asset_id)
        else:
            raise InvalidArgument("MODEL_SOURCE", "A model needs files: upload them, or name a run's (run_path).")
        asset = Asset(
            workspace_id=workspace.workspace_id,
            kind="model",
            name=name,
            asset_id=asset_id,
            created_at=self._context.clock.now(),
            description=check_text("description", request.description),
            tags=dict(request.tags),
            properties=dict(request.properties),
            payload={**payload, "files": [list(file) for file in files]},
            request_id=request.request_id,
        )
        store, prefix = self._context.store, model_prefix(workspace.workspace_id, asset_id)
        stored: Asset | None = None
        try:
            with store.transaction():
                stored = assets.add(asset)
                if stored.asset_id == asset_id:
                    store.unfinished.forget([prefix])
        finally:
            # The same request may have come twice at the same time: then the other copy of the files is the model's.
            if (stored is None or stored.asset_id != asset_id) and not request.upload_id:
                await self._context.objects.delete_prefix(prefix)
                store.unfinished.forget([prefix])
        return model_message(workspace, stored)

    async def create_model_upload_urls(
        self, request: model_pb2.CreateModelUploadUrlsRequest, caller: Caller
    ) -> model_pb2.CreateModelUploadUrlsResponse:
        workspace = self._context.workspace(request.parent)
        upload_id = self._upload_id(workspace, request.upload_id)
        if len(request.paths) > _MAX_PATHS:
            raise InvalidArgument(
                "TOO_MANY_PATHS", f"At most {_MAX_PATHS} paths a call; these are {len(request.paths)}."
            )
        # Until it is registered: an upload that is cut off by the emulator's end goes at its next start.
        self._context.store.unfinished.note([model_prefix(workspace.workspace_id, upload_id)])
        response = model_pb2.CreateModelUploadUrlsResponse()
        for given in request.paths:
            path = check_relative_path(given, "file name of a model")
            parts = (workspace.workspace_id, upload_id, path)
            response.urls.append(signed_url(given, self._context.urls.sign("model", parts, "write", run=caller.run)))
        return response

    async def get_model(self, request: model_pb2.GetModelRequest, caller: Caller) -> model_pb2.Model:
        workspace, asset = self._model(request.name, request.version)
        return model_message(workspace, asset)

    async def list_models(self, request: model_pb2.ListModelsRequest, caller: Caller) -> model_pb2.ListModelsResponse:
        workspace = self._context.workspace(request.parent)
        size, after = page_size(request.page), decode_number(request.page)
        facts = {"run_id": request.run_id, "framework": request.framework}
        wanted = AssetFilter(
            name=request.model_name or None,
            tags=request.tags,
            properties=request.properties,
            payload={key: value for key, value in facts.items() if value},
            payload_lists={"dataset_ids": request.dataset_id} if request.dataset_id else {},
            latest_only=request.latest_only,
        )
        found = self._context.store.assets.stored(workspace.workspace_id, "model", wanted, after, size + 1)
        response = model_pb2.ListModelsResponse()
        items = items_of(((str(seq), each) for seq, each in found), lambda asset: model_message(workspace, asset))
        response.next_page_token = fill_page(response.models, items, size, response.unreadable)
        return response

    async def update_model(self, request: model_pb2.UpdateModelRequest, caller: Caller) -> model_pb2.Model:
        workspace, asset = self._model(request.name, request.version)
        tags = merged_labels({} if request.replace_tags else asset.tags, request.set_tags, "tag")
        for key in request.remove_tags:
            tags.pop(key, None)
        for key, value in request.add_properties.items():
            if asset.properties.get(key, value) != value:
                raise FailedPrecondition(
                    "PROPERTY_EXISTS",
                    f"Model {asset.name}:{asset.version} has the property {key!r} already, with another value: "
                    "properties never change. Use a tag for what does.",
                    {"property": key},
                )
        payload: dict[str, Any] = with_datasets(asset.payload, datasets_payload(request.add_datasets))
        for field, key in (("sample_input_dataset_id", "sample_input"), ("sample_output_dataset_id", "sample_output")):
            if request.HasField(field):
                payload[key] = getattr(request, field)
        if request.HasField("resource_configuration"):
            payload["resources"] = resources_payload(request.resource_configuration)
        properties = merged_labels(asset.properties, request.add_properties, "property")
        asset = replace(asset, tags=tags, properties=properties, payload=payload)
        if request.HasField("description"):
            asset = replace(asset, description=check_text("description", request.description))
        self._context.store.assets.update(asset)
        return model_message(workspace, asset)

    async def delete_model(
        self, request: model_pb2.DeleteModelRequest, caller: Caller
    ) -> model_pb2.DeleteModelResponse:
        if request.version < 1:
            raise InvalidArgument("MODEL_VERSION_MISSING", "Deleting a model needs its version, 1 or more.")
        workspace, asset = self._model(request.name, request.version)
        store, prefix = self._context.store, model_prefix(workspace.workspace_id, asset.asset_id)
        with store.transaction():
            store.assets.delete(workspace.workspace_id, "model", asset.name, asset.version)
            store.unfinished.note([prefix])
        # After the record: what is left when the emulator is killed here goes at the next start.
        await self._context.objects.delete_prefix(prefix)
        store.unfinished.forget([prefix])
        return model_pb2.DeleteModelResponse()

    async def create_model_download_urls(
        self, request: model_pb2.CreateModelDownloadUrlsRequest, caller: Caller
    ) -> model_pb2.CreateModelDownloadUrlsResponse:
        workspace, asset = self._model(request.name, request.version)
        size, after = page_size(request.page), decode_token(request.page)
        files: ModelFiles = [(path, count) for path, count in asset.payload["files"]]
        sign = self._context.urls.sign
        items = (
            (
                path,
                signed_url(path, sign("model", (workspace.workspace_id, asset.asset_id, path), "read", run=caller.run)),
            )
            for path, _ in files
            if path > after
        )
        response = model_pb2.CreateModelDownloadUrlsResponse(version=asset.version)
        response.next_page_token = fill_files(response.urls, items, size)
        return response

    def _model(self, name: str, version: int) -> tuple[Workspace, Asset]:
        parsed = parse_child(name, "models")
        workspace = self._context.workspace(parsed.workspace)
        return workspace, self._context.store.assets.get(
            workspace.workspace_id, "model", parsed.name, version if version else None
        )

    def _upload_id(self, workspace: Workspace, value: str) -> str:
        if not _GUID.fullmatch(value):
            raise InvalidArgument("MODEL_UPLOAD_ID", f"{value[:64]!r} is not an upload id: use a new GUID.")
        taken = self._context.store.assets.find_by_id(workspace.workspace_id, "model", value)
        if taken is not None:
            raise AlreadyExists(
                "MODEL_UPLOAD_USED",
                f"What was uploaded as {value} is model {taken.name}:{taken.version} already; its files never change. "
                "Use a new upload id.",
            )
        return value

    def _payload(self, workspace: Workspace, request: model_pb2.RegisterModelRequest, caller: Caller) -> dict[str, Any]:
        """What only models have, without the files."""
        experiment = ""
        if request.run_id:
            experiment = self._context.run(f"{workspace.name}/experiments/-/runs/{request.run_id}").name.experiment
        payload: dict[str, Any] = {
            "run_id": request.run_id,
            "experiment": experiment,
            "framework": check_text("framework", request.framework),
            "framework_version": check_text("framework version", request.framework_version),
            "sample_input": request.sample_input_dataset_id,
            "sample_output": request.sample_output_dataset_id,
            "resources": resources_payload(request.resource_configuration)
            if request.HasField("resource_configuration")
            else None,
            # Whose job may still change tags and description.
            "registered_by": caller.run.run_id if caller.run is not None else "",
        }
        return with_datasets(payload, datasets_payload(request.datasets))
