"""Bytes over signed URLs: snapshot contents, artifacts, files of datastores and models, logs.

The signature is the only credential. It names the object, so nothing is looked up by what a caller could choose.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from weakref import WeakValueDictionary

from localaml.clock import Clock
from localaml.domain.models import Artifact, RunKey
from localaml.domain.names import check_relative_path
from localaml.errors import AlreadyExists, InvalidArgument, NotFound, PermissionDenied, unreadable
from localaml.gateway.artifact_reader import open_artifact
from localaml.gateway.byte_ranges import RangeNotSatisfiable, parse_range
from localaml.gateway.connect import error_response
from localaml.gateway.digests import content_digest, digest_header, wants_digest
from localaml.gateway.lost_transfers import lose_download, lose_upload
from localaml.gateway.messages import ClientGone, FileBody, Request, Response
from localaml.job_files import pinned
from localaml.paths import artifact_key, content_key, datastore_prefix, model_prefix
from localaml.services.tokens import BYTES_ROOT, UrlSigner
from localaml.storage.disk import open_plain_file
from localaml.storage.object_store import ObjectInfo, ObjectReader, ObjectStore, ObjectWriter
from localaml.store import Store

BeforeBytes = Callable[[str, str, str, str], Awaitable["int | None"]]
_SHA256 = re.compile(r"[0-9a-f]{64}")
_HEADERS = (
    ("x-content-type-options", "nosniff"),
    ("cache-control", "no-store"),
    ("accept-ranges", "bytes"),
)


class BytePlane:
    """Answers requests below ``/bytes/``.

    Args:
        log_path: the file of a run's live log; None when it is an artifact (or nothing) by now.
        before: asked before each transfer (HTTP method, kind, key of the object, run id): may raise a LocalAmlError, or
            wait. Answers after how many bytes the connection is to be lost, -1 for half of them, None for not at all.
    """

    def __init__(
        self,
        store: Store,
        objects: ObjectStore,
        urls: UrlSigner,
        clock: Clock,
        log_path: Callable[[RunKey, str], Path | None],
        before: BeforeBytes | None = None,
    ) -> None:
        self._store = store
        self._objects = objects
        self._urls = urls
        self._clock = clock
        self._log_path = log_path
        self._before = before
        # One commit at a time for a name; a lock goes with its last user.
        self._locks: WeakValueDictionary[tuple[RunKey, str], asyncio.Lock] = WeakValueDictionary()

    async def handle(self, request: Request) -> Response:
        """Answers one request. Raises LocalAmlError."""
        kind, _, path = request.path.removeprefix(f"{BYTES_ROOT}/").partition("/")
        shape = {"content": 2, "artifact": 3, "datastore": 3, "log": 3, "model": 3}.get(kind)
        if shape is None:
            raise NotFound("UNKNOWN_PATH", f"There is nothing at {request.path[:200]!r}.")
        if request.method not in ("GET", "HEAD", "PUT") or (kind == "log" and request.method == "PUT"):
            raise InvalidArgument("METHOD_NOT_ALLOWED", f"{request.method} is not possible here.")
        options = self._urls.verify(kind, path, "write" if request.method == "PUT" else "read", request.query)
        self._check_holder(options)
        parts = path.split("/", shape - 1)
        if len(parts) != shape:
            raise NotFound("UNKNOWN_PATH", f"There is nothing at {request.path[:200]!r}.")
        drop_after = None
        if self._before is not None:
            run_id = parts[1] if kind in ("artifact", "log") else ""
            drop_after = await self._before(request.method, kind, _key(kind, parts), run_id)
        if request.method == "PUT":
            if drop_after is not None:
                await lose_upload(request, drop_after)
            await self._put(kind, parts, options, request)
            return Response(201, _HEADERS)
        if drop_after is not None and request.method == "HEAD":
            raise ClientGone("the connection was dropped on purpose")
        response = await self._get(kind, parts, request)
        return response if drop_after is None else lose_download(response, drop_after)

    def _check_holder(self, options: Mapping[str, str]) -> None:
        """A URL that a run's processes got is worth no more than the run's token."""
        if "run" in options:
            workspace_id, _, run_id = options["run"].partition("/")
            if not self._store.runs.is_going_on(RunKey(workspace_id, run_id)):
                raise PermissionDenied(
                    "SIGNED_URL_EXPIRED", f"The URL was given to run {run_id}, which has ended.", {"run_id": run_id}
                )

    # -- writing ------------------------------------------------------------------------------------------------------

    async def _put(self, kind: str, parts: list[str], options: Mapping[str, str], request: Request) -> None:
        if request.content_length is None:
            raise InvalidArgument("LENGTH_REQUIRED", "A PUT needs a Content-Length; chunked bodies are not taken.")
        if kind == "content":
            await self._put_content(parts[0], parts[1], request)
        elif kind == "model":
            await self._put_model(parts[0], parts[1], check_relative_path(parts[2], "path in a model"), request)
        elif kind == "artifact":
            path = check_relative_path(parts[2], "artifact path")
            await self._put_artifact(RunKey(parts[0], parts[1]), path, options.get("overwrite") == "1", request)
        else:
            path = check_relative_path(parts[2], "datastore path")
            writer = await self._receive(datastore_prefix(parts[0], parts[1]) + path, request)
            await _commit(writer)

    async def _put_content(self, workspace_id: str, sha256: str, request: Request) -> None:
        if not _SHA256.fullmatch(sha256):
            raise InvalidArgument("INVALID_HASH", "A content is named by its SHA-256 in lower-case hex digits.")
        digest = hashlib.sha256()
        writer = await self._receive(content_key(workspace_id, sha256), request, digest.update)
        if digest.hexdigest() != sha256:
            await writer.discard()
            raise InvalidArgument(
                "CONTENT_HASH_MISMATCH",
                f"The bytes have the SHA-256 {digest.hexdigest()}, not {sha256}: the file changed while it was sent.",
                {"expected": sha256, "actual": digest.hexdigest()},
            )
        await _commit(writer)

    async def _put_artifact(self, run: RunKey, path: str, overwrite: bool, request: Request) -> None:
        self._check_artifact(run, path, overwrite)
        key = artifact_key(run, path)
        digest = hashlib.sha256()
        writer = await self._receive(key, request, digest.update)
        lock = self._locks.setdefault((run, path), asyncio.Lock())
        try:
            async with lock:
                # While the bytes came, the run may have gone, or another PUT may have been first.
                self._check_artifact(run, path, overwrite)
                # An emulator that is killed before the record is there finds the note at its next start.
                self._store.unfinished.note([key])
                info = await _commit(writer)
                if self._store.runs.find(run) is None:
                    await self._objects.delete(key)
                    self._store.unfinished.forget([key])
                self._store.runs.get(run)
                now = self._clock.now()
                with self._store.transaction():
                    self._store.artifacts.put(Artifact(run, path, info.size_bytes, now, key, digest.hexdigest()))
                    self._store.unfinished.forget([key])
        finally:
            await writer.discard()

    async def _put_model(self, workspace_id: str, upload_id: str, path: str, request: Request) -> None:
        self._check_upload(workspace_id, upload_id)
        writer = await self._receive(model_prefix(workspace_id, upload_id) + path, request)
        try:
            # While the bytes came it may have been registered: then its files do not change any more.
            self._check_upload(workspace_id, upload_id)
        except BaseException:
            await writer.discard()
            raise
        # Also here: the upload may be older than the emulator, which has removed what there was of it.
        self._store.unfinished.note([model_prefix(workspace_id, upload_id)])
        await _commit(writer)

    def _check_upload(self, workspace_id: str, upload_id: str) -> None:
        self._store.workspaces.get_by_id(workspace_id)
        model = self._store.assets.find_by_id(workspace_id, "model", upload_id)
        if model is not None:
            raise AlreadyExists(
                "MODEL_UPLOAD_USED", f"Model {model.name}:{model.version} is registered: its files never change."
            )

    def _check_artifact(self, run: RunKey, path: str, overwrite: bool) -> None:
        self._store.runs.get(run)
        if not overwrite and self._store.artifacts.find(run, path) is not None:
            raise AlreadyExists(
                "ARTIFACT_EXISTS", f"Run {run.run_id} has an artifact {path!r} already.", {"path": path}
            )

    async def _receive(
        self, key: str, request: Request, also: Callable[[memoryview], object] | None = None
    ) -> ObjectWriter:
        """Writes the body to a new object, which is still to be committed."""
        writer = await self._objects.open_writer(key)

        def both(data: memoryview) -> None:
            if also is not None:
                also(data)
            writer.write_blocking(data)

        try:
            await request.receive_into(both)
        except BaseException:
            await writer.discard()
            raise
        return writer

    # -- reading ------------------------------------------------------------------------------------------------------

    async def _get(self, kind: str, parts: list[str], request: Request) -> Response:
        name = parts[-1]
        try:
            reader, sha256 = await self._open(kind, parts)
        except OSError as error:
            raise unreadable(name, error) from error
        info = reader.info
        etag = f'"{reader.version}"'
        headers: tuple[tuple[str, str], ...] = (
            *_HEADERS,
            ("content-type", "application/octet-stream"),
            ("etag", etag),
            *([("repr-digest", digest_header(bytes.fromhex(sha256)))] if sha256 else []),
        )
        try:
            wanted = None
            if request.headers.get("if-range", etag) == etag:
                wanted = parse_range(request.headers.get("range"), info.size_bytes)
        except RangeNotSatisfiable as error:
            reader.close()
            return error_response(error, (*_HEADERS, ("content-range", f"bytes */{error.size}")))
        if wanted is None:
            status, body = 200, FileBody(reader, 0, info.size_bytes)
        else:
            start, end = wanted
            status, body = 206, FileBody(reader, start, end - start)
            headers = (*headers, ("content-range", f"bytes {start}-{end - 1}/{info.size_bytes}"))
        if request.method == "HEAD" and wants_digest(request.headers.get("want-content-digest")):
            try:
                digest = await asyncio.to_thread(content_digest, body)
            except BaseException as error:
                reader.close()
                if isinstance(error, OSError):
                    raise unreadable(name, error) from error
                raise
            if digest is not None:
                headers = (*headers, ("content-digest", digest))
        elif request.method == "GET" and reader.is_at_hand and body.count:
            # Behind the head of an answer nothing could be said any more.
            try:
                reader.read_into(memoryview(bytearray(1)), body.start)
            except OSError as error:
                reader.close()
                raise unreadable(name, error) from error
        return Response(status, headers, body)

    async def _open(self, kind: str, parts: list[str]) -> tuple[ObjectReader, str]:
        """A reader, and the SHA-256 that is to come out, in hex digits; empty where that is not known."""
        if kind == "content":
            return await self._objects.open_reader(content_key(parts[0], parts[1])), parts[1]
        if kind == "datastore":
            path = check_relative_path(parts[2], "datastore path")
            return await self._objects.open_reader(datastore_prefix(parts[0], parts[1]) + path), ""
        if kind == "model":
            key = model_prefix(parts[0], parts[1]) + check_relative_path(parts[2], "path in a model")
            return await self._objects.open_reader(key), ""
        run, path = RunKey(parts[0], parts[1]), check_relative_path(parts[2], "artifact path")
        live = self._log_path(run, path) if kind == "log" else None
        if live is not None:
            try:
                # A job can put a link in the place of any folder below that of all runs.
                with pinned(live.parents[2], live) as place:
                    return open_plain_file(place), ""
            except (OSError, NotFound):
                pass  # it became an artifact just now
        return await open_artifact(self._store, self._objects, run, path)


def _key(kind: str, parts: list[str]) -> str:
    """The key of the object that is meant, as far as the names can be one."""
    if kind == "content":
        return content_key(parts[0], parts[1])
    if kind == "datastore":
        return datastore_prefix(parts[0], parts[1]) + parts[2]
    if kind == "model":
        return model_prefix(parts[0], parts[1]) + parts[2]
    return artifact_key(RunKey(parts[0], parts[1]), parts[2])


async def _commit(writer: ObjectWriter) -> ObjectInfo:
    try:
        return await writer.commit()
    except BaseException:
        await writer.discard()
        raise
