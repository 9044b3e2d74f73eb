"""Control calls as JSON over HTTP with the standard library: https://connectrpc.com/docs/protocol."""

import codecs
import json
import socket
from typing import Dict, Optional

from azureml._localaml.connection_pool import ConnectionPool, split_address
from azureml._localaml.endpoint import Endpoint
from azureml._localaml.errors import ConnectionFailed, ServiceError, connect_error
from azureml._localaml.plain_http import PlainConnection, is_numeric
from azureml._localaml.transport import DEFAULT_TIMEOUT_SECONDS, JsonObject, Stream, Transport, full_service_name


class HttpTransport(Transport):
    """Calls over one kept-alive connection per thread; each stream has a connection of its own."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._address = split_address(endpoint.http_address)
        self._token = endpoint.token
        self._pool = ConnectionPool(self, PlainConnection)

    def call(self, service: str, method: str, request: JsonObject, timeout: Optional[float] = None) -> JsonObject:
        seconds = DEFAULT_TIMEOUT_SECONDS if timeout is None else timeout
        connection: PlainConnection = self._pool.get(self._address, seconds)
        path = "/{}/{}".format(full_service_name(service), method)
        headers = self._headers("application/json")
        headers["Connect-Timeout-Ms"] = str(max(1, int(seconds * 1000)))
        try:
            answer = connection.post(path, json.dumps(request).encode("utf-8"), headers)
        except socket.timeout as error:
            connection.close()
            raise _timed_out(method, seconds) from error
        except OSError as error:
            connection.close()
            raise ConnectionFailed(describe(error)) from error
        except BaseException:
            connection.close()  # e.g. KeyboardInterrupt: what is left of the answer must not meet the next call
            raise
        if answer.status != 200:
            raise connect_error(answer.status, answer.body, answer.headers.get("retry-after"))
        return decode(answer.body)

    def stream(self, service: str, method: str, request: JsonObject) -> Stream:
        from azureml._localaml.http_stream import open_stream

        path = "/{}/{}".format(full_service_name(service), method)
        return open_stream(self._address, path, request, self._headers("application/connect+json"))

    def close(self) -> None:
        self._pool.close()

    def _headers(self, content_type: str) -> Dict[str, str]:
        headers = {"Content-Type": content_type, "Connect-Protocol-Version": "1"}
        if self._token:
            headers["Authorization"] = "Bearer " + self._token
        return headers


def load_for(http_address: str) -> None:
    """Loads all that a call to this address loads, which is hardly anything when the host is a number."""
    if not is_numeric(split_address(http_address)[0]):
        codecs.lookup("idna")  # a look-up of a name does that


def decode(body: bytes) -> JsonObject:
    """The JSON object of an answer. Raises ServiceError when it is none."""
    try:
        message = json.loads(body.decode("utf-8")) if body else {}
    except ValueError:
        message = None
    if not isinstance(message, dict):
        raise ServiceError("UNKNOWN", "What answered is no LocalAML emulator: {!r}...".format(body[:100]))
    return message


def _timed_out(method: str, seconds: float) -> ServiceError:
    return ServiceError("DEADLINE_EXCEEDED", "{} had no answer within {:g} seconds.".format(method, seconds))


def describe(error: BaseException) -> str:
    """Why a connection failed, for people."""
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
