"""Calls to the emulator over gRPC, with errors that people can use."""

from __future__ import annotations

import json
import os
import sys
import urllib.error
import urllib.request
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc

from localaml.cli.endpoint import Presence, default_state_dir, is_healthy, look_up
from localaml.cli.failure import CliError
from localaml.cli.output import visible
from localaml_proto.admin.v1 import admin_pb2_grpc, event_pb2_grpc, fault_pb2_grpc, state_pb2_grpc
from localaml_proto.v1 import (
    artifact_pb2_grpc,
    compute_pb2_grpc,
    environment_pb2_grpc,
    model_pb2_grpc,
    run_pb2_grpc,
    workspace_pb2_grpc,
)

_CALL_SECONDS = 60.0
# Answers have no limit, as the SDK's have none: the source of a run can be 10,000s of files.
_OPTIONS = (
    ("grpc.enable_http_proxy", 0),
    ("grpc.max_receive_message_length", -1),
    ("grpc.min_reconnect_backoff_ms", 200),
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.max_reconnect_backoff_ms", 1000),
)
# How often, and how many times, a living emulator that takes no connection is looked at.
_LOOK_SECONDS, _LOOKS = 0.25, 240
_START_HINT = "Start one with 'localaml start -d'."


@dataclass(frozen=True, slots=True)
class Target:
    """Where the emulator is, and what opens it."""

    grpc_address: str
    http_address: str
    token: str
    # What the user could change, for error messages.
    source: str


class Client:
    """The emulator's services. Close it after use (`with`)."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._was_reached = False
        self._metadata = (("authorization", f"Bearer {target.token}"),)
        self._channel = grpc.insecure_channel(target.grpc_address, options=_OPTIONS)
        self.admin = admin_pb2_grpc.AdminServiceStub(self._channel)
        self.artifacts = artifact_pb2_grpc.ArtifactServiceStub(self._channel)
        self.events = event_pb2_grpc.EventServiceStub(self._channel)
        self.faults = fault_pb2_grpc.FaultServiceStub(self._channel)
        self.state = state_pb2_grpc.StateServiceStub(self._channel)
        self.computes = compute_pb2_grpc.ComputeServiceStub(self._channel)
        self.environments = environment_pb2_grpc.EnvironmentServiceStub(self._channel)
        self.models = model_pb2_grpc.ModelServiceStub(self._channel)
        self.runs = run_pb2_grpc.RunServiceStub(self._channel)
        self.workspaces = workspace_pb2_grpc.WorkspaceServiceStub(self._channel)

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self._channel.close()

    def call(self, method: Any, request: Any, timeout: float | None = _CALL_SECONDS) -> Any:
        """One unary call. Raises CliError."""
        self._reach()
        try:
            return method(request, timeout=timeout, metadata=self._metadata)
        except grpc.RpcError as error:
            raise self._explain(error) from None

    def stream(self, method: Any, request: Any) -> Generator[Any, None, None]:
        """One server-streaming call; ends the call when the iterator is closed. Raises CliError."""
        self._reach()
        call = method(request, metadata=self._metadata)
        try:
            yield from call
        except grpc.RpcError as error:
            raise self._explain(error) from None
        finally:
            call.cancel()

    def _reach(self) -> None:
        """Waits for the connection while the emulator lives: it may have too many, of which the idle ones go."""
        if self._was_reached:
            return
        self._was_reached = True
        ready = grpc.channel_ready_future(self._channel)
        try:
            for _ in range(_LOOKS):
                try:
                    ready.result(timeout=_LOOK_SECONDS)
                    return
                except grpc.FutureTimeoutError:
                    if not is_healthy(self._target.http_address):
                        return  # the call itself tells that nobody is there
        finally:
            ready.cancel()

    def pages(self, method: Any, request: Any, field: str, limit: int | None = None) -> list[Any]:
        """All items of a list call, page by page (at most `limit`). Records that cannot be read are told on stderr."""
        items: list[Any] = []
        while True:
            if limit is not None:
                request.page.page_size = min(limit - len(items), 1000)
            answer = self.call(method, request)
            items.extend(getattr(answer, field))
            for record in getattr(answer, "unreadable", ()):
                print(f"Unreadable: {visible(record.id)}. {visible(record.error.message)}", file=sys.stderr)
            if not answer.next_page_token or (limit is not None and len(items) >= limit):
                return items if limit is None else items[:limit]
            request.page.page_token = answer.next_page_token

    def _explain(self, error: grpc.RpcError) -> CliError:
        assert isinstance(error, grpc.Call)
        code, details = error.code(), (error.details() or "").strip()
        if code == grpc.StatusCode.UNAVAILABLE:
            return CliError(
                f"No emulator answers at {self._target.grpc_address} ({self._target.source}). {_START_HINT}"
            )
        if code == grpc.StatusCode.UNAUTHENTICATED:
            return CliError(f"The emulator does not accept the token ({self._target.source}): {details}")
        if code == grpc.StatusCode.DEADLINE_EXCEEDED:
            return CliError(f"The emulator at {self._target.grpc_address} did not answer in time; see 'localaml logs'.")
        return CliError(details or f"The call failed: {code.name}.")


def find_target(state_dir: Path | None) -> Target:
    """The emulator of the given state folder; else of `LOCALAML_ENDPOINT`; else of the default state folder.

    Raises:
        CliError: none is running there; says how to start one.
    """
    http_address = os.environ.get("LOCALAML_ENDPOINT", "").strip()
    if state_dir is None and http_address:
        token = _token_of_environment()
        source = f"LOCALAML_ENDPOINT={http_address}"
        address = os.environ.get("LOCALAML_GRPC_ENDPOINT") or _ask_for_grpc_address(http_address, token, source)
        return Target(address, http_address if "://" in http_address else f"http://{http_address}", token, source)
    folder = default_state_dir() if state_dir is None else state_dir.expanduser().absolute()
    presence, endpoint = look_up(folder)
    if endpoint is None:
        raise CliError(f"No emulator is running on {folder}. {_START_HINT}")
    if presence is Presence.STALE:
        raise CliError(
            f"The emulator on {folder} (pid {endpoint.process_id}) was killed. "
            "'localaml start -d' goes on where it was; 'localaml stop' only cleans up after it."
        )
    token = _read_token(Path(endpoint.token_file))
    return Target(endpoint.grpc_address, endpoint.http_address, token, f"state folder {folder}")


def _token_of_environment() -> str:
    token = os.environ.get("LOCALAML_TOKEN")
    if token:
        return token
    file = os.environ.get("LOCALAML_TOKEN_FILE")
    return _read_token(Path(file)) if file else ""


def _read_token(path: Path) -> str:
    try:
        return path.read_text("utf-8").strip()
    except OSError as error:
        raise CliError(f"The token file {path} cannot be read: {error.strerror}.") from None


def _ask_for_grpc_address(http_address: str, token: str, source: str) -> str:
    if "://" not in http_address:
        http_address = "http://" + http_address
    if not http_address.startswith("http://"):
        raise CliError(f"{source} must be an address such as http://127.0.0.1:8765.", exit_code=2)
    request = urllib.request.Request(
        http_address.rstrip("/") + "/localaml.admin.v1.AdminService/GetInfo",
        data=b"{}",
        headers={"Content-Type": "application/json", "Authorization": f"Bearer {token}"},
    )
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=10) as response:
            return str(json.load(response)["grpcAddress"])
    except urllib.error.HTTPError as error:
        raise CliError(f"The emulator refuses the call ({source}): HTTP {error.code}.") from None
    except (OSError, ValueError, KeyError):
        raise CliError(f"No emulator answers ({source}). {_START_HINT}") from None


def connect(state_dir: Path | None) -> Client:
    """A client of the emulator that `find_target` finds."""
    return Client(find_target(state_dir))
