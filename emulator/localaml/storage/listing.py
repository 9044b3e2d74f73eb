"""Lists the files of a folder tree as an object store does: a flat, sorted sequence of keys with a common prefix."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from datetime import datetime, timezone

from localaml.errors import NotFound
from localaml.storage.object_store import ObjectInfo
from localaml.storage.safe_tree import SafeTree

# Names that no key can have (see `domain.names.check_relative_path`); surrogates stand for bytes that are not UTF-8.
_BAD_NAME = re.compile(r"[\x00-\x1f\x7f\\\ud800-\udfff\ufffe\uffff]")
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def info_of(key: str, status: os.stat_result, sha256: str = "") -> ObjectInfo:
    """What a file's status says about the object."""
    return ObjectInfo(key, status.st_size, datetime.fromtimestamp(status.st_mtime, timezone.utc), sha256)


def list_files(tree: SafeTree, prefix: str, start_after: str, limit: int) -> list[ObjectInfo]:
    """The first `limit` objects after `start_after` whose key begins with `prefix`.

    Links, devices and pipes are no objects; nor are files whose name could not be a key.
    """
    *folders, _ = prefix.split("/")
    if any(part in ("", ".", "..") for part in folders) or limit <= 0:
        return []
    base = "".join(f"{part}/" for part in folders)
    found: list[ObjectInfo] = []
    try:
        with tree.folder(folders) as fd:
            for info in _walk(fd, base, prefix, start_after):
                found.append(info)
                if len(found) == limit:
                    break
    except NotFound:
        return []
    return found


def _walk(fd: int, base: str, prefix: str, start_after: str) -> Iterator[ObjectInfo]:
    entries: list[tuple[str, os.DirEntry[str]]] = []
    with os.scandir(fd) as scan:
        for entry in scan:
            if _BAD_NAME.search(entry.name):
                continue
            if entry.is_dir(follow_symlinks=False):
                # With its slash a folder sorts where its keys do: "a-b" < "a/x" < "a0".
                key = f"{base}{entry.name}/"
                wanted = (key.startswith(prefix) or prefix.startswith(key)) and (
                    key > start_after or start_after.startswith(key)
                )
            elif entry.is_file(follow_symlinks=False):
                key = base + entry.name
                wanted = key.startswith(prefix) and key > start_after
            else:
                continue
            if wanted:
                entries.append((key, entry))
    entries.sort(key=lambda pair: pair[0])
    for key, entry in entries:
        try:
            if key.endswith("/"):
                below = os.open(entry.name, _FOLDER, dir_fd=fd)
                try:
                    yield from _walk(below, key, prefix, start_after)
                finally:
                    os.close(below)
            else:
                yield info_of(key, os.stat(entry.name, dir_fd=fd, follow_symlinks=False))
        except (FileNotFoundError, NotADirectoryError):
            continue  # removed or replaced while we listed
