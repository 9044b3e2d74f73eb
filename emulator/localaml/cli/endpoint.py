"""Finding a running emulator: endpoint.json, the processes and the addresses behind it."""

from __future__ import annotations

import http.client
import json
import os
import select
import threading
import urllib.parse
from dataclasses import fields
from enum import Enum
from pathlib import Path

from localaml.cli.failure import CliError
from localaml.paths import StatePaths
from localaml.state_dir import Endpoint


def default_state_dir() -> Path:
    """`LOCALAML_STATE_DIR`, else the folder `localaml` in the user's data folder."""
    named = os.environ.get("LOCALAML_STATE_DIR")
    if named:
        return Path(named).expanduser().absolute()
    import platformdirs

    return Path(platformdirs.user_data_dir("localaml", appauthor=False))


class Presence(Enum):
    """What is known of the emulator of a state dir."""

    NONE = "none"
    RUNNING = "running"
    # Its process lives and does not answer: it is starting or stopping, or it hangs.
    SILENT = "silent"
    # It left endpoint.json behind: it was killed.
    STALE = "stale"


def read_endpoint(state_dir: Path) -> Endpoint | None:
    """The state dir's endpoint.json; None when there is none. Raises CliError when it cannot be read."""
    path = StatePaths(state_dir).endpoint
    try:
        values = json.loads(path.read_text("utf-8"))
        return Endpoint(**{field.name: values[field.name] for field in fields(Endpoint)})
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise CliError(f"{path} cannot be read: {error.strerror}.") from None
    except (ValueError, KeyError, TypeError):
        raise CliError(f"{path} is damaged: remove it and start the emulator anew.") from None


def is_process_alive(process_id: int) -> bool:
    """Whether a process of this id exists and is more than a zombie."""
    try:
        os.kill(process_id, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    try:
        stat = Path(f"/proc/{process_id}/stat").read_text("utf-8", "replace")
    except OSError:
        return True
    return stat.rpartition(")")[2].split()[0] != "Z"


def is_healthy(http_address: str, timeout: float = 2.0) -> bool:
    """Whether the emulator at this address says that it serves."""
    parts = urllib.parse.urlsplit(http_address)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=timeout)
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def look_up(state_dir: Path) -> tuple[Presence, Endpoint | None]:
    """What is known of the emulator of a state dir."""
    endpoint = read_endpoint(state_dir)
    if endpoint is None:
        return Presence.NONE, None
    if not is_process_alive(endpoint.process_id):
        return Presence.STALE, endpoint
    if is_healthy(endpoint.http_address):
        return Presence.RUNNING, endpoint
    # Process ids are used again: after a restart of the machine the id may be anybody's.
    return (Presence.SILENT if _looks_like_ours(endpoint.process_id) else Presence.STALE), endpoint


def _looks_like_ours(process_id: int) -> bool:
    if process_id == os.getpid():
        # In a container that is started again ids begin anew: the emulator's of last time is this very command's.
        return False
    try:
        return b"localaml" in Path(f"/proc/{process_id}/cmdline").read_bytes()
    except OSError:
        return True


def wait_for_exit(process_id: int, timeout: float) -> bool:
    """Waits until a process has ended; False when it still lives after `timeout` seconds."""
    try:
        descriptor = os.pidfd_open(process_id)
    except ProcessLookupError:
        return True
    except (AttributeError, OSError):
        return _poll_for_exit(process_id, timeout)
    try:
        return bool(select.select([descriptor], [], [], timeout)[0])
    finally:
        os.close(descriptor)


def _poll_for_exit(process_id: int, timeout: float) -> bool:
    """For systems without pidfd."""
    pause = threading.Event()
    for _ in range(max(1, int(timeout / 0.02))):
        if not is_process_alive(process_id):
            return True
        pause.wait(0.02)
    return False
