"""Files on their way: what is not complete yet lies beside its target under a hidden name.

A download that can go on in another process has to find again what this one leaves: its part has a name that follows
from the target, and whoever writes to it holds a lock on it. All others get a name of their own.
"""

import hashlib
import os
import stat
from contextlib import suppress
from typing import Any, Optional

# What is smaller is quicker fetched again than compared.
WORTH_KEEPING = 8 << 20


class PartFile:
    """The part of a target, open and unbuffered. Exactly one of `finish` and `give_up` ends it.

    Attributes:
        path: its hidden name.
        file: to write to.
        kept: bytes that are in it.

    Args:
        resume: go on with what an earlier process has left, if there is something; nobody has looked at that yet.
    """

    def __init__(self, target: str, resume: bool) -> None:
        folder, name = os.path.split(target)
        self._target = target
        self.kept = 0
        begin = os.path.join(folder, ".{}.".format(name[:40]))
        found: Optional[int] = None
        if resume:
            self.path = begin + hashlib.sha256(name.encode("utf-8", "surrogateescape")).hexdigest()[:12] + ".part"
            found = _lock(self.path)
        if found is not None:
            self.file: Any = os.fdopen(found, "rb+", buffering=0)
            self.kept = os.fstat(found).st_size
            if 0 < self.kept < WORTH_KEEPING:
                self.keep(0)
        else:
            # Not made by `tempfile`: the file is to have the rights that the user's umask gives.
            self.path = begin + os.urandom(6).hex() + ".part"
            self.file = open(self.path, "xb", buffering=0)  # noqa: SIM115 - closed by finish and give_up
        self._is_lasting = found is not None

    def keep(self, count: int) -> None:
        """Keeps so much of what was found, and goes on behind it."""
        if count < self.kept:
            self.file.truncate(count)
        self.kept = count
        self.file.seek(count)

    def finish(self) -> None:
        """The target is complete, and appears.

        Raises OSError: something else has taken the part's hidden name: another file of this very name, for one.
        """
        try:
            if not os.path.samestat(os.fstat(self.file.fileno()), os.lstat(self.path)):
                raise OSError("{} was replaced while it was written; it was left as it is.".format(self.path))
            # Before the lock goes: nobody else may take it for a part.
            os.replace(self.path, self._target)
        finally:
            self.file.close()

    def give_up(self, is_worth: bool) -> None:
        """Removes it, unless another process could go on with it. Does nothing after `finish`."""
        if self.file.closed:
            return
        with suppress(OSError):
            if not (self._is_lasting and is_worth and os.fstat(self.file.fileno()).st_size >= WORTH_KEEPING):
                os.remove(self.path)
        self.file.close()


def _lock(path: str) -> Optional[int]:
    """A descriptor of the part, with a lock on it; None: somebody else is at it, or it is not ours to go on with."""
    try:
        import fcntl
    except ImportError:  # Windows
        return None
    try:
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK, 0o666)
    except OSError:
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        ours, there = os.fstat(file), os.lstat(path)
        # The one before us may have finished just now: then the name is free, or another file's.
        if (
            stat.S_ISREG(ours.st_mode)
            and ours.st_nlink == 1
            and ours.st_uid == os.geteuid()
            and (ours.st_dev, ours.st_ino) == (there.st_dev, there.st_ino)
        ):
            return file
    except OSError:
        pass  # locked, gone, or on a file system without locks
    os.close(file)
    return None
