"""Answers for datastores. Every blob container and file share is a folder of our own object store."""

from __future__ import annotations

import re
from collections.abc import Sequence

from localaml.domain.models import Datastore, Workspace
from localaml.domain.names import ChildName, check_name, check_relative_path, parse_child
from localaml.errors import AlreadyExists, FailedPrecondition, InvalidArgument, NotFound
from localaml.jobs.datastore_data import WITH_DATA, data_prefix
from localaml.services.context import ServiceContext
from localaml.services.labels import check_labels
from localaml.services.messages import datastore_message, signed_url, timestamp
from localaml.services.paging import decode_token, fill_files, fill_page, items_of, page_size
from localaml.services.rpc import Caller
from localaml_proto.v1 import datastore_pb2

_KINDS = {
    kind.lower(): kind
    for kind in (
        *WITH_DATA,
        "AzureDataLake",
        "AzureDataLakeGen2",
        "AzureSqlDatabase",
        "AzurePostgreSql",
        "AzureMySql",
        "DBFS",
        "Hdfs",
    )
}
_CREDENTIALS = ("AccountKey", "Sas", "ServicePrincipal", "SqlAuthentication", "None")
# Both become parts of keys in the object store.
_PART = re.compile(r"[A-Za-z0-9$][A-Za-z0-9_-]{0,62}")
_RESERVED_ACCOUNTS = ("contents",)
_SECRET_SETTINGS = re.compile(r"secret|password|key|token|sas", re.IGNORECASE)
_MAX_PATHS = 1000


class DatastoreService:
    """`localaml.v1.DatastoreService`."""

    SERVICE = "localaml.v1.DatastoreService"

    def __init__(self, context: ServiceContext) -> None:
        self._context = context

    async def register_datastore(
        self, request: datastore_pb2.RegisterDatastoreRequest, caller: Caller
    ) -> datastore_pb2.Datastore:
        workspace = self._context.workspace(request.parent)
        name = check_name("datastore", request.datastore_name)
        wanted = request.datastore
        kind = _kind(wanted.datastore_type)
        if kind in WITH_DATA:
            _check_place(kind, wanted.account_name, wanted.container_name)
        check_labels(wanted.settings, "setting")
        datastore = Datastore(
            name=ChildName(workspace.name, "datastores", name),
            workspace_id=workspace.workspace_id,
            datastore_type=kind,
            created_at=self._context.clock.now(),
            account_name=wanted.account_name,
            container_name=wanted.container_name,
            protocol=wanted.protocol or "https",
            endpoint=wanted.endpoint or "core.windows.net",
            credential_type=_credential(wanted.credential_type, request.secret),
            secret=request.secret,
            settings={key: value for key, value in wanted.settings.items() if not _SECRET_SETTINGS.search(key)},
        )
        store = self._context.store.datastores
        existing = store.find(workspace.workspace_id, name)
        if existing is not None and _settings(existing) == _settings(datastore):
            datastore = existing
        elif existing is not None and not request.overwrite:
            raise AlreadyExists(
                "DATASTORE_EXISTS",
                f"A datastore {name!r} exists already, with other settings ({existing.datastore_type}, account "
                f"{existing.account_name!r}, container {existing.container_name!r}). "
                "Pass overwrite=True to replace it.",
                {"datastore": name},
            )
        else:
            store.put(datastore)
        return datastore_message(datastore, is_default=name == workspace.default_datastore)

    async def get_datastore(
        self, request: datastore_pb2.GetDatastoreRequest, caller: Caller
    ) -> datastore_pb2.Datastore:
        datastore, is_default = self._datastore(request.name)
        return datastore_message(datastore, is_default=is_default)

    async def list_datastores(
        self, request: datastore_pb2.ListDatastoresRequest, caller: Caller
    ) -> datastore_pb2.ListDatastoresResponse:
        workspace = self._context.workspace(request.parent)
        size, after = page_size(request.page), decode_token(request.page)
        found = (
            (each.id, each) for each in self._context.store.datastores.stored(workspace.workspace_id) if each.id > after
        )
        items = items_of(found, lambda each: _message(each, workspace))
        response = datastore_pb2.ListDatastoresResponse()
        response.next_page_token = fill_page(response.datastores, items, size, response.unreadable)
        return response

    async def unregister_datastore(
        self, request: datastore_pb2.UnregisterDatastoreRequest, caller: Caller
    ) -> datastore_pb2.UnregisterDatastoreResponse:
        datastore, is_default = self._datastore(request.name)
        if is_default:
            raise FailedPrecondition(
                "DATASTORE_IS_DEFAULT",
                f"{datastore.name.name!r} is the workspace's default datastore. Make another one the default first.",
            )
        self._context.store.datastores.delete(datastore.workspace_id, datastore.name.name)
        return datastore_pb2.UnregisterDatastoreResponse()

    async def list_datastore_files(
        self, request: datastore_pb2.ListDatastoreFilesRequest, caller: Caller
    ) -> datastore_pb2.ListDatastoreFilesResponse:
        root = data_prefix(self._datastore(request.name)[0])
        size, after = page_size(request.page), decode_token(request.page)
        prefix = _prefix(request.prefix)
        found = await self._context.objects.list(
            root + prefix, start_after=root + after if after else "", limit=size + 1
        )

        items = (
            (
                each.key[len(root) :],
                datastore_pb2.DatastoreFile(
                    path=each.key[len(root) :],
                    size_bytes=each.size_bytes,
                    update_time=timestamp(each.modified_at),
                ),
            )
            for each in found
        )
        response = datastore_pb2.ListDatastoreFilesResponse()
        response.next_page_token = fill_files(response.files, items, size)
        return response

    async def create_datastore_upload_urls(
        self, request: datastore_pb2.CreateDatastoreUploadUrlsRequest, caller: Caller
    ) -> datastore_pb2.CreateDatastoreUploadUrlsResponse:
        datastore = self._datastore(request.name)[0]
        root = data_prefix(datastore)
        response = datastore_pb2.CreateDatastoreUploadUrlsResponse()
        paths = _checked_paths(request.paths)
        existing = {} if request.overwrite else await self._context.objects.stat_many([root + path for path in paths])
        for path in paths:
            if root + path in existing:
                response.existing_paths.append(path)
            else:
                response.urls.append(signed_url(path, self._sign(datastore, path, caller, write=True)))
        return response

    async def create_datastore_download_urls(
        self, request: datastore_pb2.CreateDatastoreDownloadUrlsRequest, caller: Caller
    ) -> datastore_pb2.CreateDatastoreDownloadUrlsResponse:
        datastore = self._datastore(request.name)[0]
        root = data_prefix(datastore)
        response = datastore_pb2.CreateDatastoreDownloadUrlsResponse()
        paths = _checked_paths(request.paths)
        existing = await self._context.objects.stat_many([root + path for path in paths])
        for path in paths:
            if root + path not in existing:
                raise NotFound(
                    "FILE_NOT_FOUND",
                    f"There is no file {path!r} in datastore {datastore.name.name!r}.",
                    {"datastore": datastore.name.name, "path": path},
                )
            response.urls.append(signed_url(path, self._sign(datastore, path, caller, write=False)))
        return response

    def _datastore(self, name: str) -> tuple[Datastore, bool]:
        parsed = parse_child(name, "datastores")
        workspace = self._context.workspace(parsed.workspace)
        datastore = self._context.store.datastores.get(workspace.workspace_id, parsed.name)
        return datastore, datastore.name.name == workspace.default_datastore

    def _sign(self, datastore: Datastore, path: str, caller: Caller, *, write: bool) -> tuple[str, int]:
        parts = (datastore.account_name, datastore.container_name, path)
        return self._context.urls.sign("datastore", parts, "write" if write else "read", run=caller.run)


def _message(datastore: Datastore, workspace: Workspace) -> datastore_pb2.Datastore:
    return datastore_message(datastore, is_default=datastore.name.name == workspace.default_datastore)


def _kind(value: str) -> str:
    kind = _KINDS.get(value.lower())
    if kind is None:
        raise InvalidArgument(
            "DATASTORE_TYPE_UNKNOWN",
            f"{value[:64]!r} is not a kind of datastore: use one of {', '.join(_KINDS.values())}.",
        )
    return kind


def _credential(value: str, secret: str) -> str:
    if not value:
        return "AccountKey" if secret else "None"
    for known in _CREDENTIALS:
        if known.lower() == value.lower():
            return known
    raise InvalidArgument(
        "CREDENTIAL_TYPE_UNKNOWN",
        f"{value[:64]!r} is not a kind of credentials: use one of {', '.join(_CREDENTIALS)}.",
    )


def _check_place(kind: str, account: str, container: str) -> None:
    what = "container" if kind == "AzureBlob" else "file share"
    for part, value in (("account", account), (what, container)):
        if not _PART.fullmatch(value):
            raise InvalidArgument(
                "INVALID_NAME",
                f"{value[:64]!r} is not a good {part} name: use 1 to 63 letters, digits, '-' or '_'.",
                {"kind": part},
            )
    if account.lower() in _RESERVED_ACCOUNTS:
        raise InvalidArgument("NAME_RESERVED", f"The account name {account!r} is used by LocalAML itself.")


def _settings(datastore: Datastore) -> tuple[object, ...]:
    return (
        datastore.datastore_type,
        datastore.account_name,
        datastore.container_name,
        datastore.protocol,
        datastore.endpoint,
        datastore.credential_type,
        datastore.secret,
        datastore.settings,
    )


def _prefix(value: str) -> str:
    """A prefix of paths: any string, but nothing that leads out."""
    prefix = value.removeprefix("./").lstrip("/")
    if prefix in ("", "."):
        return ""
    checked = check_relative_path(prefix, "prefix")
    return checked + "/" if prefix.endswith("/") else checked


def _checked_paths(paths: Sequence[str]) -> list[str]:
    if len(paths) > _MAX_PATHS:
        raise InvalidArgument("TOO_MANY_PATHS", f"At most {_MAX_PATHS} paths a call; these are {len(paths)}.")
    return [check_relative_path(path) for path in paths]
