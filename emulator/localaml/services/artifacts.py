"""Answers for artifacts. The logs of a run that goes on are files in its folder: they are shown as artifacts, too."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from localaml.domain.models import Artifact, Run
from localaml.domain.names import check_relative_path
from localaml.errors import AlreadyExists, InvalidArgument, NotFound
from localaml.services.context import ServiceContext
from localaml.services.messages import artifact_message, signed_url
from localaml.services.paging import Item, decode_token, fill_page, page_size
from localaml.services.rpc import Caller
from localaml.store.codec import known
from localaml_proto.v1 import artifact_pb2

if TYPE_CHECKING:
    from pathlib import Path

_MAX_PATHS = 1000


@dataclass(frozen=True, slots=True)
class LiveLog:
    """A log that is a file in the run's folder."""

    path: str
    size_bytes: int
    modified_at: datetime


class ArtifactService:
    """`localaml.v1.ArtifactService`."""

    SERVICE = "localaml.v1.ArtifactService"

    def __init__(self, context: ServiceContext) -> None:
        self._context = context

    async def list_artifacts(
        self, request: artifact_pb2.ListArtifactsRequest, caller: Caller
    ) -> artifact_pb2.ListArtifactsResponse:
        run = self._context.run(request.parent)
        size, after = page_size(request.page), decode_token(request.page)
        prefix = request.prefix.removeprefix("./")
        found: dict[str, Callable[[], artifact_pb2.Artifact]] = {
            each.id: lambda each=each: _message(each.read())  # type: ignore[misc]
            for each in self._context.store.artifacts.stored(run.key, prefix, after, size + 1)
        }
        for log in live_logs(self._context, run):
            if log.path.startswith(prefix) and log.path > after:
                found[log.path] = lambda log=log: artifact_message(log.path, log.size_bytes, log.modified_at)  # type: ignore[misc]
        items = (Item(path, path, found[path]) for path in sorted(found))
        response = artifact_pb2.ListArtifactsResponse()
        response.next_page_token = fill_page(response.artifacts, items, size, response.unreadable)
        return response

    async def create_artifact_upload_urls(
        self, request: artifact_pb2.CreateArtifactUploadUrlsRequest, caller: Caller
    ) -> artifact_pb2.CreateArtifactUploadUrlsResponse:
        run = self._context.run(request.parent)
        paths = _checked_paths(request.paths)
        live = {log.path for log in live_logs(self._context, run)}
        for path in paths:
            self._check_free(run, path, live, overwrite=request.overwrite)
        options = {"overwrite": "1"} if request.overwrite else None
        return artifact_pb2.CreateArtifactUploadUrlsResponse(
            urls=[
                signed_url(
                    path, self._context.urls.sign("artifact", (*run.key, path), "write", options, run=caller.run)
                )
                for path in paths
            ]
        )

    async def create_artifact_download_urls(
        self, request: artifact_pb2.CreateArtifactDownloadUrlsRequest, caller: Caller
    ) -> artifact_pb2.CreateArtifactDownloadUrlsResponse:
        run = self._context.run(request.parent)
        live = {log.path for log in live_logs(self._context, run)}
        response = artifact_pb2.CreateArtifactDownloadUrlsResponse()
        for path in _checked_paths(request.paths):
            response.urls.append(signed_url(path, self._download(run, path, live, caller)))
        return response

    def _download(self, run: Run, path: str, live: set[str], caller: Caller) -> tuple[str, int]:
        if path in live:
            return self._context.urls.sign("log", (*run.key, path), "read", run=caller.run)
        if self._context.store.artifacts.find(run.key, path) is None:
            raise missing_file(self._context, run, path)
        return self._context.urls.sign("artifact", (*run.key, path), "read", run=caller.run)

    def _check_free(self, run: Run, path: str, live: set[str], *, overwrite: bool) -> None:
        artifacts = self._context.store.artifacts
        if path in live or (not overwrite and artifacts.find(run.key, path) is not None):
            raise AlreadyExists(
                "ARTIFACT_EXISTS",
                f"Run {run.run_id!r} has a file {path!r} already. Upload it under another name.",
                {"path": path},
            )
        # An object store of plain files cannot hold a file and a folder of one name.
        parent = path.rpartition("/")[0]
        while parent:
            if artifacts.find(run.key, parent) is not None:
                raise AlreadyExists(
                    "ARTIFACT_EXISTS",
                    f"Run {run.run_id!r} has a file {parent!r}: {path!r} cannot lie below it. Use another name.",
                    {"path": parent},
                )
            parent = parent.rpartition("/")[0]
        below = artifacts.list(run.key, prefix=path + "/", limit=1)
        if below:
            raise AlreadyExists(
                "ARTIFACT_EXISTS",
                f"Run {run.run_id!r} has files below {path!r} ({below[0].path!r}): "
                f"it cannot be a file. Use another name.",
                {"path": below[0].path},
            )


def _message(artifact: Artifact) -> artifact_pb2.Artifact:
    return artifact_message(artifact.path, artifact.size_bytes, artifact.created_at)


def live_logs(context: ServiceContext, run: Run) -> list[LiveLog]:
    """The logs of a run that goes on, by name; of an ended one none: they are artifacts."""
    if run.is_over or not run.submitted:
        return []
    logs = []
    for name in sorted(context.orchestrator.logs.names(run.key)):
        path: Path | None = context.orchestrator.logs.path(run.key, name)
        try:
            facts = path.stat() if path is not None else None
        except OSError:
            continue
        if facts is not None:
            logs.append(LiveLog(name, facts.st_size, datetime.fromtimestamp(facts.st_mtime, timezone.utc)))
    return logs


def missing_file(context: ServiceContext, run: Run, path: str) -> NotFound:
    """The error for a file that a run does not have, with those that it has."""
    names = [artifact.path for artifact in context.store.artifacts.list(run.key, limit=200)]
    names += [log.path for log in live_logs(context, run)]
    still = "" if run.is_over else " (the run goes on; its outputs come when it ends)"
    return NotFound(
        "ARTIFACT_NOT_FOUND",
        f"Run {run.run_id!r} has no file {path!r}{still}. {known(set(names), 20)}",
        {"run_id": run.run_id, "path": path},
    )


def _checked_paths(paths: Sequence[str]) -> list[str]:
    if len(paths) > _MAX_PATHS:
        raise InvalidArgument("TOO_MANY_PATHS", f"At most {_MAX_PATHS} paths a call; these are {len(paths)}.")
    return [check_relative_path(path, "file name of a run") for path in paths]
