"""The one object through which the SDK talks to an emulator: control calls, streams and bytes.

client = get_client()
run = client.call("RunService", "GetRun", {"name": name})
with client.stream("RunService", "WatchRun", {"name": name}) as runs: ...
client.transfer.upload_file(url, path)
"""

import os
import threading
import time
import weakref
from typing import TYPE_CHECKING, Any, Callable, Iterator, Optional, Tuple, TypeVar

from azureml._localaml.endpoint import EmulatorNotFound, Endpoint, find_endpoint, in_job, not_reachable
from azureml._localaml.errors import ConnectionFailed, ServiceError, sdk_exception
from azureml._localaml.forks import in_child_after_fork
from azureml._localaml.transport import JsonObject, Stream, Transport

if TYPE_CHECKING:
    from azureml._localaml.connection_pool import ConnectionPool
    from azureml._localaml.transfer import Transfer

_T = TypeVar("_T")

# For how many seconds a call that lost its connection is repeated. A job outlives a restart of its emulator.
RETRY_SECONDS = 15.0
RETRY_SECONDS_IN_JOB = 120.0
_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 2.0
# A server error is a defect more often than a passing trouble: a few quick attempts, then it is told.
_INTERNAL_PAUSE = 0.2
# How often, and for how long at once, the emulator may ask for patience.
_MOST_TOLD_PAUSES, _LONGEST_TOLD_PAUSE = 20, 300.0


class Client:
    """A connection to one emulator. Safe to use from several threads and in a forked child.

    Every call is repeated when the connection is lost, with the emulator's address looked up again: all calls of the
    protocol are idempotent, the creating ones by their `requestId`.
    """

    def __init__(self, endpoint: Endpoint, find: Callable[[bool], Endpoint]) -> None:
        self._endpoint = endpoint
        self._find = find
        self._connections = _Connections(None)

    @property
    def endpoint(self) -> Endpoint:
        """Where the emulator was last seen."""
        return self._endpoint

    @property
    def transfer(self) -> "Transfer":
        """Uploads and downloads over signed URLs."""
        from azureml._localaml.connection_pool import ConnectionPool
        from azureml._localaml.connections import new_connection
        from azureml._localaml.transfer import Transfer

        own = self._own_connections()
        with own.lock:
            if own.for_bytes is None:
                own.for_bytes = ConnectionPool(self, new_connection)
            # Not kept: it holds this client, and a client has to go, with its sockets, when nobody holds it any more.
            return Transfer(self, own.for_bytes)

    def call(
        self, service: str, method: str, request: Optional[JsonObject] = None, timeout: Optional[float] = None
    ) -> JsonObject:
        """A unary call; see `azureml._localaml.transport` for the form of `request` and answer.

        Raises:
            AzureMLException: a subclass that fits the emulator's error, with `reason`, `grpc_code` and `metadata`;
                UserErrorException when no emulator can be reached.
        """
        return self.retrying(lambda: self._get_transport().call(service, method, request or {}, timeout))

    def stream(self, service: str, method: str, request: Optional[JsonObject] = None) -> Stream:
        """A server-streaming call. When the connection is lost on the way the iteration raises ConnectionFailed: the
        caller knows from where to go on. Errors of the emulator are raised as `call` raises them.
        """
        stream = self.retrying(lambda: self._get_transport().stream(service, method, request or {}))
        return _TranslatedStream(stream)

    def pages(self, service: str, method: str, request: JsonObject, items: str) -> Iterator[JsonObject]:
        """All items of a list call, page by page as they are asked for. Unreadable records are told in the log.

        Args:
            items: the answer's field that holds them, e.g. ``runs``.
        """
        request = dict(request)
        page = dict(request.get("page") or {})
        while True:
            if page:
                request["page"] = page
            answer = self.call(service, method, request)
            for record in answer.get("unreadable") or ():
                _tell_unreadable(method, record)
            yield from answer.get(items) or ()
            token = answer.get("nextPageToken")
            if not token:
                return
            page["pageToken"] = token

    def retrying(self, action: "Callable[[], _T]") -> "_T":
        """Does something until it works or the time for it is over: again after a lost connection, and after an error
        that may pass (unavailable, throttled, for transfers also a server error), when the emulator said it may.
        """
        deadline: Optional[float] = None
        pause = _FIRST_PAUSE
        told = 0
        while True:
            try:
                return action()
            except ServiceError as error:
                if error.grpc_code == "UNAUTHENTICATED" and self.look_again():
                    continue
                now = time.monotonic()
                if deadline is None:
                    deadline = now + _patience()
                if error.may_repeat and error.retry_after is not None and told < _MOST_TOLD_PAUSES:
                    told += 1
                    # The time that the emulator asks for is its own, not taken from our patience.
                    deadline += error.retry_after
                    time.sleep(min(error.retry_after, _LONGEST_TOLD_PAUSE))
                    continue
                is_hopeless = not error.may_repeat or error.retry_after is not None
                if is_hopeless or now + pause > deadline or (error.grpc_code == "INTERNAL" and pause > _INTERNAL_PAUSE):
                    raise sdk_exception(error) from None
            except ConnectionFailed as error:
                now = time.monotonic()
                if error.progressed:
                    deadline, pause = None, _FIRST_PAUSE
                if deadline is None:
                    deadline = now + _patience()
                if now + pause > deadline:
                    from azureml.exceptions import UserErrorException

                    raise UserErrorException(not_reachable(self._endpoint, error)) from None
            time.sleep(pause * (0.7 + 0.3 * os.urandom(1)[0] / 255.0))  # spreads out retries
            pause = min(2 * pause, _LONGEST_PAUSE)
            self.look_again()

    def look_again(self) -> bool:
        """Looks the emulator's address and token up again; whether they have changed."""
        try:
            endpoint = self._find(True)
        except EmulatorNotFound:
            return False
        return self.move_to(endpoint)

    def move_to(self, endpoint: Endpoint) -> bool:
        """Uses another address or token from now on; whether anything changed."""
        own = self._own_connections()
        with own.lock:
            if endpoint == self._endpoint:
                return False
            self._endpoint = endpoint
            old, own.transport = own.transport, None
        # Not closed here: another thread may be in the middle of a call on it. It ends with its last user.
        del old
        return True

    def close(self) -> None:
        """Gives up all connections; the next call opens new ones."""
        own = self._own_connections()
        with own.lock:
            transport, own.transport = own.transport, None
            for_bytes, own.for_bytes = own.for_bytes, None
        if transport is not None:
            transport.close()
        if for_bytes is not None:
            for_bytes.close()

    def _own_connections(self) -> "_Connections":
        own = self._connections
        if own.process_id != os.getpid():
            # In one step: several threads of the child may come here at once, none of which may meet the parent's.
            own = self._connections = _Connections(own)
        return own

    def _get_transport(self) -> Transport:
        own = self._own_connections()
        transport = own.transport
        if transport is None:
            with own.lock:
                transport = own.transport
                if transport is None:
                    transport = own.transport = make_transport(self._endpoint, is_forked=own.parents is not None)
        return transport


class _Connections:
    """A client's connections of one process.

    Args:
        parents: those of the process that forked this one, whatever its threads were doing with them. They must not be
            used here, nor closed (grpcio's threads do not exist in this process), nor waited for: so they are kept.
    """

    def __init__(self, parents: "Optional[_Connections]") -> None:
        self.parents = parents
        self.process_id = os.getpid()
        self.lock = threading.RLock()
        self.transport: Optional[Transport] = None
        self.for_bytes: Optional[ConnectionPool] = None


def _patience() -> float:
    return RETRY_SECONDS_IN_JOB if in_job() else RETRY_SECONDS


class _TranslatedStream(Stream):
    def __init__(self, stream: Stream) -> None:
        self._stream = stream

    def __next__(self) -> JsonObject:
        try:
            return next(self._stream)
        except ServiceError as error:
            raise sdk_exception(error) from None

    def close(self) -> None:
        self._stream.close()


def make_transport(endpoint: Endpoint, is_forked: bool = False) -> Transport:
    """gRPC where it can be had, else HTTP. `LOCALAML_TRANSPORT` = `grpc` or `http` decides otherwise.

    Inside a job HTTP is the default: training code forks workers and brings its own protobuf, and both get on badly
    with a second user of grpcio in the process. So it is in a forked child, where grpcio may hang.
    """
    wanted = os.environ.get("LOCALAML_TRANSPORT", "").strip().lower()
    if wanted not in ("", "grpc", "http"):
        raise ServiceError("INVALID_ARGUMENT", "LOCALAML_TRANSPORT must be 'grpc' or 'http', not {!r}.".format(wanted))
    if wanted == "grpc" or (not wanted and endpoint.grpc_address and not in_job() and not is_forked):
        try:
            from azureml._localaml.transport_grpc import GrpcTransport

            if endpoint.grpc_address:
                return GrpcTransport(endpoint)
            raise ImportError("the emulator's gRPC address is not known (LOCALAML_GRPC_ENDPOINT)")
        except Exception as error:  # protobuf raises TypeError and others when its versions do not fit
            if wanted == "grpc":
                raise ServiceError("FAILED_PRECONDITION", "LOCALAML_TRANSPORT=grpc: {}.".format(error)) from None
    from azureml._localaml.transport_http import HttpTransport

    return HttpTransport(endpoint)


class _Clients:
    """The clients of this process, one per named emulator.

    A client lives as long as something uses it (workspaces hold theirs), and as long as it was the last one asked for:
    who talks to many emulators one after the other keeps no connections to those that are gone.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._clients: weakref.WeakValueDictionary[Tuple[str, str, int], Client] = weakref.WeakValueDictionary()
        self._last: Optional[Client] = None

    def get(self) -> "Client":
        try:
            endpoint = find_endpoint()
        except EmulatorNotFound as error:
            from azureml.exceptions import UserErrorException

            raise UserErrorException(str(error)) from None
        key = (endpoint.source, endpoint.token, os.getpid())
        client = self._clients.get(key)
        if client is None:
            with self._lock:
                client = self._clients.setdefault(key, Client(endpoint, _finder(endpoint.source)))
        elif client.endpoint != endpoint and not os.environ.get("LOCALAML_ENDPOINT"):
            client.move_to(endpoint)
        self._last = client
        return client

    def after_fork(self) -> None:
        self._lock = threading.Lock()


def _tell_unreadable(method: str, record: JsonObject) -> None:
    # Not at the top: a job that only logs metrics would pay for it.
    import logging

    message = (record.get("error") or {}).get("message", "")
    logging.getLogger("azureml").warning(
        "%s: a record cannot be read and is left out: %r. %s", method, record.get("id", ""), message
    )


def _finder(source: str) -> Callable[[bool], Endpoint]:
    """Looks an emulator up again by what named it, also when the environment names another one meanwhile."""

    def find(use_file: bool) -> Endpoint:
        endpoint = find_endpoint(use_file)
        if endpoint.source != source:
            raise EmulatorNotFound("Another emulator is named now: {}.".format(endpoint.source))
        return endpoint

    return find


_clients = _Clients()
in_child_after_fork(_clients.after_fork)


def get_client(**_: Any) -> "Client":
    """The client of the emulator that the environment names; the same object as long as it names the same one.

    Raises:
        UserErrorException: no emulator is named; the text says how to start one.
    """
    return _clients.get()
