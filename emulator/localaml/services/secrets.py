"""Answers for the key vault."""

from __future__ import annotations

from localaml.domain.models import Secret, Workspace
from localaml.domain.names import ChildName, check_name, parse_child
from localaml.errors import InvalidArgument
from localaml.services.context import ServiceContext
from localaml.services.messages import of_record, timestamp
from localaml.services.paging import decode_token, fill_page, items_of, page_size
from localaml.services.rpc import Caller
from localaml_proto.v1 import secret_pb2

# As in Azure's key vault.
_MAX_BYTES = 25_600
_MAX_CONTENT_TYPE = 255


class SecretService:
    """`localaml.v1.SecretService`."""

    SERVICE = "localaml.v1.SecretService"

    def __init__(self, context: ServiceContext) -> None:
        self._context = context

    async def set_secret(self, request: secret_pb2.SetSecretRequest, caller: Caller) -> secret_pb2.Secret:
        workspace = self._context.workspace(request.parent)
        name = check_name("secret", request.secret_name)
        size = len(request.value.encode())
        if not 0 < size <= _MAX_BYTES:
            raise InvalidArgument(
                "SECRET_SIZE_INVALID",
                f"The value of the secret {name!r} has {size} bytes: 1 to {_MAX_BYTES} can be kept.",
            )
        if len(request.content_type) > _MAX_CONTENT_TYPE:
            raise InvalidArgument(
                "SECRET_CONTENT_TYPE_INVALID",
                f"The content type of a secret has at most {_MAX_CONTENT_TYPE} characters.",
            )
        now = self._context.clock.now()
        sealed = self._context.sealer.seal(workspace.workspace_id, name, request.value)
        secrets = self._context.store.secrets
        secrets.put(Secret(workspace.workspace_id, name, now, now, request.content_type, sealed))
        return _message(workspace, secrets.get(workspace.workspace_id, name))

    async def get_secret(self, request: secret_pb2.GetSecretRequest, caller: Caller) -> secret_pb2.GetSecretResponse:
        workspace, name = self._place(request.name)
        secret = self._context.store.secrets.get(workspace.workspace_id, name)
        value = self._context.sealer.open(workspace.workspace_id, secret.name, secret.sealed)
        return secret_pb2.GetSecretResponse(secret=_message(workspace, secret), value=value)

    async def list_secrets(
        self, request: secret_pb2.ListSecretsRequest, caller: Caller
    ) -> secret_pb2.ListSecretsResponse:
        workspace = self._context.workspace(request.parent)
        size, after = page_size(request.page), decode_token(request.page)
        found = self._context.store.secrets.stored(workspace.workspace_id, after, size + 1)
        response = secret_pb2.ListSecretsResponse()
        items = items_of(((each.id, each) for each in found), lambda secret: _message(workspace, secret))
        response.next_page_token = fill_page(response.secrets, items, size, response.unreadable)
        return response

    async def delete_secret(
        self, request: secret_pb2.DeleteSecretRequest, caller: Caller
    ) -> secret_pb2.DeleteSecretResponse:
        workspace, name = self._place(request.name)
        self._context.store.secrets.delete(workspace.workspace_id, name)
        return secret_pb2.DeleteSecretResponse()

    def _place(self, name: str) -> tuple[Workspace, str]:
        parsed = parse_child(name, "secrets")
        return self._context.workspace(parsed.workspace), parsed.name


@of_record("secret")
def _message(workspace: Workspace, secret: Secret) -> secret_pb2.Secret:
    return secret_pb2.Secret(
        name=str(ChildName(workspace.name, "secrets", secret.name)),
        content_type=secret.content_type,
        create_time=timestamp(secret.created_at),
        update_time=timestamp(secret.updated_at),
    )
