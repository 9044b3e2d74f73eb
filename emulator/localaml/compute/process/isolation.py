"""How a process gets its node's host name: a UTS namespace, where the kernel allows it.

MPI takes processes with the same host name for neighbours that share memory, so logical nodes need names of their own.
Three ways, best first: a UTS namespace (root), a UTS namespace inside a user namespace (anybody, where the kernel's
settings allow it), none (the machine's name shows through; Open MPI is told by other means).
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass

# Where the system's own tools are, whatever PATH the emulator was started with.
_TOOL_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
_PROBE_NAME = "localaml-probe"
_PROBE_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Isolation:
    """A way to give processes a host name.

    Attributes:
        name: ``uts``, ``user`` or ``none``.
        enter: words in front of a command that start it in a namespace of its own.
        set_host_name: ``proc`` (write to /proc/sys/kernel/hostname), the path of hostname(1), or empty for no name.
        leave_privileges: words in front of the job's command that drop what `enter` had to grant.
    """

    name: str
    enter: tuple[str, ...] = ()
    set_host_name: str = ""
    leave_privileges: tuple[str, ...] = ()

    @property
    def names_hosts(self) -> bool:
        return bool(self.enter)


NO_ISOLATION = Isolation("none")


def probe_isolation() -> Isolation:
    """The best way that works on this machine. Starts one to three short processes (about 3 ms each)."""
    unshare = shutil.which("unshare", path=_TOOL_PATH)
    if unshare is None:
        return NO_ISOLATION
    hostname = shutil.which("hostname", path=_TOOL_PATH)
    setpriv = shutil.which("setpriv", path=_TOOL_PATH)
    user = (unshare, "--user", "--map-current-user", "--keep-caps", "--uts")
    # Without this, jobs of an ordinary user could write to files that the user has made read-only.
    drop = (setpriv, "--ambient-caps=-all", "--inh-caps=-all", "--") if setpriv else ()
    candidates = [Isolation("uts", (unshare, "--uts"), "proc")]
    if hostname is not None:
        candidates.append(Isolation("uts", (unshare, "--uts"), hostname))
        candidates.append(Isolation("user", user, hostname, drop))
    return next((candidate for candidate in candidates if _works(candidate)), NO_ISOLATION)


def _works(isolation: Isolation) -> bool:
    script = f'{host_name_command(isolation)} || exit; shift 2; [ "$("$@" uname -n)" = {_PROBE_NAME} ]'
    words = [*isolation.enter, "/bin/sh", "-c", script, "sh", isolation.set_host_name, _PROBE_NAME]
    environment: Mapping[str, str] = {"PATH": _TOOL_PATH}
    try:
        done = subprocess.run(
            [*words, *isolation.leave_privileges],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=_PROBE_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def host_name_command(isolation: Isolation) -> str:
    """Shell text that sets the host name: its first argument is `set_host_name`, its second the name."""
    if isolation.set_host_name == "proc":
        return 'echo "$2" >/proc/sys/kernel/hostname'
    return '"$1" "$2"' if isolation.set_host_name else ":"
