"""The files that a dataset means now."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from localaml.domain.datasets import (
    DatasetDefinition,
    DatasetSource,
    fixed_folder,
    has_pattern,
    pattern_of,
    select,
    url_name,
    url_place,
)
from localaml.errors import NotFound
from localaml.jobs.datastore_data import data_prefix

if TYPE_CHECKING:
    from localaml.storage.object_store import ObjectInfo, ObjectStore
    from localaml.store import Store


@dataclass(frozen=True, slots=True)
class DatasetFile:
    """A file of a dataset: an object (`key`), or one of the web (`url`).

    Attributes:
        path: its place in a view of the dataset, relative, with `/`.
        size_bytes: 0 for files of the web: not known.
    """

    path: str
    datastore: str = ""
    path_on_datastore: str = ""
    key: str = ""
    url: str = ""
    size_bytes: int = 0


async def dataset_files(
    definition: DatasetDefinition, store: Store, objects: ObjectStore, workspace_id: str
) -> list[DatasetFile]:
    """The files, by source and path, after the dataset's selections. A file that two sources name is there twice.

    Raises:
        NotFound: ``DATASTORE_NOT_FOUND``, ``DATA_NOT_FOUND``: nothing is at a source's path.
        FailedPrecondition: ``DATASTORE_NOT_SUPPORTED``.
    """
    alone = len(definition.sources) == 1
    found: list[DatasetFile] = []
    for source in definition.sources:
        if source.url:
            place = url_name(source.url) if alone else url_place(source.url)
            found.append(DatasetFile(place, url=source.url))
            continue
        root = data_prefix(store.datastores.get(workspace_id, source.datastore))
        count = len(found)
        base, infos = await _find(objects, root, source)
        async for info in infos:
            path = info.key[len(root) :]
            place = path[len(base) :] if alone else f"{source.datastore}/{path}"
            found.append(DatasetFile(place, source.datastore, path, info.key, size_bytes=info.size_bytes))
        if len(found) == count:
            raise NotFound(
                "DATA_NOT_FOUND",
                f"There is nothing at {source.path or '/'!r} in datastore {source.datastore!r}.",
                {"datastore": source.datastore, "path": source.path},
            )
    return select(found, definition.selections)


async def _find(objects: ObjectStore, root: str, source: DatasetSource) -> tuple[str, AsyncIterator[ObjectInfo]]:
    """The folder that paths are shown relative to, and the objects."""
    path = source.path
    if has_pattern(path):
        # A name with such characters in it is taken for itself when it is there.
        if not path.endswith("/") and (info := await _one(objects, root + path)) is not None:
            return _parent(path), _just(info)
        pattern = path + "**" if path.endswith("/") else path
        base = fixed_folder(pattern)
        return base, _matching(objects, root, base, pattern)
    if path and not path.endswith("/"):
        if (info := await _one(objects, root + path)) is not None:
            return _parent(path), _just(info)
        path += "/"
    return path, _all(objects, root + path)


def _parent(path: str) -> str:
    return path[: path.rfind("/") + 1]


async def _one(objects: ObjectStore, key: str) -> ObjectInfo | None:
    try:
        return await objects.stat(key)
    except NotFound:
        return None


async def _just(info: ObjectInfo) -> AsyncIterator[ObjectInfo]:
    yield info


async def _matching(objects: ObjectStore, root: str, base: str, pattern: str) -> AsyncIterator[ObjectInfo]:
    expression = pattern_of(pattern)
    async for info in _all(objects, root + base):
        if expression.fullmatch(info.key[len(root) :]):
            yield info


async def _all(objects: ObjectStore, prefix: str) -> AsyncIterator[ObjectInfo]:
    after = ""
    while found := await objects.list(prefix, start_after=after):
        for info in found:
            yield info
        after = found[-1].key
