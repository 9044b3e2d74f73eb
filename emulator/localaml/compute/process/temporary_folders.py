"""TMPDIR of a run's processes: short and private folders, which are found again when the emulator was killed.

Short, because the path of a unix socket has 107 characters at most, and what makes sockets in TMPDIR (multiprocessing,
torch, Ray) adds some 40 of its own. A state dir's path is too long for that.

Everybody may make folders in /tmp: ours have names that nobody can guess, are made anew and never taken over, and are
closed to others. Each has a note in the state dir, written before it is made.
"""

from __future__ import annotations

import os
import secrets
import shutil
import stat
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

# With a name of ours and a node's number below it, a TMPDIR has at most 40 characters.
_LONGEST_PLACE = 18
_NAME_BYTES = 4
_ATTEMPTS = 16


class TemporaryFolders:
    """The folders of one state dir.

    Args:
        notes: folder of the notes, made when it is needed.
        places: where folders are made: the first that is fit. Otherwise it is below the notes, whatever its length.
    """

    def __init__(self, notes: Path, places: Sequence[Path] | None = None) -> None:
        self._notes = notes
        # What the emulator's own TMPDIR says comes first: somebody has put that on a larger disk.
        self._places = (Path(tempfile.gettempdir()), Path("/tmp"), Path("/var/tmp")) if places is None else places  # noqa: S108

    def make(self, label: str, nodes: int) -> Path:
        """A new folder for a run, with a folder for each node in it, named by its number. Raises OSError."""
        self.remove(label)
        self._notes.mkdir(mode=0o700, parents=True, exist_ok=True)
        place = next((place for place in self._places if _is_fit(place)), self._notes)
        for _ in range(_ATTEMPTS):
            folder = place / f"localaml-{secrets.token_hex(_NAME_BYTES)}"
            note = self._notes / f"{folder.name}.note"
            note.write_text(f"{folder}\n{label}\n", errors="surrogateescape")
            try:
                folder.mkdir(mode=0o700)
            except FileExistsError:
                note.unlink()
                continue
            for number in range(nodes):
                (folder / str(number)).mkdir(mode=0o700)
            return folder
        raise FileExistsError(f"no name is free in {place}")

    def of(self, label: str) -> list[Path]:
        """The folders of a run."""
        return [folder for _, folder, its_label in self._all() if its_label == label]

    def remove(self, label: str) -> None:
        """Removes the folders of a run."""
        for note, folder, its_label in self._all():
            if its_label == label:
                _remove(folder, note)

    def remove_all_but(self, labels: frozenset[str]) -> None:
        """Removes the folders of all runs but some."""
        for note, folder, label in self._all():
            if label not in labels:
                _remove(folder, note)

    def all(self) -> list[Path]:
        """Every folder that has a note."""
        return [folder for _, folder, _ in self._all()]

    def _all(self) -> list[tuple[Path, Path, str]]:
        found = []
        for note in sorted(self._notes.glob("*.note")):
            with suppress(OSError):
                lines = note.read_text(errors="surrogateescape").split("\n")
                # The last line ends when the note is whole; half of one was followed by no folder.
                if len(lines) == 3 and Path(lines[0]).name == note.stem:
                    found.append((note, Path(lines[0]), lines[1]))
                else:
                    note.unlink()
        return found


def _is_fit(place: Path) -> bool:
    """Whether it is short, ours to write in, and nobody else can rename or remove what is in it."""
    if len(os.fsencode(place)) > _LONGEST_PLACE or not place.is_absolute():
        return False
    try:
        status = place.stat()
    except OSError:
        return False
    is_safe = bool(status.st_mode & stat.S_ISVTX) or not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    owned = status.st_uid in (0, os.getuid())
    return stat.S_ISDIR(status.st_mode) and is_safe and owned and os.access(place, os.W_OK | os.X_OK)


def _remove(folder: Path, note: Path) -> None:
    """Removes a folder if it is ours, and then the note; one that cannot be removed keeps it."""
    try:
        status = folder.lstat()
    except FileNotFoundError:
        note.unlink(missing_ok=True)
        return
    if stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid():
        shutil.rmtree(folder, ignore_errors=True)
        if folder.exists():
            _open_up(folder)
            shutil.rmtree(folder, ignore_errors=True)
        if folder.exists():
            return
    note.unlink(missing_ok=True)


def _open_up(folder: Path) -> None:
    """Lets us into folders that a job has closed to itself. (None of its processes is there any more.)"""
    with suppress(OSError):
        folder.chmod(0o700)
        for entry in os.scandir(folder):
            if entry.is_dir(follow_symlinks=False):
                _open_up(Path(entry.path))
