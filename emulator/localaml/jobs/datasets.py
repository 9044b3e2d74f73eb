"""The datasets that a run reads: made available on its node.

    direct     the script gets the dataset's id and reads it through the SDK.
    mount      a read-only folder with exactly the dataset's files. They are copies (made by the kernel, sharing the
               blocks where the file system can): whatever a job does to them, the datastore stays as it is. Hard links
               would not do, since their mode, and then their content, could be changed through the view.
    download   a copy that the job may change.

Where the dataset is one file, the path is that of the file. Azure ML names the environment variable after the input.
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from localaml.domain.datasets import definition_from_json
from localaml.domain.job import DatasetInput, DatasetMode, JobSpec
from localaml.domain.models import Asset
from localaml.errors import FailedPrecondition, InvalidArgument
from localaml.jobs.dataset_files import DatasetFile, dataset_files
from localaml.jobs.file_walk import inside
from localaml.jobs.node_paths import moved, path_on_compute
from localaml.paths import RunPaths

if TYPE_CHECKING:
    from localaml.storage.object_store import ObjectStore
    from localaml.store import Store

CONSUMPTION = re.compile(r"DatasetConsumptionConfig:([A-Za-z_][A-Za-z0-9_]*)")
"""Stands in a word for an input, as azureml-core writes it."""
# Files on their way at a time: hides the latency of opening, keeps descriptors few.
_PARALLEL = 4


@dataclass(frozen=True, slots=True)
class PreparedDatasets:
    """Dataset inputs bound to paths on the node, or to ids.

    Attributes:
        variables: environment variables.
        notes: sentences for the run's warnings.
    """

    variables: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    _values: Mapping[str, str] = field(default_factory=dict, repr=False)
    _root: Path = field(default=Path(), repr=False)

    def moved(self, paths: RunPaths) -> PreparedDatasets:
        """The same for a run's folder that is elsewhere now, with all that is in it."""

        def each(values: Mapping[str, str]) -> dict[str, str]:
            # Ids of datasets are no absolute paths.
            return {name: str(moved(Path(value), self._root, paths.root)) for name, value in values.items()}

        return replace(self, variables=each(self.variables), _values=each(self._values), _root=paths.root)

    def substitute(self, word: str) -> str:
        """`word` of a command line with inputs replaced by their paths or ids."""
        return CONSUMPTION.sub(lambda match: self._values.get(match[1], match[0]), word)


def dataset_of(wanted: DatasetInput, store: Store, workspace_id: str) -> Asset:
    """The version of the dataset that an input means. Raises NotFound ``DATASET_NOT_FOUND``."""
    if wanted.dataset_id:
        return store.assets.get_by_id(workspace_id, "dataset", wanted.dataset_id)
    return store.assets.get(workspace_id, "dataset", wanted.dataset, wanted.version or None)


async def prepare_datasets(
    spec: JobSpec,
    store: Store,
    objects: ObjectStore,
    workspace_id: str,
    paths: RunPaths,
    web_hosts: Collection[str] = (),
) -> PreparedDatasets:
    """Makes the datasets of a run available on its node.

    Args:
        paths: where nobody but us can write.
        web_hosts: servers of this machine that files of the web may come from.

    Raises:
        NotFound: ``DATASET_NOT_FOUND``, ``DATASTORE_NOT_FOUND``, ``DATA_NOT_FOUND``.
        InvalidArgument: ``INVALID_PATH``, ``PATH_ON_COMPUTE_NOT_ALLOWED``.
        FailedPrecondition: ``DATASTORE_NOT_SUPPORTED``, ``PATH_ON_COMPUTE_TAKEN``.
        Unavailable: ``URL_NOT_REACHABLE``: a file of the web cannot be fetched.
        PermissionDenied: ``WEB_HOST_NOT_ALLOWED``.
        ResourceExhausted: ``DISK_FULL``.
    """
    variables: dict[str, str] = {}
    values: dict[str, str] = {}
    notes: list[str] = []
    for each in spec.datasets:
        asset = dataset_of(each, store, workspace_id)
        value = asset.asset_id
        if each.mode is not DatasetMode.DIRECT:
            definition = definition_from_json(asset.payload)
            files = await dataset_files(definition, store, objects, workspace_id)
            place = path_on_compute(each.path_on_compute, paths.datasets / each.name, f"Input {each.name!r}", paths)
            await _lay_out(each, files, place, objects, paths, notes, web_hosts)
            # A path without wildcards may name a folder, with one file in it.
            single = definition.is_single_file and len(files) == 1 and _names(files[0], definition.sources[0].path)
            value = str(place / files[0].path if single else place)
        values[each.name] = value
        for name in (each.variable, f"AZURE_ML_INPUT_{each.name}", f"AZUREML_DATAREFERENCE_{each.name}"):
            variables[name] = value
    return PreparedDatasets(variables, tuple(notes), values, paths.root)


def _names(file: DatasetFile, path: str) -> bool:
    return bool(file.url) or file.path_on_datastore == path


async def _lay_out(
    wanted: DatasetInput,
    files: Sequence[DatasetFile],
    place: Path,
    objects: ObjectStore,
    paths: RunPaths,
    notes: list[str],
    web_hosts: Collection[str],
) -> None:
    read_only = wanted.mode is DatasetMode.MOUNT
    await asyncio.to_thread(_begin, wanted, place, paths, read_only)
    # Two sources may name one file; in a folder it is there once.
    left = iter({file.path: file for file in files}.values())
    kept = 0

    async def work() -> None:
        nonlocal kept
        for file in left:
            target = place / file.path
            if not await asyncio.to_thread(_make_room, target, wanted, paths.root):
                kept += 1
                continue
            await (_fetch(file.url, target, web_hosts) if file.url else objects.get_file(file.key, target))
            if read_only:
                target.chmod(0o444)

    tasks = [asyncio.ensure_future(work()) for _ in range(_PARALLEL)]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    if read_only:
        await asyncio.to_thread(_close_folders, place)
    if kept:
        notes.append(
            f"Input {wanted.name!r}: {kept} file(s) were there already on the node and were kept; pass overwrite=True "
            "to replace them."
        )


def _begin(wanted: DatasetInput, place: Path, paths: RunPaths, read_only: bool) -> None:
    if not inside(place, paths.root):
        raise _not_inside(wanted, paths)
    try:
        place.mkdir(parents=True, exist_ok=True)
        taken = read_only and any(place.iterdir())
    except (FileExistsError, NotADirectoryError):
        taken = True
    if taken:
        raise FailedPrecondition(
            "PATH_ON_COMPUTE_TAKEN",
            f"Input {wanted.name!r} cannot be mounted at {wanted.path_on_compute!r}: something is there already. "
            "Use another path_on_compute, or none.",
        )


def _make_room(target: Path, wanted: DatasetInput, root: Path) -> bool:
    """Whether the file is to be written."""
    if not inside(target.parent, root):
        raise InvalidArgument(
            "PATH_ON_COMPUTE_NOT_ALLOWED", f"Input {wanted.name!r}: {target.parent} leads out of the run's folder."
        )
    if os.path.lexists(target):
        if not wanted.overwrite:
            return False
        if not target.is_dir() or target.is_symlink():
            target.unlink()
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise InvalidArgument(
            "INVALID_PATH",
            f"Input {wanted.name!r}: {target.parent.name!r} is a file on the node, a folder is needed there.",
        ) from None
    return True


def _close_folders(place: Path) -> None:
    for folder, _, _ in os.walk(place, topdown=False):
        Path(folder).chmod(0o555)


def _not_inside(wanted: DatasetInput, paths: RunPaths) -> InvalidArgument:
    return InvalidArgument(
        "PATH_ON_COMPUTE_NOT_ALLOWED",
        f"Input {wanted.name!r}: path_on_compute {wanted.path_on_compute!r} leads out of the run's folder "
        f"{paths.seen}.",
    )


async def _fetch(url: str, target: Path, web_hosts: Collection[str]) -> None:
    # Here, and not above: the libraries of HTTP and mail cost each start of the emulator 20 ms, and few runs need them.
    from localaml.jobs.web_files import fetch_url

    await fetch_url(url, target, web_hosts)
