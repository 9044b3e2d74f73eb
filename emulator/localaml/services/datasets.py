"""Answers for datasets: definitions with names and versions. What they mean is looked up when it is asked for."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Final

from google.protobuf import json_format

from localaml.domain.datasets import (
    DatasetDefinition,
    DatasetSource,
    FileSelection,
    check_definition,
    definition_from_json,
    definition_to_json,
)
from localaml.domain.models import Asset, Workspace
from localaml.domain.names import has_controls
from localaml.errors import AlreadyExists, InvalidArgument
from localaml.jobs.dataset_files import dataset_files
from localaml.services.context import ServiceContext
from localaml.services.labels import check_labels, merged_labels
from localaml.services.messages import of_record, timestamp
from localaml.services.paging import Item, decode_number, fill_files, fill_page, page_size
from localaml.services.rpc import Caller
from localaml.store import AssetFilter
from localaml_proto.v1 import dataset_pb2

_KIND: Final = "dataset"
_MAX_NAME = 255
_MAX_DESCRIPTION = 32 * 1024
_MAX_TABLE_BYTES = 1024 * 1024


class DatasetService:
    """`localaml.v1.DatasetService`."""

    SERVICE = "localaml.v1.DatasetService"

    def __init__(self, context: ServiceContext) -> None:
        self._context = context

    async def register_dataset(
        self, request: dataset_pb2.RegisterDatasetRequest, caller: Caller
    ) -> dataset_pb2.Dataset:
        workspace = self._context.workspace(request.parent)
        definition = self._definition(workspace, request.definition)
        payload = definition_to_json(definition)
        if not request.dataset_name:
            return self._message(self._unregistered(workspace, payload))
        name = _check_name(request.dataset_name)
        check_labels(request.tags, "tag")
        _check_description(request.description)
        store = self._context.store
        with store.transaction():
            newest = store.assets.find(workspace.workspace_id, _KIND, name)
            if newest is not None and not request.create_new_version:
                # `add` finds a call that was repeated; here it is found by what it would store.
                if newest.payload != payload:
                    raise AlreadyExists(
                        "DATASET_EXISTS",
                        f"There is already a dataset registered under the name {name!r}, with another definition. "
                        "Pass create_new_version=True to register this one as a new version.",
                        {"dataset": name},
                    )
                return self._message(self._described(newest, request))
            return self._message(
                store.assets.add(
                    Asset(
                        workspace_id=workspace.workspace_id,
                        kind=_KIND,
                        name=name,
                        asset_id=self._context.identifiers.guid(),
                        created_at=self._context.clock.now(),
                        description=request.description,
                        tags=dict(request.tags),
                        payload=payload,
                        request_id=request.request_id,
                    )
                )
            )

    async def get_dataset(self, request: dataset_pb2.GetDatasetRequest, caller: Caller) -> dataset_pb2.Dataset:
        workspace_id = self._context.workspace(request.parent).workspace_id
        assets = self._context.store.assets
        if request.dataset_id:
            return self._message(assets.get_by_id(workspace_id, _KIND, request.dataset_id))
        name = _check_name(request.dataset_name)
        if request.version < 0:
            raise InvalidArgument("INVALID_VERSION", f"Versions count from 1 ({request.version} is none).")
        return self._message(assets.get(workspace_id, _KIND, name, request.version or None))

    async def list_datasets(
        self, request: dataset_pb2.ListDatasetsRequest, caller: Caller
    ) -> dataset_pb2.ListDatasetsResponse:
        workspace_id = self._context.workspace(request.parent).workspace_id
        size, after = page_size(request.page), decode_number(request.page)
        wanted = AssetFilter(name=request.dataset_name or None, latest_only=request.latest_only)

        def items() -> Iterator[Item[dataset_pb2.Dataset]]:
            position = after
            while found := self._context.store.assets.stored(workspace_id, _KIND, wanted, position, size + 1):
                for number, each in found:
                    # The third column is the name.
                    if each.row[2]:
                        yield Item(str(number), each.id, lambda each=each: self._message(each.read()))  # type: ignore[misc]
                position = found[-1][0]

        response = dataset_pb2.ListDatasetsResponse()
        response.next_page_token = fill_page(response.datasets, items(), size, response.unreadable)
        return response

    async def update_dataset(self, request: dataset_pb2.UpdateDatasetRequest, caller: Caller) -> dataset_pb2.Dataset:
        workspace_id = self._context.workspace(request.parent).workspace_id
        assets = self._context.store.assets
        asset = assets.get_by_id(workspace_id, _KIND, request.dataset_id)
        if not asset.name:
            raise InvalidArgument(
                "DATASET_NOT_REGISTERED", "Only registered datasets have a description and tags: register it first."
            )
        tags = {key: value for key, value in asset.tags.items() if key not in request.remove_tags}
        tags.update(request.set_tags)
        check_labels(tags, "tag")
        description = request.description if request.HasField("description") else asset.description
        _check_description(description)
        changed = replace(asset, tags=tags, description=description)
        assets.update(changed)
        return self._message(changed)

    async def unregister_dataset(
        self, request: dataset_pb2.UnregisterDatasetRequest, caller: Caller
    ) -> dataset_pb2.UnregisterDatasetResponse:
        workspace_id = self._context.workspace(request.parent).workspace_id
        name = _check_name(request.dataset_name)
        assets = self._context.store.assets
        assets.get(workspace_id, _KIND, name)
        assets.delete(workspace_id, _KIND, name)
        return dataset_pb2.UnregisterDatasetResponse()

    async def list_dataset_files(
        self, request: dataset_pb2.ListDatasetFilesRequest, caller: Caller
    ) -> dataset_pb2.ListDatasetFilesResponse:
        workspace = self._context.workspace(request.parent)
        size, after = page_size(request.page), decode_number(request.page)
        definition = self._definition(workspace, request.definition)
        files = await dataset_files(definition, self._context.store, self._context.objects, workspace.workspace_id)
        items = (
            (
                str(after + number),
                dataset_pb2.DatasetFile(
                    path=file.path,
                    datastore_name=file.datastore,
                    path_on_datastore=file.path_on_datastore,
                    url=file.url,
                    size_bytes=file.size_bytes,
                ),
            )
            for number, file in enumerate(files[after:], 1)
        )
        response = dataset_pb2.ListDatasetFilesResponse()
        response.next_page_token = fill_files(response.files, items, size)
        return response

    def _definition(self, workspace: Workspace, message: dataset_pb2.DatasetDefinition) -> DatasetDefinition:
        definition = check_definition(_read(message))
        for source in definition.sources:
            if source.datastore:
                self._context.store.datastores.get(workspace.workspace_id, source.datastore)
        return definition

    def _unregistered(self, workspace: Workspace, payload: dict[str, Any]) -> Asset:
        """Equal definitions have one id: submitting the same thing often leaves one record."""
        digest = hashlib.sha256(json.dumps(payload, sort_keys=True).encode()).digest()
        dataset_id = str(uuid.UUID(bytes=digest[:16], version=5))
        assets = self._context.store.assets
        found = assets.find_by_id(workspace.workspace_id, _KIND, dataset_id)
        if found is not None:
            return found
        return assets.add(
            Asset(
                workspace_id=workspace.workspace_id,
                kind=_KIND,
                name="",
                asset_id=dataset_id,
                created_at=self._context.clock.now(),
                payload=payload,
            )
        )

    def _described(self, asset: Asset, request: dataset_pb2.RegisterDatasetRequest) -> Asset:
        changed = replace(
            asset,
            description=request.description or asset.description,
            tags=merged_labels(asset.tags, request.tags, "tag"),
        )
        if changed != asset:
            self._context.store.assets.update(changed)
        return changed

    @of_record("dataset")
    def _message(self, asset: Asset) -> dataset_pb2.Dataset:
        message = dataset_pb2.Dataset(
            dataset_id=asset.asset_id,
            name=asset.name,
            version=asset.version if asset.name else 0,
            definition=definition_message(definition_from_json(asset.payload)),
            description=asset.description,
            tags=asset.tags,
            create_time=timestamp(asset.created_at),
        )
        if asset.name:
            versions = self._context.store.assets.versions(asset.workspace_id, _KIND, asset.name)
            message.is_latest = bool(versions) and versions[0] == asset.version
        return message


def _check_name(name: str) -> str:
    """Names of datasets may have spaces ("diabetes dataset")."""
    if not name or len(name) > _MAX_NAME or name != name.strip() or any(c in "/\\" for c in name) or has_controls(name):
        raise InvalidArgument(
            "INVALID_NAME",
            f"{name[:64]!r} is not a good dataset name: use 1 to {_MAX_NAME} characters, without '/', '\\' and control "
            "characters, and without spaces at its ends.",
            {"kind": "dataset"},
        )
    return name


def _check_description(text: str) -> None:
    if len(text) > _MAX_DESCRIPTION:
        raise InvalidArgument(
            "INVALID_DESCRIPTION", f"A description has at most {_MAX_DESCRIPTION} characters; this has {len(text)}."
        )


def _read(message: dataset_pb2.DatasetDefinition) -> DatasetDefinition:
    if message.dataset_type not in (dataset_pb2.DATASET_TYPE_FILE, dataset_pb2.DATASET_TYPE_TABULAR):
        raise InvalidArgument("DATASET_INVALID", "The dataset's type is missing: files or tabular.")
    table = None
    if message.dataset_type == dataset_pb2.DATASET_TYPE_TABULAR:
        if message.table.ByteSize() > _MAX_TABLE_BYTES:
            raise InvalidArgument("DATASET_INVALID", "The settings of the dataset take more than 1 MiB.")
        try:
            table = json_format.MessageToDict(message.table)
        except json_format.Error as error:
            raise InvalidArgument("DATASET_INVALID", f"The settings of the dataset cannot be kept: {error}.") from None
    return DatasetDefinition(
        tuple(DatasetSource(each.datastore_name, each.path, each.url) for each in message.sources),
        tuple(_read_selection(each) for each in message.selections),
        table,
    )


def _read_selection(message: dataset_pb2.FileSelection) -> FileSelection:
    kind = message.WhichOneof("selection")
    if kind is None:
        raise InvalidArgument("DATASET_INVALID", "A choice among files says neither take, skip nor sample.")
    if kind == "sample":
        sample = message.sample
        return FileSelection(kind, probability=sample.probability, seed=sample.seed, complement=sample.complement)
    return FileSelection(kind, count=message.take if kind == "take" else message.skip)


def definition_message(definition: DatasetDefinition) -> dataset_pb2.DatasetDefinition:
    message = dataset_pb2.DatasetDefinition(
        dataset_type=(dataset_pb2.DATASET_TYPE_FILE if definition.table is None else dataset_pb2.DATASET_TYPE_TABULAR)
    )
    for source in definition.sources:
        message.sources.add(datastore_name=source.datastore, path=source.path, url=source.url)
    for selection in definition.selections:
        added = message.selections.add()
        if selection.kind == "sample":
            added.sample.probability = selection.probability
            added.sample.seed = selection.seed
            added.sample.complement = selection.complement
        elif selection.kind == "take":
            added.take = selection.count
        else:
            added.skip = selection.count
    if definition.table is not None:
        message.table.update(definition.table)
    return message
