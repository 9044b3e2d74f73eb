"""Finds the files that a job left, without ever leaving the folder that is its own."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from localaml import job_files
from localaml.domain.names import check_relative_path
from localaml.errors import InvalidArgument


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A regular file, or the regular file that a link leads to.

    Attributes:
        path: absolute, links resolved.
        relative: path below the folder that was walked, with `/`; the file's own name when a file was given.
        movable: whether taking it away by rename hurts nobody: it is no link and has no second name.
    """

    path: Path
    relative: str
    size_bytes: int
    modified_ns: int
    movable: bool


def inside(path: Path, root: Path) -> bool:
    """Whether `path`, links resolved, is `root` or lies below it. Need not exist."""
    real, real_root = os.path.realpath(path), os.path.realpath(root)
    return real == real_root or real.startswith(real_root.rstrip("/") + "/")


def walk_files(folder: Path, root: Path, notes: list[str], *, base: Path | None = None) -> Iterator[FoundFile]:
    """The files below `folder` (or `folder` itself when it is one), in no particular order.

    Args:
        root: links may lead to what lies below it.
        base: a folder above `root` that jobs cannot replace (see `job_files`); None for `root` itself. What is looked
            into lies below it at that moment.

    Left out, with a sentence in `notes`: links that lead out of `root` or to a folder, sockets, pipes and devices,
    names that are not valid Unicode or could not be the name of an artifact, folders that cannot be read. What goes
    away meanwhile is left out silently.
    """
    if not os.path.lexists(folder):
        return
    if not inside(folder, root):
        notes.append(f"{folder.name}: is a link that leads out of the run's folder; it was left out.")
        return
    if not folder.is_dir():
        found = _look(str(folder), folder.name, root, notes)
        if found is not None:
            yield found
        return
    yield from _walk(os.path.realpath(folder), "", folder.name, root, notes, base or root)


def _walk(folder: str, prefix: str, shown: str, root: Path, notes: list[str], base: Path) -> Iterator[FoundFile]:
    # A list of what is to be done instead of recursion: a job may nest folders as deep as it likes.
    to_do = [(folder, prefix)]
    while to_do:
        current, below = to_do.pop()
        try:
            with job_files.pinned_folder(base, Path(current)) as place, os.scandir(place) as entries:
                children = sorted((entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries)
        except FileNotFoundError:
            continue
        except OSError as error:
            notes.append(f"{_printable(f'{shown}/{below}')}: cannot be read ({error.strerror}); it was left out.")
            continue
        for name, is_folder in children:
            relative, path = below + name, f"{current}/{name}"
            if is_folder:
                to_do.append((path, relative + "/"))
                continue
            found = _look(path, relative, root, notes, f"{shown}/{relative}")
            if found is not None:
                yield found


def _look(path: str, relative: str, root: Path, notes: list[str], shown: str = "") -> FoundFile | None:
    shown = _printable(shown or relative)
    try:
        if check_relative_path(relative) != relative:
            return None
    except InvalidArgument as error:
        notes.append(f"{shown}: left out, its name cannot be kept ({error.message})")
        return None
    link = False
    try:
        status = os.lstat(path)
        link = stat.S_ISLNK(status.st_mode)
        movable = status.st_nlink == 1 and not link
        if link:
            path = os.path.realpath(path)
            if not inside(Path(path), root):
                notes.append(f"{shown}: is a link that leads out of the run's folder; it was left out.")
                return None
            status = os.lstat(path)
            if stat.S_ISDIR(status.st_mode):
                notes.append(f"{shown}: is a link to a folder; it was left out.")
                return None
    except FileNotFoundError:
        if link:
            notes.append(f"{shown}: is a link to nothing; it was left out.")
        return None
    except OSError as error:
        notes.append(f"{shown}: cannot be read ({error.strerror}); it was left out.")
        return None
    if not stat.S_ISREG(status.st_mode):
        notes.append(f"{shown}: is {_kind(status.st_mode)}; it was left out.")
        return None
    return FoundFile(Path(path), relative, status.st_size, status.st_mtime_ns, movable)


def _kind(mode: int) -> str:
    if stat.S_ISSOCK(mode):
        return "a socket"
    if stat.S_ISFIFO(mode):
        return "a named pipe"
    if stat.S_ISLNK(mode):
        return "a link that leads in a circle"
    return "a device"


def _printable(name: str) -> str:
    """A name in a form that every log can take."""
    name = name.encode("utf-8", "backslashreplace").decode()
    return "".join(character if character.isprintable() else repr(character)[1:-1] for character in name)
