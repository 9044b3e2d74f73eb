"""Where on its node a run may have something lie: in its own folder, wherever that is at the moment."""

from __future__ import annotations

import os
from pathlib import Path

from localaml.domain.names import check_relative_path
from localaml.errors import InvalidArgument
from localaml.jobs.file_walk import inside
from localaml.paths import RunPaths


def path_on_compute(wanted: str, default: Path, what: str, paths: RunPaths) -> Path:
    """Where something is to lie on the node.

    Args:
        wanted: as the user wrote it; relative to the work folder, or absolute.
        default: when it is empty.
        what: whose path it is, for the error: ``Input 'x'``.

    Raises InvalidArgument ``INVALID_PATH``, ``PATH_ON_COMPUTE_NOT_ALLOWED``.
    """
    if not wanted:
        return default
    if not wanted.startswith("/"):
        relative = wanted.strip("/")
        if relative in ("", "."):
            return paths.work
        return paths.work / check_relative_path(relative, f"path on the compute of {what}")
    path = moved(Path(os.path.normpath(wanted)), paths.seen, paths.root)
    if not inside(path, paths.root):
        raise not_allowed(what, wanted, paths.seen)
    return path


def moved(path: Path, before: Path, now: Path) -> Path:
    """Where `path` is when what was at `before` is at `now`."""
    for root in (before, Path(os.path.realpath(before))):
        if path == root or root in path.parents:
            return now / path.relative_to(root)
    return path


def not_allowed(what: str, wanted: str, root: Path) -> InvalidArgument:
    """The error for a path outside of the run's folder `root`."""
    return InvalidArgument(
        "PATH_ON_COMPUTE_NOT_ALLOWED",
        f"{what}: path_on_compute {wanted!r} is outside of the run's folder {root}, "
        "which on this machine belongs to somebody else: use a relative path (below the work folder) or none.",
    )
