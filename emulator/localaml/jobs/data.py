"""Data references of a run: where a datastore's data is on the node, and what goes back into it.

Facts on modes and variables: azureml-core's `DataReference` (`mount`, `download`, `upload`;
``AZUREML_DATAREFERENCE_<name>``).

    mount      the datastore's real folder: a write is in the datastore at once. (Where the store has no folders here,
               it is a view that is synchronised: see `mount_view`.) A prefix of a blob store needs no
               existence, so a folder that is not there is made; a path whose last part has a suffix (`model.pkl`) is
               taken for a file to come, and only its folder is made. Where artifacts of runs are (`azureml` of the
               default datastore) jobs only read: nothing is made there, and runtimes are told to show it read-only.
    download   a copy, below `<run>/mounts/<name>` or at `path_on_compute`.
    upload     a file or folder on the node whose content goes into the datastore when the run has ended, however it
               ended. Nothing goes where artifacts are.

`path_on_compute` is relative to the work folder; an absolute one must lie in the run's own folder. Links are never
followed out of a datastore or out of the run's folder.
"""

from __future__ import annotations

import asyncio
import os
import posixpath
import re
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from localaml import job_files
from localaml.clock import RealClock
from localaml.domain.job import DataMode, DataReference, JobSpec
from localaml.domain.names import check_relative_path
from localaml.errors import FailedPrecondition, InvalidArgument, LocalAmlError, NotFound
from localaml.jobs.file_walk import FoundFile, inside, walk_files
from localaml.jobs.mount_view import MountViews, artifacts_kept
from localaml.jobs.node_paths import moved, not_allowed, path_on_compute
from localaml.paths import ARTIFACTS, RunPaths, datastore_prefix, has_artifacts, is_for_artifacts

if TYPE_CHECKING:
    from localaml.clock import Clock
    from localaml.storage.object_store import ObjectStore
    from localaml.store import Store

VARIABLE_PREFIX = "AZUREML_DATAREFERENCE_"
_VARIABLE = re.compile(r"\$(?:\{([A-Za-z_][A-Za-z0-9_]*)\}|([A-Za-z_][A-Za-z0-9_]*))")


def substitute(word: str, variables: Mapping[str, str]) -> str:
    """`word` with `$NAME` and `${NAME}` replaced by variables of that name; unknown ones stay as they are. Nothing
    else of a shell's syntax means anything, and what was put in is not looked at again."""

    def value(match: re.Match[str]) -> str:
        return variables.get(match[1] or match[2], match[0])

    return _VARIABLE.sub(value, word) if "$" in word else word


@dataclass(frozen=True, slots=True)
class _Upload:
    reference: DataReference
    source: Path
    key_prefix: str  # of the datastore, ends with "/"


@dataclass(frozen=True, slots=True)
class PreparedData:
    """Data references bound to paths on the node.

    Attributes:
        variables: ``AZUREML_DATAREFERENCE_<name>`` -> absolute path.
        notes: sentences on what was left out, for the run's warnings.
        folders: what is mounted and lies outside the run's folder: whole datastores, so that runs that use the same
            ones need the same.
        read_only: those in `folders` that the job must not write to.
    """

    variables: Mapping[str, str]
    notes: tuple[str, ...] = ()
    folders: tuple[Path, ...] = ()
    read_only: tuple[Path, ...] = ()
    _objects: ObjectStore | None = field(default=None, repr=False)
    _root: Path = field(default=Path(), repr=False)
    _uploads: tuple[_Upload, ...] = field(default=(), repr=False)
    _views: MountViews | None = field(default=None, repr=False)

    def moved(self, paths: RunPaths) -> PreparedData:
        """The same for a run's folder that is elsewhere now, with all that is in it."""
        if self._views is not None:
            self._views.move(paths)
        return replace(
            self,
            variables={name: str(moved(Path(path), self._root, paths.root)) for name, path in self.variables.items()},
            _root=paths.root,
            _uploads=tuple(replace(each, source=moved(each.source, self._root, paths.root)) for each in self._uploads),
        )

    def start(self) -> None:
        """The job runs: what it writes to mounts that are views is pushed now and then."""
        if self._views is not None:
            self._views.start()

    async def leave_node(self, log: Callable[[str], None]) -> None:
        """The run goes to another node: what it wrote to mounts is in their datastores then, as far as that works."""
        try:
            for note in await self._views.finish() if self._views is not None else ():
                log(note)
        except (LocalAmlError, OSError) as error:
            log(f"Not all that the run wrote to its mounts could be kept: {error}")

    async def close(self) -> None:
        """Ends that. Idempotent."""
        if self._views is not None:
            await self._views.close()

    def substitute(self, word: str, variables: Mapping[str, str]) -> str:
        """`word` of a command line with `$NAME` and `${NAME}` replaced: by the path of a data reference, or by a
        variable of the job's environment (Azure's task shell did that). See `substitute`."""
        return substitute(word, {**variables, **self.variables})

    async def upload(self) -> list[str]:
        """Puts what the `upload` references name, and what changed in mounts that are views, into their datastores.
        May be called again. Returns notes for the run's warnings.

        Raises:
            ResourceExhausted: ``DISK_FULL``.
            Unavailable: ``OBJECT_STORE_UNAVAILABLE``.
        """
        notes: list[str] = await self._views.finish() if self._views is not None else []
        for upload in self._uploads:
            assert self._objects is not None
            notes += await _upload(self._objects, upload, self._root)
        return notes


async def prepare_data(
    spec: JobSpec,
    store: Store,
    objects: ObjectStore,
    workspace_id: str,
    paths: RunPaths,
    *,
    machine_clock: Clock | None = None,
    adopt: bool = False,
) -> PreparedData:
    """Makes the data of a run's references available on the node.

    Args:
        paths: where nobody but us can write, unless with `adopt`.
        adopt: the run's processes are going on already: work out the same paths, write nothing.

    Raises:
        NotFound: ``DATASTORE_NOT_FOUND``, ``DATA_NOT_FOUND`` (nothing to download at that path, or a mount of artifacts
            that are not there).
        InvalidArgument: ``INVALID_PATH``, ``PATH_ON_COMPUTE_NOT_ALLOWED``.
        FailedPrecondition: ``DATA_PATH_LEAVES_DATASTORE``: a link in the datastore leads out of it.
        Unavailable: ``OBJECT_STORE_UNAVAILABLE``.
        ResourceExhausted: ``DISK_FULL``.
    """
    variables: dict[str, str] = {}
    notes: list[str] = []
    uploads: list[_Upload] = []
    folders: set[Path] = set()
    read_only: set[Path] = set()
    views = MountViews(objects, paths, machine_clock or RealClock())
    for reference in spec.data_references:
        datastore = store.datastores.get(workspace_id, reference.datastore)
        prefix = datastore_prefix(datastore.account_name, datastore.container_name)
        source = _path_on_datastore(reference)
        if reference.mode is DataMode.MOUNT:
            root = objects.local_folder(prefix)
            if root is None:
                root = await views.mount(prefix, source, adopt=adopt, notes=notes)
            else:
                folders.add(root)
                if has_artifacts(datastore.account_name, datastore.container_name):
                    artifacts = objects.local_folder(f"{prefix}{ARTIFACTS}/")
                    assert artifacts is not None, "it has folders"
                    read_only.add(artifacts)
            theirs = is_for_artifacts(datastore.account_name, datastore.container_name, source)
            path = await asyncio.to_thread(_mount, root, reference, source, not adopt and not theirs)
            if theirs and not adopt and not await asyncio.to_thread(path.exists):
                raise _nothing_there(reference, "mount")
        elif reference.mode is DataMode.DOWNLOAD:
            path = await _download(objects, reference, prefix + source, paths, notes, adopt=adopt)
        else:
            path = await asyncio.to_thread(_place_for_upload, reference, paths, not adopt)
            uploads.append(_Upload(reference, path, prefix))
        variables[VARIABLE_PREFIX + reference.name] = str(path)
    return PreparedData(
        variables,
        tuple(notes),
        tuple(sorted(folders)),
        tuple(sorted(read_only)),
        objects,
        paths.root,
        tuple(uploads),
        views,
    )


def _path_on_datastore(reference: DataReference) -> str:
    path = reference.path_on_datastore.strip("/")
    if path in ("", "."):
        return ""
    return check_relative_path(path, f"path on the datastore of data reference {reference.name!r}")


def _looks_like_file(path: str) -> bool:
    return bool(re.fullmatch(r"\.[A-Za-z][A-Za-z0-9]{0,9}", posixpath.splitext(path)[1]))


# -- mount --------------------------------------------------------------------------------------------------------


def _mount(root: Path, reference: DataReference, source: str, make: bool) -> Path:
    path = root / source if source else root
    if not inside(path, root):
        raise FailedPrecondition(
            "DATA_PATH_LEAVES_DATASTORE",
            f"Data reference {reference.name!r}: a link at {source!r} leads out of datastore {reference.datastore!r}.",
        )
    if make and not path.exists():
        folder = path.parent if _looks_like_file(source) else path
        # Jobs that have the datastore mounted can put links there at any moment: those of before are resolved, and none
        # is followed after that.
        real_root = Path(os.path.realpath(root))
        job_files.make_folder(real_root, Path(os.path.realpath(folder)))
    return path


# -- download -----------------------------------------------------------------------------------------------------


async def _download(
    objects: ObjectStore,
    reference: DataReference,
    key: str,
    paths: RunPaths,
    notes: list[str],
    *,
    adopt: bool,
) -> Path:
    target = _path_on_compute(reference, paths)
    single = await _is_object(objects, key)
    if single:
        name = posixpath.basename(key)
        suffix = posixpath.splitext(name)[1]
        if not (reference.path_on_compute and suffix and target.suffix == suffix):
            target = target / name
    if adopt:
        return target
    kept = 0
    if single:
        kept += not await _fetch(objects, key, target, reference, paths)
    else:
        count = 0
        prefix = key if key.endswith("/") else key + "/"
        await asyncio.to_thread(_make_folder, target, reference)
        async for found in _keys(objects, prefix):
            count += 1
            kept += not await _fetch(objects, found, target / found[len(prefix) :], reference, paths)
        if not count and reference.path_on_datastore.strip("/"):
            raise _nothing_there(reference, "download")
    if kept:
        notes.append(
            f"Data reference {reference.name!r}: {kept} file(s) were there already on the node and were kept; pass "
            "overwrite=True to replace them."
        )
    return target


def _nothing_there(reference: DataReference, verb: str) -> NotFound:
    return NotFound(
        "DATA_NOT_FOUND",
        f"Data reference {reference.name!r}: there is nothing at {reference.path_on_datastore!r} in datastore "
        f"{reference.datastore!r} to {verb}.",
    )


async def _is_object(objects: ObjectStore, key: str) -> bool:
    if key.endswith("/"):
        return False
    try:
        await objects.stat(key)
    except NotFound:
        return False
    return True


async def _keys(objects: ObjectStore, prefix: str) -> AsyncIterator[str]:
    after = ""
    while found := await objects.list(prefix, start_after=after):
        for info in found:
            yield info.key
        after = found[-1].key


async def _fetch(objects: ObjectStore, key: str, target: Path, reference: DataReference, paths: RunPaths) -> bool:
    """Copies one object; False when a file was there and stays."""
    if not await asyncio.to_thread(_make_room, target, reference, paths):
        return False
    await objects.get_file(key, target)
    return True


def _make_room(target: Path, reference: DataReference, paths: RunPaths) -> bool:
    if not inside(target.parent, paths.root):
        raise not_allowed(_what(reference), reference.path_on_compute, paths.seen)
    if os.path.lexists(target):
        if not reference.overwrite:
            return False
        if not target.is_dir() or target.is_symlink():
            target.unlink()
    _make_folder(target.parent, reference)
    return True


def _make_folder(folder: Path, reference: DataReference) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise InvalidArgument(
            "INVALID_PATH",
            f"Data reference {reference.name!r}: {folder.name!r} is a file on the node, a folder is needed there.",
        ) from None


# -- upload -------------------------------------------------------------------------------------------------------


def _place_for_upload(reference: DataReference, paths: RunPaths, make: bool) -> Path:
    path = _path_on_compute(reference, paths)
    is_file = bool(reference.path_on_compute) and _looks_like_file(path.name)
    folder = path.parent if is_file else path
    if make and not path.exists():
        _make_folder(folder, reference)
    return path


async def _upload(objects: ObjectStore, upload: _Upload, root: Path) -> list[str]:
    reference, source = upload.reference, upload.source
    what = f"Data reference {reference.name!r}"
    if not job_files.is_folder(root.parent, root) or not await asyncio.to_thread(inside, source, root):
        return [f"{what}: {source} is a link that leads out of the run's folder; nothing was uploaded."]
    notes: list[str] = []
    files = await asyncio.to_thread(_files_to_upload, source, root, notes)
    if not files and not source.is_dir():
        return [f"{what}: there is no file or folder {_shown(reference, source)} on the node; nothing was uploaded."]
    base = _path_on_datastore(reference)
    kept = refused = 0
    for found in files:
        key = upload.key_prefix + _target_on_datastore(base, found, single=not source.is_dir())
        if is_for_artifacts(*key.split("/", 2)):
            refused += 1
            continue
        if not reference.overwrite and await _is_object(objects, key):
            kept += 1
            continue
        try:
            # Nothing on the way may have become a link since it was found.
            with job_files.pinned(root.parent, found.path) as pinned:
                await objects.put_file(key, pinned)
        except FileNotFoundError:
            notes.append(f"{what}: {found.relative} went away while it was uploaded.")
    if refused:
        notes.append(artifacts_kept(what, refused))
    if kept:
        notes.append(
            f"{what}: {kept} file(s) are in datastore {reference.datastore!r} already and were kept; pass "
            "overwrite=True to replace them."
        )
    return notes


def _files_to_upload(source: Path, root: Path, notes: list[str]) -> Sequence[FoundFile]:
    return list(walk_files(source, root, notes, base=root.parent))


def _target_on_datastore(base: str, found: FoundFile, *, single: bool) -> str:
    if not single:
        return f"{base}/{found.relative}" if base else found.relative
    name = found.path.name
    suffix = posixpath.splitext(name)[1]
    if base and suffix and posixpath.splitext(base)[1] == suffix:
        return base
    return f"{base}/{name}" if base else name


def _shown(reference: DataReference, source: Path) -> str:
    return repr(reference.path_on_compute or str(source))


def _path_on_compute(reference: DataReference, paths: RunPaths) -> Path:
    return path_on_compute(reference.path_on_compute, paths.mounts / reference.name, _what(reference), paths)


def _what(reference: DataReference) -> str:
    return f"Data reference {reference.name!r}"
