"""Control calls over gRPC, made from the descriptors of `localaml_proto`; nothing is written by hand per method.

Import it only when `grpc` is wanted: it loads grpcio and protobuf.
"""

import importlib
import threading
from typing import Any, Callable, Dict, List, Optional, Tuple

import grpc
from google.protobuf import json_format, message_factory

from azureml._localaml.endpoint import Endpoint
from azureml._localaml.errors import ConnectionFailed, ServiceError, parse_status_details
from azureml._localaml.transport import DEFAULT_TIMEOUT_SECONDS, JsonObject, Stream, Transport, full_service_name

# The files that declare each service; found by the words of its name (`ComputeService` -> `compute_pb2`).
_PACKAGES = {"localaml.v1": "localaml_proto.v1", "localaml.admin.v1": "localaml_proto.admin.v1"}


class GrpcTransport(Transport):
    """Calls over one channel, which grpcio opens at the first call and keeps."""

    def __init__(self, endpoint: Endpoint) -> None:
        # grpcio may be here for something else (tensorboard brings it) without our messages, or with a protobuf that
        # they do not fit: that has to show now, while there is the other transport to turn to.
        importlib.import_module("localaml_proto.v1.resources_pb2")
        self._metadata = [("authorization", "Bearer " + endpoint.token)] if endpoint.token else []
        options: List[Tuple[str, Any]] = [
            ("grpc.max_receive_message_length", -1),
            ("grpc.max_send_message_length", -1),
            ("grpc.enable_http_proxy", 0),
            # Two emulators in turn on one port must not share a channel of grpcio's global pool.
            ("grpc.use_local_subchannel_pool", 1),
        ]
        self._channel = grpc.insecure_channel(endpoint.grpc_address, options=options)
        self._callables: Dict[Tuple[str, str], Tuple[Callable[..., Any], Any]] = {}
        self._lock = threading.Lock()

    def call(self, service: str, method: str, request: JsonObject, timeout: Optional[float] = None) -> JsonObject:
        function, request_class = self._callable(service, method)
        message = _encode(request, request_class)
        seconds = DEFAULT_TIMEOUT_SECONDS if timeout is None else timeout
        try:
            return json_format.MessageToDict(function(message, timeout=seconds, metadata=self._metadata))
        except grpc.RpcError as error:
            raise _translate(error) from error

    def stream(self, service: str, method: str, request: JsonObject) -> Stream:
        function, request_class = self._callable(service, method)
        return _GrpcStream(function(_encode(request, request_class), metadata=self._metadata))

    def close(self) -> None:
        self._channel.close()

    def _callable(self, service: str, method: str) -> Tuple[Callable[..., Any], Any]:
        key = (service, method)
        found = self._callables.get(key)
        if found is None:
            with self._lock:
                found = self._callables[key] = self._make_callable(full_service_name(service), method)
        return found

    def _make_callable(self, service: str, method: str) -> Tuple[Callable[..., Any], Any]:
        package, _, name = service.rpartition(".")
        word = name[: -len("Service")].lower()
        module = importlib.import_module("{}.{}_pb2".format(_PACKAGES[package], word))
        descriptor = module.DESCRIPTOR.services_by_name[name].methods_by_name[method]
        request_class, response_class = _message_class(descriptor.input_type), _message_class(descriptor.output_type)
        make = self._channel.unary_stream if _is_streaming(service, method, module) else self._channel.unary_unary
        function = make(
            "/{}/{}".format(service, method),
            request_serializer=request_class.SerializeToString,
            response_deserializer=response_class.FromString,
        )
        return function, request_class


class _GrpcStream(Stream):
    def __init__(self, call: Any) -> None:
        self._call = call
        self._ended = False

    def __next__(self) -> JsonObject:
        try:
            return json_format.MessageToDict(next(self._call))
        except grpc.RpcError as error:
            if self._ended and error.code() is grpc.StatusCode.CANCELLED:
                raise StopIteration from None
            raise _translate(error) from error

    def close(self) -> None:
        self._ended = True
        self._call.cancel()


def _message_class(descriptor: Any) -> Any:
    get = getattr(message_factory, "GetMessageClass", None)
    if get is not None:
        return get(descriptor)
    factory: Any = message_factory.MessageFactory()
    return factory.GetPrototype(descriptor)  # protobuf before 4.22


def _is_streaming(service: str, method: str, module: Any) -> bool:
    """Old protobuf runtimes do not tell it on the descriptor, but in the file's own proto form."""
    from google.protobuf import descriptor_pb2

    file = descriptor_pb2.FileDescriptorProto()
    module.DESCRIPTOR.CopyToProto(file)
    for candidate in file.service:
        if service.endswith("." + candidate.name):
            return any(entry.name == method and entry.server_streaming for entry in candidate.method)
    return False


def _encode(request: JsonObject, request_class: Any) -> Any:
    try:
        return json_format.ParseDict(request, request_class())
    except json_format.ParseError as error:
        raise ServiceError("INVALID_ARGUMENT", "The request cannot be sent: {}.".format(error)) from error


def _translate(error: Any) -> Exception:
    code = error.code().name
    details = error.details() or code
    for key, value in error.trailing_metadata() or ():
        if key == "grpc-status-details-bin":
            reason, metadata = parse_status_details(value)
            if reason:
                return ServiceError(code, details, reason, metadata)
    if code == "UNAVAILABLE":
        return ConnectionFailed(details)
    return ServiceError(code, details)
