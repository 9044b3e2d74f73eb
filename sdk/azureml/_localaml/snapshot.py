"""Packing a source folder: a list of files with their SHA-256; only contents that the emulator lacks travel."""

import hashlib
import logging
import os
import sys
import threading
import time
from typing import Dict, Iterator, List, NamedTuple, Optional, Set, Tuple

from azureml._localaml.client import Client
from azureml._localaml.ignore import IGNORE_FILES, IgnoreRules
from azureml.exceptions import SnapshotException, UserErrorException

_log = logging.getLogger(__name__)

# Azure's limits.
MAX_BYTES = 300 * 1024 * 1024
MAX_FILES = 2000
NO_FILE_LIMIT_VARIABLE = "AML_SNAPSHOT_NO_FILE_LIMIT"

# A file that was written this recently may be written again without its time stamp changing (as git's "racy" files).
_SETTLED_SECONDS = 2.0
_MAX_ROUNDS = 3


class SourceFile(NamedTuple):
    """A file that travels: its path in the snapshot, where it lies, and what was seen of it."""

    path: str
    source: str
    size: int
    executable: bool
    mtime_ns: int


def create_snapshot(client: Client, workspace_name: str, source_directory: str) -> str:
    """Makes a snapshot of a folder (or of a single file) and returns its id. The same content gives the same id.

    Args:
        workspace_name: the resource name, `subscriptions/.../workspaces/...`.

    Raises:
        SnapshotException: too big, too many files, a link that points outside, a file that does not stop changing.
        UserErrorException: the folder does not exist.
    """
    for _ in range(_MAX_ROUNDS - 1):
        try:
            return _create(client, workspace_name, source_directory)
        except _Changed as change:
            # A log or a database of a notebook that is at work: seen as it is a moment later.
            _log.info("%s", change.message)
    return _create(client, workspace_name, source_directory)


class _Changed(SnapshotException):
    """A file changed while it was read or sent."""


def _create(client: Client, workspace_name: str, source_directory: str) -> str:
    files = list_source_files(source_directory)
    hashes = [_hashes.get(file) for file in files]
    entries = []
    for file, sha256 in zip(files, hashes):
        entry = {"path": file.path, "sha256": sha256, "sizeBytes": str(file.size)}
        if file.executable:
            entry["executable"] = True  # type: ignore[assignment]  # a JSON object
        entries.append(entry)
    request = {"parent": workspace_name, "entries": entries}
    by_hash = {sha256: file for file, sha256 in zip(files, hashes)}
    for _ in range(_MAX_ROUNDS):
        answer = client.call("SnapshotService", "CreateSnapshot", request)
        missing = answer.get("missing")
        if not missing:
            return str(answer["snapshot"]["snapshotId"])
        _upload(client, [(url["url"], by_hash[url["path"]]) for url in missing])
    raise SnapshotException("The emulator still lacks files of {} after sending them.".format(source_directory))


def list_source_files(source_directory: str) -> "List[SourceFile]":
    """The files of a source folder that travel, by path.

    Raises:
        SnapshotException, UserErrorException: as `create_snapshot`.
    """
    root = os.path.abspath(os.path.expanduser(os.fspath(source_directory)))
    if os.path.isfile(root):
        files = [_source_file(os.path.basename(root), root, os.stat(root))]
    elif os.path.isdir(root):
        files = sorted(_Walk(root).files())
    else:
        raise UserErrorException("The source directory {} does not exist.".format(root))
    _check_limits(root, files)
    return files


def _limit(name: str, usual: int) -> int:
    """A limit; Azure advises to set those of its module for a large source folder."""
    module = sys.modules.get("azureml._restclient.snapshots_client")
    value = getattr(module, name, usual)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not value > 0:
        raise UserErrorException(
            "azureml._restclient.snapshots_client.{} must be a number above 0, not {!r}.".format(name, value)
        )
    return int(min(value, sys.maxsize))


def _check_limits(root: str, files: "List[SourceFile]") -> None:
    max_bytes, max_files = _limit("SNAPSHOT_MAX_SIZE_BYTES", MAX_BYTES), _limit("SNAPSHOT_MAX_FILES", MAX_FILES)
    total = sum(file.size for file in files)
    advice = (
        "Leave files out by an {} file, keep data in a datastore (`datastore.upload`, then `as_mount()`), and write "
        "results to ./outputs of the run. https://aka.ms/aml-largefiles. The limits are "
        "azureml._restclient.snapshots_client.SNAPSHOT_MAX_SIZE_BYTES and SNAPSHOT_MAX_FILES."
    ).format(IGNORE_FILES[0])
    if total > max_bytes:
        biggest = sorted(files, key=lambda file: -file.size)[:3]
        raise SnapshotException(
            "The snapshot of {} would be {:.1f} MB; the limit is {:.1f} MB. The biggest files are {}. {}".format(
                root,
                total / (1 << 20),
                max_bytes / (1 << 20),
                ", ".join("{} ({:.1f} MB)".format(file.path, file.size / (1 << 20)) for file in biggest),
                advice,
            )
        )
    unlimited = os.environ.get(NO_FILE_LIMIT_VARIABLE, "").strip().lower() not in ("", "0", "false")
    if len(files) > max_files and not unlimited:
        raise SnapshotException(
            "The snapshot of {} would have {} files; the limit is {}. {} Or set {}=true to lift this limit.".format(
                root, len(files), max_files, advice, NO_FILE_LIMIT_VARIABLE
            )
        )


class _Walk:
    """Finds the files below a root, following links that stay inside it."""

    def __init__(self, root: str) -> None:
        self._root = root
        self._real_root = os.path.realpath(root)
        self._rules = IgnoreRules.of_folder(root)

    def files(self) -> "Iterator[SourceFile]":
        return self._folder("", self._root, {self._real_root})

    def _folder(self, prefix: str, folder: str, above: Set[str]) -> "Iterator[SourceFile]":
        try:
            with os.scandir(folder) as scan:
                entries = sorted(scan, key=lambda entry: entry.name)
        except OSError as error:
            raise SnapshotException("The folder {} cannot be read: {}.".format(folder, error.strerror)) from None
        for entry in entries:
            path = prefix + entry.name
            is_folder = entry.is_dir()
            if self._rules.excludes(path, is_folder):
                continue
            if entry.is_symlink() and not self._check_link(path, entry.path, above if is_folder else None):
                continue
            try:
                path.encode("utf-8")
            except UnicodeEncodeError:
                raise SnapshotException("The file name {!r} is not valid Unicode: rename it.".format(path)) from None
            if is_folder:
                yield from self._folder(path + "/", entry.path, above | {os.path.realpath(entry.path)})
            elif entry.is_file():
                yield _source_file(path, entry.path, entry.stat())
            else:
                _log.warning("%s is left out of the snapshot: it is neither a file nor a folder.", entry.path)

    def _check_link(self, path: str, source: str, above: Optional[Set[str]]) -> bool:
        """Whether a symbolic link is followed. One that leads nowhere is left out."""
        target = os.path.realpath(source)
        if not os.path.exists(target):
            _log.warning("%s is left out of the snapshot: it is a link to %s, which does not exist.", source, target)
            return False
        if target != self._real_root and not target.startswith(self._real_root + os.sep):
            raise SnapshotException(
                "{} is a symbolic link to {}, outside of the source directory {}. Copy the file into the source "
                "directory, or leave the link out by a line '/{}' in {}.".format(
                    source, target, self._root, path, IGNORE_FILES[0]
                )
            )
        if above is not None and target in above:
            raise SnapshotException(
                "{} is a symbolic link to a folder that contains it ({}). Leave it out by a line '/{}' in {}.".format(
                    source, target, path, IGNORE_FILES[0]
                )
            )
        return True


def _source_file(path: str, source: str, status: os.stat_result) -> "SourceFile":
    return SourceFile(path, source, status.st_size, bool(status.st_mode & 0o111), status.st_mtime_ns)


class _HashCache:
    """Hashes of files that this process has read, by path, size and time of change: makes a second submit quick."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: Dict[Tuple[str, int, int], str] = {}

    def get(self, file: "SourceFile") -> str:
        key = (file.source, file.size, file.mtime_ns)
        found = self._known.get(key)
        if found is None:
            started = time.time()
            found = hash_file(file.source, file.size)
            if started - file.mtime_ns / 1e9 > _SETTLED_SECONDS:
                with self._lock:
                    self._known[key] = found
        return found

    def forget(self, file: "SourceFile") -> None:
        with self._lock:
            self._known.pop((file.source, file.size, file.mtime_ns), None)


_hashes = _HashCache()


def hash_file(path: str, size: int) -> str:
    """Lower-case hex SHA-256 of a file's content, read in blocks; `size` is what to expect."""
    digest = hashlib.sha256()
    block = memoryview(bytearray(min(1 << 20, max(4096, size))))
    try:
        with open(path, "rb", buffering=0) as file:
            while True:
                count = file.readinto(block)
                if not count:
                    return digest.hexdigest()
                digest.update(block[:count])
    except OSError as error:
        raise SnapshotException("The file {} cannot be read: {}.".format(path, error.strerror)) from None


def _upload(client: Client, missing: "List[Tuple[str, SourceFile]]") -> None:
    from azureml._localaml.transfer import Upload

    try:
        client.transfer.upload_files([Upload(url, file.source) for url, file in missing])
    except Exception:
        for _, file in missing:
            _hashes.forget(file)
        for _, file in missing:
            _check_unchanged(file)
        raise


def _check_unchanged(file: "SourceFile") -> None:
    try:
        status = os.stat(file.source)
    except OSError:
        raise _Changed("The file {} went away while it was sent.".format(file.source)) from None
    if (status.st_size, status.st_mtime_ns) != (file.size, file.mtime_ns):
        raise _Changed("The file {} changed while it was sent: submit again.".format(file.source))
