"""How calls reach servicers: one table, made from the protobuf descriptors, for every transport.

A servicer is an object with `SERVICE` (the full name of a proto service) and one coroutine method per rpc, named in
snake_case: ``async def get_run(self, request, caller) -> Run``. For a server-streaming rpc it is an async generator.
It says what went wrong by raising a `LocalAmlError`; how that looks on the wire is decided in `rpc_errors` (gRPC) and
`gateway.connect` (HTTP).
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import aclosing, contextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
import grpc.aio
from google.protobuf import descriptor_pool, message_factory
from google.protobuf.message import DecodeError, Message

from localaml.domain.models import RunKey
from localaml.errors import InvalidArgument, LocalAmlError, Unavailable, Unimplemented, unreadable_record
from localaml.services.answers import AnswerCheck
from localaml.services.request_limits import MAX_REQUEST_BYTES, RequestLimits
from localaml.services.rpc_errors import grpc_status, to_localaml_error
from localaml_proto.admin.v1 import admin_pb2, event_pb2, fault_pb2, state_pb2
from localaml_proto.v1 import (
    artifact_pb2,
    compute_pb2,
    dataset_pb2,
    datastore_pb2,
    environment_pb2,
    experiment_pb2,
    metric_pb2,
    model_pb2,
    run_pb2,
    secret_pb2,
    snapshot_pb2,
    workspace_pb2,
)

# Importing these registers their descriptors; naming them here keeps the imports.
_MODULES = (
    admin_pb2,
    event_pb2,
    fault_pb2,
    state_pb2,
    artifact_pb2,
    compute_pb2,
    dataset_pb2,
    datastore_pb2,
    environment_pb2,
    experiment_pb2,
    metric_pb2,
    model_pb2,
    run_pb2,
    secret_pb2,
    snapshot_pb2,
    workspace_pb2,
)
_OUR_PREFIX = "/localaml."

SERVER_OPTIONS = (("grpc.so_reuseport", 0), ("grpc.max_receive_message_length", MAX_REQUEST_BYTES))
"""Of the gRPC server: a request may be as large as over HTTP."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls.

    Attributes:
        is_owner: whether the caller showed the owner's token (or none is required).
        run: the run whose token the caller showed.
    """

    is_owner: bool
    run: RunKey | None = None


# From the value of the `authorization` header (None when there is none) to the caller. Raises Unauthenticated.
Authenticate = Callable[[str | None], Caller]


# Asked before each call, by its path: may raise a LocalAmlError, or wait. Answers after how many messages of a stream
# the connection is to be lost (of a unary call: that the answer is), None for neither.
BeforeCall = Callable[[str, Message], Awaitable["int | None"]]


class ConnectionDropped(Unavailable):
    """To the caller, the connection is to look lost: no status, no answer."""


def _dropped(path: str) -> ConnectionDropped:
    return ConnectionDropped("CONNECTION_DROPPED", f"The connection of {path} was dropped.")


class Streams:
    """The streams that are going on; `stop` ends them all with ``EMULATOR_STOPPING``, so that followers call again."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()
        self._stopping = False

    def stop(self) -> None:
        """Ends all streams, and further ones as they begin. Returns at once."""
        self._stopping = True
        for task in self._tasks:
            task.cancel()

    @contextmanager
    def one_more(self) -> Iterator[None]:
        """The time of one stream, which runs in the current task."""
        task = asyncio.current_task()
        assert task is not None
        if self._stopping:
            raise _stopping()
        self._tasks.add(task)
        try:
            yield
        except asyncio.CancelledError:
            if self._stopping:
                raise _stopping() from None
            raise
        finally:
            self._tasks.discard(task)


def _stopping() -> Unavailable:
    return Unavailable("EMULATOR_STOPPING", "The emulator stops. Call again once it is back.")


@dataclass(frozen=True, slots=True)
class Method:
    """One rpc, bound to the servicer that answers it.

    Attributes:
        path: ``/localaml.v1.RunService/GetRun``.
        handler: the servicer's method; None when it has none.
        limits: what a request is held against, whatever the transport, before anything else happens with it.
        answers: what an answer is held against.
        observe: told of each call, by its path, as it begins.
        before: may let the call fail, wait, or lose its connection.
    """

    path: str
    request_class: type[Message]
    response_class: type[Message]
    server_streaming: bool
    handler: Callable[[Any, Caller], Any] | None
    streams: Streams = field(default_factory=Streams, repr=False)
    limits: RequestLimits = field(default_factory=RequestLimits, repr=False)
    answers: AnswerCheck = field(default_factory=AnswerCheck, repr=False)
    observe: Callable[[str], None] | None = field(default=None, repr=False)
    before: BeforeCall | None = field(default=None, repr=False)

    def _handler(self, request: Message) -> Callable[[Any, Caller], Any]:
        if self.observe is not None:
            self.observe(self.path)
        if self.handler is None:
            raise unimplemented(self.path)
        self.limits.check(request)
        return self.handler

    def _check(self, response: object) -> Message:
        if not isinstance(response, self.response_class):
            raise TypeError(f"{self.path} answered with {type(response).__name__}, not {self.response_class.__name__}")
        try:
            self.answers.check(response)
        except ValueError as error:
            raise unreadable_record(str(error)) from None
        return response

    async def call(self, request: Message, caller: Caller) -> Message:
        """Answers a unary call. Raises LocalAmlError and nothing else (but CancelledError)."""
        try:
            handler = self._handler(request)
            drop_after = None if self.before is None else await self.before(self.path, request)
            answer: Awaitable[object] = handler(request, caller)
            checked = self._check(await answer)
            if drop_after is not None:
                raise _dropped(self.path)
            return checked
        except Exception as error:
            raise to_localaml_error(error, self.path) from error

    async def stream(self, request: Message, caller: Caller) -> AsyncGenerator[Message, None]:
        """Answers a server-streaming call. Raises LocalAmlError and nothing else (but CancelledError)."""
        try:
            handler = self._handler(request)
            drop_after = None if self.before is None else await self.before(self.path, request)
            if drop_after == 0:
                raise _dropped(self.path)
            answers: AsyncGenerator[object, None] = handler(request, caller)
            sent = 0
            # Closing here, not at garbage collection, ends the servicer's subscriptions with the call.
            with self.streams.one_more():
                async with aclosing(answers):
                    async for answer in answers:
                        yield self._check(answer)
                        sent += 1
                        if sent == drop_after:
                            raise _dropped(self.path)
        except Exception as error:
            raise to_localaml_error(error, self.path) from error


def unimplemented(path: str) -> Unimplemented:
    """The error for an rpc that nothing answers."""
    return Unimplemented(
        "METHOD_NOT_IMPLEMENTED",
        f"This emulator has no method {path[:200]}. Is the client newer than the emulator?",
        {"method": path[:200]},
    )


def snake_case(name: str) -> str:
    """`CreateDatastoreUploadUrls` -> `create_datastore_upload_urls`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def method_table(
    services: Iterable[object],
    streams: Streams | None = None,
    observe: Callable[[str], None] | None = None,
    before: BeforeCall | None = None,
) -> dict[str, Method]:
    """All rpcs of the servicers' services by path. `streams` will know of those that are going on, `observe` is told of
    each call, and `before` is asked before it.

    Raises:
        TypeError: a servicer without `SERVICE`.
        ValueError: a second servicer of one service, or a client-streaming rpc (we have none).
        KeyError: a service that no proto file has.
    """
    table: dict[str, Method] = {}
    streams, limits, answers = streams or Streams(), RequestLimits(), AnswerCheck()
    for servicer in services:
        name = getattr(servicer, "SERVICE", None)
        if not isinstance(name, str):
            raise TypeError(f"{type(servicer).__name__} has no SERVICE")
        for method in descriptor_pool.Default().FindServiceByName(name).methods:
            path = f"/{name}/{method.name}"
            if path in table:
                raise ValueError(f"two servicers answer {name}")
            if method.client_streaming:
                raise ValueError(f"{path} is client-streaming, which the transports cannot do")
            table[path] = Method(
                path,
                message_factory.GetMessageClass(method.input_type),
                message_factory.GetMessageClass(method.output_type),
                bool(method.server_streaming),
                getattr(servicer, snake_case(method.name), None),
                streams,
                limits,
                answers,
                observe,
                before,
            )
    return table


def bind_grpc(
    server: grpc.aio.Server,
    services: Iterable[object],
    authenticate: Authenticate,
    streams: Streams | None = None,
    observe: Callable[[str], None] | None = None,
    before: BeforeCall | None = None,
) -> list[str]:
    """Lets a gRPC server answer for the servicers; returns the names of their services."""
    table = method_table(services, streams, observe, before)
    server.add_generic_rpc_handlers((_Handlers(table, authenticate),))
    return sorted({path.split("/")[1] for path in table})


class _Handlers(grpc.GenericRpcHandler):  # type: ignore[type-arg]  # generic in the stubs only
    """Finds the handler of a call. Knows all of our names, so that an unknown one is refused by name."""

    def __init__(self, table: Mapping[str, Method], authenticate: Authenticate) -> None:
        self._handlers = {path: _grpc_handler(method, authenticate) for path, method in table.items()}

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[Any, Any] | None:
        path = handler_call_details.method
        found = self._handlers.get(path)
        if found is None and path.startswith(_OUR_PREFIX):

            async def refuse(_request: bytes, context: grpc.aio.ServicerContext[Any, Any]) -> bytes:
                await _abort(context, unimplemented(path))
                raise AssertionError("unreachable: abort raises")

            return grpc.unary_unary_rpc_method_handler(refuse)
        return found


def _grpc_handler(method: Method, authenticate: Authenticate) -> grpc.RpcMethodHandler[Any, Any]:
    def start(data: bytes, context: grpc.aio.ServicerContext[Any, Any]) -> tuple[Message, Caller]:
        authorization = None
        for key, value in context.invocation_metadata() or ():
            if key == "authorization":
                authorization = value if isinstance(value, str) else value.decode("latin-1")
        caller = authenticate(authorization)
        request = method.request_class()
        try:
            request.ParseFromString(data)
        except DecodeError:
            raise InvalidArgument(
                "MALFORMED_REQUEST", f"The request is not a {method.request_class.DESCRIPTOR.full_name} message."
            ) from None
        return request, caller

    async def unary(data: bytes, context: grpc.aio.ServicerContext[Any, Any]) -> bytes:
        try:
            request, caller = start(data, context)
            return (await method.call(request, caller)).SerializeToString()
        except LocalAmlError as error:
            await _abort(context, error)
            raise AssertionError("unreachable: abort raises") from error

    async def stream(data: bytes, context: grpc.aio.ServicerContext[Any, Any]) -> AsyncIterator[bytes]:
        try:
            request, caller = start(data, context)
            async with aclosing(method.stream(request, caller)) as answers:
                async for answer in answers:
                    yield answer.SerializeToString()
        except LocalAmlError as error:
            await _abort(context, error)

    # Bytes in and out: parsing here, not in the library, makes a malformed request INVALID_ARGUMENT and not INTERNAL.
    if method.server_streaming:
        return grpc.unary_stream_rpc_method_handler(stream)
    return grpc.unary_unary_rpc_method_handler(unary)


async def _abort(context: grpc.aio.ServicerContext[Any, Any], error: LocalAmlError) -> None:
    if isinstance(error, ConnectionDropped):
        # As gRPC itself reports a lost connection: without details.
        await context.abort(grpc.StatusCode.UNAVAILABLE, "Connection lost.")
    code, message, trailing = grpc_status(error)
    await context.abort(code, message, trailing)
