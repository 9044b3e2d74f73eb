"""Answers for environments: registered ones (assets of the store) and curated ones (a data file)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from google.protobuf import json_format

from localaml.domain.models import Asset, Workspace
from localaml.domain.names import ChildName, check_name, has_controls, parse_child
from localaml.errors import InvalidArgument, NotFound
from localaml.jobs.containers import wanted_container
from localaml.jobs.targets import runs_in_containers
from localaml.services.container_definition import container_spec
from localaml.services.context import ServiceContext
from localaml.services.curated_environments import CuratedEnvironment, CuratedEnvironments
from localaml.services.messages import of_record, timestamp
from localaml.services.paging import Item, decode_token, fill_page, page_size
from localaml.services.python_definition import python_environment
from localaml.services.rpc import Caller
from localaml.store import AssetFilter
from localaml_proto.v1 import environment_pb2, run_definition_pb2

if TYPE_CHECKING:
    from localaml.jobs.environments.contract import PreparedEnvironment

_MAX_LABEL = 255
_MAX_LABELS = 1000
_CURATED_PAGE = "curated:"


class EnvironmentService:
    """`localaml.v1.EnvironmentService`."""

    SERVICE = "localaml.v1.EnvironmentService"

    def __init__(self, context: ServiceContext) -> None:
        self._context = context
        self._curated = CuratedEnvironments()

    async def register_environment(
        self, request: environment_pb2.RegisterEnvironmentRequest, caller: Caller
    ) -> environment_pb2.Environment:
        workspace = self._context.workspace(request.parent)
        name = check_name("environment", request.environment_name)
        self._curated.check_free(name)
        python_environment(request.definition.python)
        kept = run_definition_pb2.EnvironmentDefinition()
        kept.CopyFrom(request.definition)
        # Both are the version's own; and a password is never kept.
        for field in ("name", "version"):
            kept.ClearField(field)
        if kept.docker.HasField("base_image_registry"):
            kept.docker.base_image_registry.ClearField("password")
        payload = {
            "definition": json_format.MessageToDict(kept),
            "other": json_format.MessageToDict(request.other_sections),
        }
        assets = self._context.store.assets
        newest = assets.find(workspace.workspace_id, "environment", name)
        if newest is not None and newest.payload == payload:
            return registered_message(workspace, newest)
        asset = Asset(
            workspace_id=workspace.workspace_id,
            kind="environment",
            name=name,
            asset_id=self._context.identifiers.guid(),
            created_at=self._context.clock.now(),
            payload=payload,
            request_id=request.request_id,
        )
        return registered_message(workspace, assets.add(asset))

    async def get_environment(
        self, request: environment_pb2.GetEnvironmentRequest, caller: Caller
    ) -> environment_pb2.Environment:
        parsed = parse_child(request.name, "environments")
        workspace = self._context.workspace(parsed.workspace)
        return self._find(workspace, parsed.name, request.version, request.label)

    async def list_environments(
        self, request: environment_pb2.ListEnvironmentsRequest, caller: Caller
    ) -> environment_pb2.ListEnvironmentsResponse:
        workspace = self._context.workspace(request.parent)
        size, after = page_size(request.page), decode_token(request.page)
        response = environment_pb2.ListEnvironmentsResponse()
        items = self._items(workspace, request, after, size)
        response.next_page_token = fill_page(response.environments, items, size, response.unreadable)
        return response

    async def label_environment(
        self, request: environment_pb2.LabelEnvironmentRequest, caller: Caller
    ) -> environment_pb2.Environment:
        parsed = parse_child(request.name, "environments")
        workspace = self._context.workspace(parsed.workspace)
        self._curated.check_free(parsed.name)
        version = _version(request.version)
        if version is None:
            raise InvalidArgument("ENVIRONMENT_VERSION_MISSING", "Giving labels needs the version that gets them.")
        for label in request.labels:
            if not label.strip() or len(label) > _MAX_LABEL or label.lower() == "latest" or has_controls(label):
                raise InvalidArgument(
                    "ENVIRONMENT_LABEL_INVALID",
                    f"{label[:64]!r} cannot be given as a label: use 1 to {_MAX_LABEL} characters without control "
                    "characters; "
                    "'latest' is always the newest version.",
                )
        assets = self._context.store.assets
        asset = assets.get(workspace.workspace_id, "environment", parsed.name, version)
        labels = tuple(dict.fromkeys([*asset.labels, *request.labels]))
        if len(labels) > _MAX_LABELS:
            raise InvalidArgument(
                "ENVIRONMENT_LABEL_INVALID", f"The version would have {len(labels)} labels, at most {_MAX_LABELS} fit."
            )
        asset = replace(asset, labels=labels)
        assets.update(asset)
        return registered_message(workspace, asset)

    async def build_environment(
        self, request: environment_pb2.BuildEnvironmentRequest, caller: Caller
    ) -> AsyncGenerator[environment_pb2.BuildEnvironmentResponse, None]:
        workspace = self._context.workspace(request.parent)
        definition = request.definition
        if request.environment_name:
            definition = self._find(workspace, request.environment_name, request.version, "").definition
        lines: asyncio.Queue[str | None] = asyncio.Queue()
        container = None
        if runs_in_containers(self._context.runtime, self._context.store, workspace.workspace_id, ""):
            container = wanted_container(container_spec(run_definition_pb2.RunDefinition(environment=definition)))
        building = asyncio.ensure_future(
            self._context.environments.prepare(
                python_environment(definition.python), mpi=False, log=lines.put_nowait, container=container
            )
        )
        building.add_done_callback(lambda _: lines.put_nowait(None))
        try:
            while (line := await lines.get()) is not None:
                yield environment_pb2.BuildEnvironmentResponse(line=line)
            yield environment_pb2.BuildEnvironmentResponse(built=_built(await building))
        finally:
            if not building.done():
                building.cancel()
                await asyncio.wait([building])

    def _items(
        self, workspace: Workspace, request: environment_pb2.ListEnvironmentsRequest, after: str, size: int
    ) -> Iterable[Item[environment_pb2.Environment]]:
        def items() -> Iterator[Item[environment_pb2.Environment]]:
            if not after.startswith(_CURATED_PAGE):
                wanted = AssetFilter(name=request.environment_name or None, latest_only=request.latest_only)
                start = int(after) if after.isascii() and after.isdigit() and len(after) <= 18 else 0
                assets = self._context.store.assets
                for seq, each in assets.stored(workspace.workspace_id, "environment", wanted, start, size + 1):
                    yield Item(str(seq), each.id, lambda each=each: registered_message(workspace, each.read()))  # type: ignore[misc]
            if request.exclude_curated:
                return
            for curated in self._curated.all():
                key = _CURATED_PAGE + curated.name
                if key > after and request.environment_name in ("", curated.name):
                    yield Item(key, curated.name, lambda each=curated: _curated_message(workspace, each))  # type: ignore[misc]

        return items()

    def _find(self, workspace: Workspace, name: str, version: str, label: str) -> environment_pb2.Environment:
        """Raises NotFound ``ENVIRONMENT_NOT_FOUND``, Unimplemented ``ENVIRONMENT_NOT_SUPPORTED``, InvalidArgument."""
        if version and label:
            raise InvalidArgument("ENVIRONMENT_VERSION_AND_LABEL", "Give either a version or a label, not both.")
        label = "" if label.lower() == "latest" else label
        if self._curated.is_reserved(name):
            curated = self._curated.get(name)
            if version not in ("", curated.version) or label:
                raise NotFound(
                    "ENVIRONMENT_NOT_FOUND",
                    f"The curated environment {name!r} has the version {curated.version} only, and no labels.",
                    {"environment": name},
                )
            return _curated_message(workspace, curated)
        asset = self._context.store.assets.get(
            workspace.workspace_id, "environment", name, _version(version), label or None
        )
        return registered_message(workspace, asset)


def _version(text: str) -> int | None:
    """The number of a version; None for the newest."""
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise NotFound(
            "ENVIRONMENT_NOT_FOUND", f"There is no version {text[:64]!r}: versions are whole numbers from 1 on."
        )
    return int(text)


@of_record("environment")
def registered_message(workspace: Workspace, asset: Asset) -> environment_pb2.Environment:
    message = _message(workspace, asset.name, str(asset.version), asset.payload["definition"])
    message.asset_id = asset.asset_id
    message.labels.extend(asset.labels)
    message.description = asset.description
    created = timestamp(asset.created_at)
    if created is not None:
        message.create_time.CopyFrom(created)
    json_format.ParseDict(asset.payload["other"], message.other_sections)
    return message


def _curated_message(workspace: Workspace, curated: CuratedEnvironment) -> environment_pb2.Environment:
    message = _message(workspace, curated.name, curated.version, curated.definition)
    message.curated = True
    message.description = curated.description
    return message


def _message(workspace: Workspace, name: str, version: str, definition: Any) -> environment_pb2.Environment:
    # A newer LocalAML may have stored fields that this one does not know.
    parsed = json_format.ParseDict(definition, run_definition_pb2.EnvironmentDefinition(), ignore_unknown_fields=True)
    parsed.name, parsed.version = name, version
    return environment_pb2.Environment(
        name=str(ChildName(workspace.name, "environments", name)), version=version, definition=parsed
    )


def _built(environment: PreparedEnvironment) -> environment_pb2.BuiltEnvironment:
    return environment_pb2.BuiltEnvironment(
        python=str(environment.python),
        python_version=".".join(str(part) for part in environment.python_version),
        newly_built=environment.built,
    )
