"""Which rights files and folders of the disk store have, whatever the umask and the folder above allow.

    the root, accounts, incoming         0700   nobody but the emulator's user has anything to do there
    contents, models: folders and files  0700, 0600   the emulator alone reads them; jobs get copies
    containers and folders in them       0755   a container is mounted into nodes that are containers, where a job may
                                                be another user than the emulator, and must get through
    data of datastores, artifacts        0644   as above: such a job reads them

Other users of the machine do not reach the last two: the folders above are closed to them, and a mount into a node is
not on their way. A stricter umask is kept. What a job writes itself has the rights that the job gives it.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

_OWN = ("contents", "_models")
_CONTAINER_DEPTH = 2


def folder_mode(parts: Sequence[str]) -> int:
    """Of a new folder, by the parts of its key."""
    return 0o700 if parts[0] in _OWN or len(parts) < _CONTAINER_DEPTH else 0o755


def file_mode(key: str) -> int:
    """Of a new file."""
    return 0o600 if key.partition("/")[0] in _OWN else 0o644


def close_folders(root: Path) -> None:
    """Gives an older store's folders their rights: the uppermost ones close all that is below."""
    root.chmod(0o700)
    for folder in root.iterdir():
        if folder.is_dir() and not folder.is_symlink():
            with suppress(OSError):
                folder.chmod(0o700)
