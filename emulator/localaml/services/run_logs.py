"""Reading logs of runs: from the live file while the run goes on, then from the artifact, without a gap between."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path

from localaml.domain.models import Run, RunKey
from localaml.domain.names import check_relative_path
from localaml.errors import InvalidArgument
from localaml.jobs.file_watcher import FileWatcher
from localaml.jobs.log_follow import follow_file
from localaml.services.artifacts import live_logs, missing_file
from localaml.services.context import ServiceContext
from localaml.services.messages import signed_url
from localaml_proto.v1 import run_pb2

CHUNK_BYTES = 256 * 1024
_LOG_FOLDERS = ("azureml-logs/", "logs/azureml/")


class RunLogs:
    """What `RunService` says about logs."""

    def __init__(self, context: ServiceContext) -> None:
        self._context = context
        # One for all readers; there while there are any.
        self._watcher: FileWatcher | None = None
        self._followers = 0

    def urls(self, run: Run, holder: RunKey | None = None) -> run_pb2.ListRunLogsResponse:
        """URLs of the logs that exist now, by name.

        Args:
            holder: the run whose token the caller showed.
        """
        context = self._context
        logs = {log.path: ("log", log.size_bytes) for log in live_logs(context, run)}
        for folder in _LOG_FOLDERS:
            for artifact in context.store.artifacts.list(run.key, folder):
                logs.setdefault(artifact.path, ("artifact", artifact.size_bytes))
        return run_pb2.ListRunLogsResponse(
            logs=[
                signed_url(name, context.urls.sign(kind, (*run.key, name), "read", run=holder), size)
                for name, (kind, size) in sorted(logs.items())
            ]
        )

    async def read(
        self, run: Run, log_name: str, offset: int, follow: bool
    ) -> AsyncGenerator[run_pb2.ReadRunLogResponse, None]:
        """The bytes of a log from `offset` on, in chunks of at most `CHUNK_BYTES`.

        Raises NotFound ``ARTIFACT_NOT_FOUND``: there is no such log (with `follow`: none came until the run's end).
        """
        name = check_relative_path(log_name, "log name")
        if offset < 0:
            raise InvalidArgument("OFFSET_INVALID", f"offset must not be negative (it is {offset}).")
        key = run.key
        seen = self._live(key, name) is not None
        async with aclosing(self._live_chunks(key, name, offset, follow)) as chunks:
            async for begin, data in chunks:
                seen = True
                yield run_pb2.ReadRunLogResponse(data=data, offset=begin)
                offset = begin + len(data)
        artifact = self._context.store.artifacts.find(key, name)
        if artifact is None:
            if not seen:
                raise missing_file(self._context, self._context.store.runs.get(key), name)
            return
        if offset < artifact.size_bytes:
            async for piece in self._context.objects.read(artifact.object_key, offset):
                for start in range(0, len(piece), CHUNK_BYTES):
                    data = piece[start : start + CHUNK_BYTES]
                    yield run_pb2.ReadRunLogResponse(data=data, offset=offset)
                    offset += len(data)

    async def _live_chunks(
        self, key: RunKey, name: str, offset: int, follow: bool
    ) -> AsyncGenerator[tuple[int, bytes], None]:
        """What comes from the live file; with `follow` until it is complete."""
        store = self._context.store

        def complete() -> bool:
            run = store.runs.find(key)
            if run is None or run.is_over or not run.submitted:
                return True
            # Being collected: the bytes have moved to the artifact, and no more will come.
            return self._live(key, name) is None and store.artifacts.find(key, name) is not None

        with store.changes.subscribe(key) as subscription:
            chunks = follow_file(
                lambda: self._live(key, name),
                offset,
                complete if follow else lambda: True,
                subscription.wait,
                watcher=self._watch(),
            )
            try:
                async for begin, data in chunks:
                    yield begin, data
            finally:
                await chunks.aclose()  # type: ignore[attr-defined]  # it is an async generator; its annotation says less
                self._unwatch()

    def _live(self, key: RunKey, name: str) -> Path | None:
        return self._context.orchestrator.logs.path(key, name)

    def _watch(self) -> FileWatcher:
        if self._watcher is None:
            self._watcher = FileWatcher()
        self._followers += 1
        return self._watcher

    def _unwatch(self) -> None:
        self._followers -= 1
        if self._followers == 0 and self._watcher is not None:
            self._watcher.close()
            self._watcher = None
