"""Answers of the state service."""

from __future__ import annotations

import asyncio
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from localaml import __version__
from localaml.control.state_archive import FORMAT, ArchiveWriter, Manifest, unpack_archive
from localaml.control.state_exchange import StateExchange
from localaml.errors import FailedPrecondition, InvalidArgument, NotFound, disk_full, is_disk_full
from localaml.jobs.storage_move import prefixes_of
from localaml.paths import StatePaths
from localaml.services.context import ServiceContext
from localaml.services.removal import empty_runtime
from localaml.services.rpc import Caller
from localaml.services.state_check import check_records
from localaml.services.state_credentials import WithoutCredentials
from localaml.state_dir import UNFINISHED_ARCHIVE
from localaml.store import Store
from localaml_proto.admin.v1 import state_pb2


class StateService:
    """`localaml.admin.v1.StateService`."""

    SERVICE = "localaml.admin.v1.StateService"

    def __init__(self, context: ServiceContext) -> None:
        self._context = context
        self._one_at_a_time = asyncio.Lock()

    async def save_state(self, request: state_pb2.SaveStateRequest, caller: Caller) -> state_pb2.SaveStateResponse:
        path = _absolute(request.path)
        async with self._one_at_a_time:
            self._check_no_runs("saved")
            if path.exists() and not request.overwrite:
                raise FailedPrecondition(
                    "FILE_EXISTS", f"{path} exists already. Name another file, or have it replaced (--overwrite)."
                )
            if path.exists() and not path.is_file():
                raise FailedPrecondition("FILE_UNUSABLE", f"{path} is no plain file: name another one.")
            try:
                # Beside the target: the last step is a rename.
                with _noted_folder(
                    StatePaths(self._context.settings.state_dir.absolute()).saving, path.parent
                ) as folder:
                    part = Path(folder) / "archive"
                    with part.open("xb") as file:
                        manifest = await self._write(file, Path(folder) / "metadata.sqlite3")
                    part.chmod(0o600)
                    size = part.stat().st_size
                    part.replace(path)
            except OSError as error:
                if is_disk_full(error):
                    raise disk_full() from error
                raise FailedPrecondition("FILE_UNUSABLE", f"{path} cannot be written: {error.strerror}.") from error
        return state_pb2.SaveStateResponse(
            object_count=manifest.object_count, object_bytes=manifest.object_bytes, archive_bytes=size
        )

    async def _write(self, file: BinaryIO, metadata: Path) -> Manifest:
        context = self._context
        context.store.save_to(metadata, WithoutCredentials())
        keys: list[str] = []
        total = 0
        for prefix in sorted(prefixes_of(context.store)):
            after = ""
            while infos := await context.objects.list(prefix, start_after=after):
                after = infos[-1].key
                keys += [info.key for info in infos]
                total += sum(info.size_bytes for info in infos)
        manifest = Manifest(
            FORMAT, __version__, context.clock.now().isoformat(), metadata.stat().st_size, len(keys), total
        )
        writer = await asyncio.to_thread(ArchiveWriter, file, manifest, metadata)
        sent = 0
        for key in keys:
            try:
                reader = await context.objects.open_reader(key)
            except NotFound:
                raise _changed() from None
            try:
                sent += reader.info.size_bytes
                await asyncio.to_thread(writer.add, key, reader)
            finally:
                reader.close()
        if sent != total:
            raise _changed()
        await asyncio.to_thread(writer.close)
        return manifest

    async def load_state(self, request: state_pb2.LoadStateRequest, caller: Caller) -> state_pb2.LoadStateResponse:
        path, context = _absolute(request.path), self._context
        exchange = StateExchange(StatePaths(context.settings.state_dir.absolute()))
        async with self._one_at_a_time:
            self._check_no_runs("replaced")
            try:
                unpacked = await asyncio.to_thread(exchange.begin)
                manifest, keys = await asyncio.to_thread(unpack_archive, path, exchange.metadata, unpacked)
                prefixes = await asyncio.to_thread(_checked, exchange.metadata)
                for key in keys:
                    if not key.startswith(prefixes):
                        raise InvalidArgument(
                            "STATE_ARCHIVE_INVALID", f"The archive has an object that no record owns: {key[:100]!r}."
                        )
                # A run that was submitted meanwhile is cancelled with the rest.
                await empty_runtime(context)
                await asyncio.to_thread(exchange.decide, prefixes_of(context.store), keys)
                await exchange.carry_out(context.store, context.objects)
            except BaseException:
                if not exchange.is_decided:
                    await asyncio.to_thread(exchange.discard)
                raise
            finally:
                context.orchestrator.restore()
        return state_pb2.LoadStateResponse(object_count=manifest.object_count, object_bytes=manifest.object_bytes)

    def _check_no_runs(self, what: str) -> None:
        active = self._context.store.runs.list_active()
        if active:
            raise FailedPrecondition(
                "RUNS_ACTIVE",
                f"The state cannot be {what} while runs are active ({active[0].run_id!r}, {len(active)} in all): wait "
                "for them, or cancel them.",
                {"run_id": active[0].run_id},
            )


@contextmanager
def _noted_folder(note: Path, above: Path) -> Iterator[str]:
    """A temporary folder. When the emulator is killed, its next start finds the note and removes the folder."""
    folder = above / f"{UNFINISHED_ARCHIVE}{secrets.token_hex(8)}"
    note.write_text(str(folder), "utf-8")
    try:
        folder.mkdir(mode=0o700)
        yield str(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        note.unlink(missing_ok=True)


def _checked(metadata: Path) -> tuple[str, ...]:
    """Checks new records; returns where their objects may be. Blocks."""
    Store.check_file(metadata)
    store = Store.open(metadata)
    try:
        check_records(store)
        return tuple(prefixes_of(store))
    finally:
        store.close()


def _absolute(text: str) -> Path:
    path = Path(text)
    if not path.is_absolute() or "\0" in text:
        raise InvalidArgument("INVALID_PATH", f"{text[:200]!r} is no absolute path on the emulator's machine.")
    return path


def _changed() -> FailedPrecondition:
    return FailedPrecondition("STATE_CHANGED", "Data changed while the state was being saved. Save it again.")
