"""The state dir as a whole: who may use it, its secrets, and how others find the emulator that does."""

from __future__ import annotations

import fcntl
import json
import os
import re
import secrets
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from localaml.errors import FailedPrecondition
from localaml.paths import StatePaths

FORMAT = 1
# Temporary state dirs are called so; nothing else is ever looked at when old ones are removed.
EPHEMERAL_PREFIX = "localaml-"
# Folders beside an archive that is being written are called so.
UNFINISHED_ARCHIVE = ".localaml-save-"
# What may lie in a folder that becomes a state dir: where somebody lets the emulator write what it says.
_LOG = re.compile(r".*\.log(\.\d+)?")
# What `_write` and others were at when an emulator was killed.
_HALF_WRITTEN = re.compile(
    r"\.(format|token|signing\.key|ports\.json|endpoint\.json)\.[a-z0-9_]{8}|\.clock\.json\.new|cloud\.part"
)
# Folders that `localaml state load` unpacked to, in earlier versions.
_UNPACKED = re.compile(r"load-[a-z0-9_]{8}")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """The content of endpoint.json."""

    http_address: str
    grpc_address: str
    process_id: int
    token_file: str
    state_dir: str
    version: str
    start_time: str


@dataclass(frozen=True, slots=True)
class Ports:
    """The ports of an emulator, 0 for not known."""

    grpc: int = 0
    http: int = 0


class StateDir:
    """A state dir that this process holds. Made by `StateDir.open`, to be closed.

    Attributes:
        token: the owner's bearer token.
        signing_key: for signed URLs and the tokens of runs.
    """

    def __init__(self, paths: StatePaths, lock: int, ephemeral: bool) -> None:
        self.paths = paths
        self._lock: int | None = lock
        self._ephemeral = ephemeral
        self.token = _secret(paths.token).decode("ascii")
        self.signing_key = _secret(paths.signing_key)

    @classmethod
    def open(cls, path: Path, *, ephemeral: bool = False) -> StateDir:
        """Makes the folder (mode 0700) when it is missing, and holds it until `close`.

        Args:
            ephemeral: `close` removes the folder; it must be new, or ephemeral already.

        Raises:
            FailedPrecondition: ``STATE_DIR_IN_USE`` (names the process), ``STATE_DIR_TOO_NEW``, ``STATE_DIR_NOT_OURS``
                (a folder with other files in it), ``STATE_DIR_NOT_EPHEMERAL``, ``STATE_DIR_DAMAGED``,
                ``STATE_DIR_UNUSABLE`` (cannot be made or written).
        """
        paths = StatePaths(path.absolute())
        try:
            paths.root.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = _hold(paths)
        except OSError as error:
            raise FailedPrecondition(
                "STATE_DIR_UNUSABLE", f"The state folder {path} cannot be used: {error.strerror}."
            ) from error
        try:
            _check(paths, ephemeral)
            paths.root.chmod(0o700)
            _clear(paths)
            if ephemeral:
                paths.ephemeral.touch(mode=0o600)
            _write(paths.format, f"{FORMAT}\n".encode())
            return cls(paths, lock, ephemeral)
        except BaseException:
            os.close(lock)
            raise

    def last_ports(self) -> Ports:
        """Where the last emulator of this state dir listened: running jobs look for the next one there."""
        with suppress(OSError, ValueError, TypeError):
            values = json.loads(self.paths.ports.read_text("utf-8"))
            return Ports(int(values["grpc"]), int(values["http"]))
        return Ports()

    def publish(self, endpoint: Endpoint, ports: Ports) -> None:
        """Writes endpoint.json: from now on others find this emulator."""
        _write(self.paths.ports, json.dumps(asdict(ports)).encode())
        _write(self.paths.endpoint, (json.dumps(asdict(endpoint), indent=2) + "\n").encode())

    def withdraw(self) -> None:
        """Removes endpoint.json. Idempotent."""
        self.paths.endpoint.unlink(missing_ok=True)

    def close(self) -> None:
        """Lets go of the folder; an ephemeral one is removed. Idempotent."""
        if self._lock is not None:
            if self._ephemeral:
                shutil.rmtree(self.paths.root, ignore_errors=True)
            os.close(self._lock)
            self._lock = None


def abandoned(folder: Path | None = None) -> Iterator[StateDir]:
    """Ephemeral state dirs in the folder of temporary files whose emulator was killed, each held by us now.

    Only folders of this user with our name and marker count. The caller ends what is left of their jobs, then closes
    them, which removes them.
    """
    folder = Path(tempfile.gettempdir()) if folder is None else folder
    for path in sorted(folder.glob(f"{EPHEMERAL_PREFIX}*")):
        try:
            status = path.lstat()
            marker = StatePaths(path).ephemeral.lstat()
        except OSError:
            continue
        if stat.S_ISDIR(status.st_mode) and stat.S_ISREG(marker.st_mode) and status.st_uid == os.getuid():
            with suppress(FailedPrecondition):
                yield StateDir.open(path, ephemeral=True)


def _hold(paths: StatePaths) -> int:
    """Locks the state dir. The lock goes with the process, however that ends. Raises FailedPrecondition, OSError."""
    while True:
        lock = os.open(paths.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(lock, 20, 0).decode("ascii", "replace").strip()
            os.close(lock)
            raise FailedPrecondition(
                "STATE_DIR_IN_USE",
                f"Another emulator{f' (process {holder})' if holder else ''} uses the state folder {paths.root} "
                "already. Use that one, stop it with 'localaml stop', or name another folder.",
                {"process_id": holder, "state_dir": str(paths.root)},
            ) from None
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(lock), paths.lock.stat()):
                os.ftruncate(lock, 0)
                os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
                return lock
        # The folder was removed between our open and our lock.
        os.close(lock)
        paths.root.mkdir(mode=0o700, parents=True, exist_ok=True)


def _check(paths: StatePaths, ephemeral: bool) -> None:
    """Whether the folder is a state dir that we understand, or may become one."""
    try:
        found = int(paths.format.read_text("ascii"))
    except FileNotFoundError:
        # A kill in the first start leaves a half-written file of ours.
        others = {
            entry.name
            for entry in paths.root.iterdir()
            if not _LOG.fullmatch(entry.name) and not _HALF_WRITTEN.fullmatch(entry.name)
        }
        others -= {paths.lock.name, paths.ephemeral.name}
        if others and not paths.metadata.exists():
            paths.lock.unlink()
            raise FailedPrecondition(
                "STATE_DIR_NOT_OURS",
                f"The folder {paths.root} has other files in it (such as {min(others)!r}): it cannot be a state "
                "folder. Name a new or empty one.",
            ) from None
        if others and ephemeral:
            raise _not_ephemeral(paths) from None
        return
    except ValueError:
        raise FailedPrecondition(
            "STATE_DIR_DAMAGED", f"{paths.format} is damaged: it should have the number {FORMAT} in it."
        ) from None
    if found > FORMAT:
        raise FailedPrecondition(
            "STATE_DIR_TOO_NEW",
            f"The state folder {paths.root} is of a newer LocalAML (layout {found}; this one knows {FORMAT}). "
            "Use that version, or name another folder.",
            {"found": str(found), "known": str(FORMAT)},
        )
    if ephemeral and not paths.ephemeral.exists():
        raise _not_ephemeral(paths)


def _clear(paths: StatePaths) -> None:
    """Removes what a killed emulator was writing."""
    for entry in paths.root.iterdir():
        if _HALF_WRITTEN.fullmatch(entry.name):
            entry.unlink(missing_ok=True)
        elif entry == paths.saving:
            _remove_archive(entry)
        elif _UNPACKED.fullmatch(entry.name):
            shutil.rmtree(entry, ignore_errors=True)


def _remove_archive(note: Path) -> None:
    """Removes the folder in which an archive was being written, somewhere else: only one that has our name."""
    with suppress(OSError, ValueError):
        folder = Path(note.read_text("utf-8"))
        if folder.name.startswith(UNFINISHED_ARCHIVE) and not folder.is_symlink():
            shutil.rmtree(folder, ignore_errors=True)
    note.unlink(missing_ok=True)


def _not_ephemeral(paths: StatePaths) -> FailedPrecondition:
    return FailedPrecondition(
        "STATE_DIR_NOT_EPHEMERAL",
        f"The state folder {paths.root} is in use without --ephemeral: it would be removed. Name a new folder.",
    )


def _secret(path: Path) -> bytes:
    """The content of a file that only its owner can read; made when missing."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        _write(path, secrets.token_urlsafe(32).encode())
        return _secret(path)
    with os.fdopen(descriptor, "rb") as file:
        if stat.S_IMODE(os.fstat(descriptor).st_mode) & 0o077:
            os.fchmod(descriptor, 0o600)
        content = file.read().strip()
    if len(content) < 32:
        raise FailedPrecondition("STATE_DIR_DAMAGED", f"{path} is damaged. Remove it: a new one will be made.")
    return content


def _write(path: Path, content: bytes) -> None:
    """Writes a file of mode 0600 so that it appears complete or not at all, also after a crash of the machine."""
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(descriptor)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
