"""What the HTTP port answers: health, rpcs as JSON, bytes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from localaml.errors import InvalidArgument, LocalAmlError, NotFound, PermissionDenied, Unavailable
from localaml.gateway.byte_plane import BytePlane
from localaml.gateway.connect import ConnectRoutes, error_response
from localaml.gateway.hosts import is_loopback_name, is_own_origin
from localaml.gateway.messages import ClientGone, Request, Response, text_response
from localaml.services.rpc import Authenticate, ConnectionDropped, Method
from localaml.services.rpc_errors import to_localaml_error
from localaml.services.tokens import BYTES_ROOT

_ABOUT = """\
This is LocalAML {version}, an emulator of Azure Machine Learning.

It is meant for programs: the SDK (azureml.core), the command `localaml`, and anything that can send JSON.
    GET  /healthz                              whether it serves
    POST /localaml.v1.WorkspaceService/...     the API as JSON (Connect protocol), with the token of the state dir
    GET, HEAD, PUT /bytes/...                  files, through signed URLs
"""


class Gateway:
    """The handler of the HTTP port.

    Args:
        is_serving: whether all services are up.
        any_host: answer under any name and to any page. Else only under a loopback name, and to no page of another
            server: a web page that makes its own name point to this machine (DNS rebinding) gets nothing.
    """

    def __init__(
        self,
        methods: Mapping[str, Method],
        authenticate: Authenticate,
        byte_plane: BytePlane,
        *,
        version: str,
        is_serving: Callable[[], bool],
        any_host: bool = False,
    ) -> None:
        self._connect = ConnectRoutes(methods, authenticate)
        self._bytes = byte_plane
        self._services = {path.split("/")[1] for path in methods}
        self._about = _ABOUT.format(version=version)
        self._is_serving = is_serving
        self._any_host = any_host

    async def handle(self, request: Request) -> Response:
        """Answers any request. Raises ClientGone, when nobody waits for the answer any more."""
        try:
            return await self._route(request)
        except ClientGone:
            raise
        except ConnectionDropped as error:
            raise ClientGone(error.message) from None
        except LocalAmlError as error:
            return error_response(error)
        except Exception as error:
            return error_response(to_localaml_error(error, f"{request.method} {request.path[:200]}"))

    def _route(self, request: Request) -> Awaitable[Response]:
        if not self._any_host:
            _check_names(request)
        if request.path.startswith(f"{BYTES_ROOT}/"):
            return self._bytes.handle(request)
        if request.path.startswith("/localaml.") or request.path.split("/")[1] in self._services:
            return self._connect.handle(request)
        return self._page(request)

    async def _page(self, request: Request) -> Response:
        if request.method not in ("GET", "HEAD"):
            raise InvalidArgument("METHOD_NOT_ALLOWED", f"{request.method} is not possible here.")
        if request.path == "/":
            return text_response(200, self._about)
        if request.path == "/healthz":
            if not self._is_serving():
                raise Unavailable("NOT_SERVING", "The emulator is starting or stopping.")
            return text_response(200, "ok")
        raise NotFound("UNKNOWN_PATH", f"There is nothing at {request.path[:200]!r}.")


def _check_names(request: Request) -> None:
    """Raises PermissionDenied ``HOST_NOT_ALLOWED`` or ``ORIGIN_NOT_ALLOWED``."""
    host = request.headers.get("host", "")
    # A target may name a host of its own; both count.
    if not all(is_loopback_name(name) for name in (host, request.authority) if name is not None):
        raise PermissionDenied(
            "HOST_NOT_ALLOWED", "The emulator answers under the names of this machine only, such as localhost."
        )
    origin = request.headers.get("origin")
    if origin is not None and not is_own_origin(origin, host):
        raise PermissionDenied("ORIGIN_NOT_ALLOWED", "The emulator does not answer to pages of other servers.")
