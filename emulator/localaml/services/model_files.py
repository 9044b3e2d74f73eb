"""Where the files of a model come from: uploads, or artifacts of a run, which are copied."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

from localaml.domain.names import check_relative_path
from localaml.errors import FailedPrecondition, InvalidArgument, NotFound
from localaml.paths import MODELS, model_prefix
from localaml.store.codec import known

if TYPE_CHECKING:
    from localaml.clock import Clock
    from localaml.domain.models import Artifact, Run, Workspace
    from localaml.services.context import ServiceContext
    from localaml.storage.object_store import ObjectStore
    from localaml.store import Store

ModelFiles = list[tuple[str, int]]
"""Path and size of each file, by path. A model that is a folder has its name as the first part of all paths."""
_COPIES = 8
_UPLOAD_LIFETIME = timedelta(days=1)


async def uploaded_files(context: ServiceContext, workspace: Workspace, upload_id: str, file_count: int) -> ModelFiles:
    """What was uploaded.

    Args:
        file_count: how many files there must be; 0 for any number but none.

    Raises FailedPrecondition ``MODEL_FILES_MISSING``.
    """
    prefix = model_prefix(workspace.workspace_id, upload_id)
    files: ModelFiles = []
    after = ""
    while found := await context.objects.list(prefix, after):
        files += [(info.key.removeprefix(prefix), info.size_bytes) for info in found]
        after = found[-1].key
    if not files or (file_count and len(files) != file_count):
        raise FailedPrecondition(
            "MODEL_FILES_MISSING",
            f"{len(files)} files were uploaded for this model, of {file_count or 'at least one'}. "
            "Upload them (again), then register it.",
        )
    return sorted(files)


async def run_files(
    context: ServiceContext, run: Run, run_path: str, child_paths: Sequence[str], asset_id: str
) -> ModelFiles:
    """Copies a run's file or folder into a model.

    Raises:
        NotFound: ``MODEL_PATH_NOT_FOUND``; the message says which files the run has.
        InvalidArgument: ``INVALID_PATH``, ``MODEL_CHILD_PATHS`` (of something that is no folder).
    """
    path = check_relative_path(run_path, "path of a model")
    chosen = _chosen(context, run, path, child_paths)
    strip = len(path) - len(path.rpartition("/")[2])
    prefix = model_prefix(run.workspace_id, asset_id)
    gate = asyncio.Semaphore(_COPIES)

    async def copy(artifact: Artifact) -> tuple[str, int]:
        inside = artifact.path[strip:]
        async with gate:
            info = await context.objects.copy(artifact.object_key, prefix + inside)
        return inside, info.size_bytes

    context.store.unfinished.note([prefix])
    copies = [asyncio.ensure_future(copy(artifact)) for artifact in chosen]
    try:
        return sorted(await asyncio.gather(*copies))
    except BaseException:
        for each in copies:
            each.cancel()
        await asyncio.gather(*copies, return_exceptions=True)
        await context.objects.delete_prefix(prefix)
        context.store.unfinished.forget([prefix])
        raise


def _chosen(context: ServiceContext, run: Run, path: str, child_paths: Sequence[str]) -> list[Artifact]:
    artifacts = context.store.artifacts
    single = artifacts.find(run.key, path)
    if single is not None:
        if child_paths:
            raise InvalidArgument("MODEL_CHILD_PATHS", f"child_paths need a folder, and {path!r} is a file.")
        return [single]
    folder = _below(context, run, path)
    if not folder:
        raise _missing(context, run, path)
    if not child_paths:
        return folder
    chosen: dict[str, Artifact] = {}
    for child in child_paths:
        wanted = f"{path}/{check_relative_path(child, 'child path of a model')}"
        found = [each for each in folder if each.path == wanted or each.path.startswith(wanted + "/")]
        if not found:
            raise _missing(context, run, wanted)
        chosen.update((each.path, each) for each in found)
    return list(chosen.values())


def _below(context: ServiceContext, run: Run, folder: str) -> list[Artifact]:
    found: list[Artifact] = []
    while page := context.store.artifacts.list(run.key, folder + "/", found[-1].path if found else ""):
        found += page
    return found


def _missing(context: ServiceContext, run: Run, path: str) -> NotFound:
    names = [artifact.path for artifact in context.store.artifacts.list(run.key, limit=200)]
    still = "" if run.is_over else " The run goes on: its ./outputs come when it ends, or earlier with run.upload_file."
    return NotFound(
        "MODEL_PATH_NOT_FOUND",
        f"Run {run.run_id!r} has no file or folder {path!r} to make a model of. {known(names, 20)}{still}",
        {"run_id": run.run_id, "path": path},
    )


async def remove_stale_uploads(store: Store, objects: ObjectStore, clock: Clock) -> int:
    """Removes what was uploaded (or copied) more than a day ago and never registered; returns how many uploads."""
    latest = clock.now() - _UPLOAD_LIFETIME
    after, removed = "", 0
    # One object of each upload is enough to know it: the next look begins behind all the others.
    while found := await objects.list(f"{MODELS}/", after, 1):
        _, workspace_id, upload_id, *_ = found[0].key.split("/")
        prefix = model_prefix(workspace_id, upload_id)
        if found[0].modified_at < latest and store.assets.find_by_id(workspace_id, "model", upload_id) is None:
            await objects.delete_prefix(prefix)
            removed += 1
        after = prefix + "\U0010ffff"
    return removed
