"""Folders that a job's processes see read-only, where the kernel allows a mount namespace.

It keeps jobs from changing them by mistake. It is no boundary: a process of the emulator's own user can reach the same
files by way of the emulator's process, and root can mount them anew.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

# Where the system's own tools are, whatever PATH the emulator was started with.
_TOOL_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
_PROBE_SECONDS = 10.0
# In a user namespace flags that the file system was mounted with have to be said again.
_SCRIPT = """
mount=$1 count=$2
shift 2
while [ "$count" -gt 0 ]; do
    "$mount" --bind "$1" "$1" || exit 125
    for also in "" ,nosuid,nodev ,nosuid,nodev,noexec ,nosuid,nodev,relatime ,nosuid,nodev,noexec,relatime; do
        "$mount" -o "remount,bind,ro$also" "$1" 2>/dev/null && break
    done
    shift
    count=$((count - 1))
done
exec "$@"
"""
_CHECK = 'for each; do [ ! -w "$each" ] || exit 1; done'


def with_read_only(folders: Sequence[Path]) -> tuple[str, ...]:
    """Words in front of a command that start it in a mount namespace of its own with these folders read-only; none
    where this machine does not allow that. Starts one or two short processes (a few ms), unless there are no folders.
    """
    unshare, mount, setpriv = (shutil.which(name, path=_TOOL_PATH) for name in ("unshare", "mount", "setpriv"))
    if not folders or unshare is None or mount is None:
        return ()
    shell = ("/bin/sh", "-c", _SCRIPT, "sh", mount, str(len(folders)), *map(str, folders))
    # Mounts of this machine are still seen, those of the job are not seen outside.
    candidates = [(unshare, "--mount", "--propagation", "slave", *shell)]
    if setpriv is not None:
        user = (unshare, "--user", "--map-current-user", "--keep-caps", "--mount", "--propagation", "slave")
        candidates.append((*user, *shell, setpriv, "--ambient-caps=-all", "--inh-caps=-all", "--"))
    return next((words for words in candidates if _works(words, folders)), ())


def _works(words: Sequence[str], folders: Sequence[Path]) -> bool:
    check = ("/bin/sh", "-c", _CHECK, "sh", *map(str, folders))
    try:
        done = subprocess.run(
            [*words, *check],
            env={"PATH": _TOOL_PATH},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=_PROBE_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0
