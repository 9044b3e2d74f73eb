"""Where a run may have its data lie on a node, as far as that can be told before it runs: folders that are given in
full."""

from __future__ import annotations

from pathlib import PurePath

from localaml.domain.job import JobSpec
from localaml.errors import InvalidArgument

# Nothing is laid over what a node itself needs.
_OF_THE_SYSTEM = ("bin", "boot", "dev", "etc", "proc", "run", "sbin", "sys", "usr")
_ADVICE = "Use a relative path (below the work folder), or none, and pass the input itself as the script's argument."


def check_absolute_paths(job: JobSpec, runs: PurePath) -> None:
    """Refuses absolute paths that no run can have. Relative ones, and those in folders of runs, are looked at when the
    run's own folder is known.

    Args:
        job: its paths have no ``.`` and ``..`` parts.
        runs: where the folders of runs are.

    Raises InvalidArgument ``PATH_ON_COMPUTE_NOT_ALLOWED``.
    """
    for reference in job.data_references:
        _check(reference.path_on_compute, f"Data reference {reference.name!r}", runs)
    for each in job.datasets:
        _check(each.path_on_compute, f"Input {each.name!r}", runs)


def _check(path: str, what: str, runs: PurePath) -> None:
    # Two slashes at the start are one to the kernel, and another root to pathlib.
    wanted = PurePath(f"/{path.lstrip('/')}" if path.startswith("/") else path)
    if not wanted.is_absolute() or runs in wanted.parents:
        return
    first = wanted.parts[1] if len(wanted.parts) > 1 else ""
    if not first or first in _OF_THE_SYSTEM or first.startswith("lib"):
        why = "belongs to the system"
    else:
        why = "is outside of the run's folder: on this machine, where the nodes are, it belongs to somebody else"
    raise InvalidArgument(
        "PATH_ON_COMPUTE_NOT_ALLOWED", f"{what}: path_on_compute {path[:200]!r} {why}. {_ADVICE}", {"path": path[:200]}
    )
