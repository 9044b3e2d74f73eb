"""Finding the emulator.

In this order: `LOCALAML_ENDPOINT` (its HTTP address), the endpoint.json of `LOCALAML_STATE_DIR`, the endpoint.json of
the default state dir. In a job also `LOCALAML_ENDPOINT_FILE`: a restarted emulator may listen on another port, so the
file is read again when the connection is refused.
"""

import json
import os
import sys
from typing import Dict, NamedTuple, Optional

_HOW_TO_START = (
    "Start one with `localaml start -d` (`pip install localaml`), or point LOCALAML_ENDPOINT or LOCALAML_STATE_DIR to "
    "a running one."
)


class Endpoint(NamedTuple):
    """Where an emulator listens and how to show who one is.

    Attributes:
        http_address: `http://127.0.0.1:1234`.
        grpc_address: `127.0.0.1:1233`, or empty when unknown (then HTTP carries the control calls).
        token: bearer token, or empty.
        source: what named it; stays the same when the emulator is restarted on another port.
    """

    http_address: str
    grpc_address: str
    token: str
    source: str


class EmulatorNotFound(Exception):
    """No emulator is named anywhere, or its files cannot be read."""


def in_job() -> bool:
    """Whether this process belongs to a run that an emulator started."""
    return bool(os.environ.get("AZUREML_RUN_TOKEN"))


def default_state_dir() -> str:
    """The state dir that `localaml start` uses when none is named."""
    home = os.path.expanduser("~")
    if sys.platform == "darwin":
        return os.path.join(home, "Library", "Application Support", "localaml")
    return os.path.join(os.environ.get("XDG_DATA_HOME") or os.path.join(home, ".local", "share"), "localaml")


def find_endpoint(use_file: bool = False) -> "Endpoint":
    """Finds the emulator's addresses and the token.

    Args:
        use_file: prefer `LOCALAML_ENDPOINT_FILE` to `LOCALAML_ENDPOINT`: after a refused connection.

    Raises:
        EmulatorNotFound: with a text that says how to start one.
    """
    environ = os.environ
    address = environ.get("LOCALAML_ENDPOINT", "").strip().rstrip("/")
    if address:
        file = environ.get("LOCALAML_ENDPOINT_FILE")
        found = _read_endpoint_file(file) if file else None
        if "://" not in address:
            address = "http://" + address
        grpc_address = environ.get("LOCALAML_GRPC_ENDPOINT", "").strip()
        if found is not None:
            if use_file:
                address = found["http_address"]
                grpc_address = found.get("grpc_address", "")
            elif not grpc_address and found["http_address"] == address:
                grpc_address = found.get("grpc_address", "")
        return Endpoint(address, grpc_address, _token(found), "LOCALAML_ENDPOINT=" + environ["LOCALAML_ENDPOINT"])
    state_dir = environ.get("LOCALAML_STATE_DIR") or default_state_dir()
    file = os.path.join(os.path.expanduser(state_dir), "endpoint.json")
    found = _read_endpoint_file(file)
    if found is None:
        raise EmulatorNotFound("No LocalAML emulator is running (there is no {}). {}".format(file, _HOW_TO_START))
    return Endpoint(found["http_address"].rstrip("/"), found.get("grpc_address", ""), _token(found), file)


def not_reachable(endpoint: "Endpoint", cause: object) -> str:
    """The one text for an emulator that is named but does not answer."""
    return "The LocalAML emulator at {} (from {}) does not answer: {}. {}".format(
        endpoint.http_address, endpoint.source, cause, _HOW_TO_START
    )


def _read_endpoint_file(path: str) -> Optional[Dict[str, str]]:
    try:
        with open(path, encoding="utf-8") as file:
            content = json.load(file)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise EmulatorNotFound("{} cannot be read ({}). {}".format(path, error, _HOW_TO_START)) from None
    if not isinstance(content, dict) or not content.get("http_address"):
        raise EmulatorNotFound("{} does not name an http_address. {}".format(path, _HOW_TO_START))
    return content


def _token(found: Optional[Dict[str, str]]) -> str:
    """In a job the run's own token; else the owner's, from the environment or from the file that is named."""
    environ = os.environ
    token = environ.get("AZUREML_RUN_TOKEN") or environ.get("LOCALAML_TOKEN")
    if token:
        return token.strip()
    path = environ.get("LOCALAML_TOKEN_FILE") or (found or {}).get("token_file")
    if not path:
        return ""
    try:
        with open(os.path.expanduser(path), encoding="utf-8") as file:
            return file.read().strip()
    except OSError as error:
        raise EmulatorNotFound("The token file {} cannot be read: {}.".format(path, error.strerror)) from None
