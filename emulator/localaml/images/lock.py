"""One build at a time: two that make the same tag would take each other's images away."""

from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from localaml.errors import FailedPrecondition


@contextmanager
def build_lock() -> Iterator[None]:
    """Held while images are made or removed, by one process of this user on this machine at a time; waits for it.

    The lock goes with its process, however that ends.
    """
    folder = Path(tempfile.gettempdir()) / f"localaml-images-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if found.st_uid != os.getuid() or not folder.is_dir() or folder.is_symlink():
        raise FailedPrecondition(
            "IMAGE_LOCK_TAKEN", f"{folder} belongs to somebody else, so that builds cannot take turns: remove it."
        )
    with (folder / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
