"""`Keyvault`: the secrets of a workspace."""

from enum import Enum
from typing import TYPE_CHECKING, Any, Dict, Iterable, List, Mapping, Optional, Union

from azureml.exceptions import AzureMLException, UserErrorException

if TYPE_CHECKING:
    from azureml.core.workspace import Workspace


class KeyVaultContentType(Enum):
    """What a secret is, for people: nothing depends on it."""

    not_provided = "application/NotProvided"
    storage_account_access_key = "application/vnd.ms-StorageAccountAccessKey"
    storage_account_server_side_encryption_key = "application/vnd.ms-StorageAccountServerSideEncryptionKey"
    storage_sas_token = "application/vnd.ms-StorageSAStoken"  # noqa: S105 - no token, a kind of it
    storage_connection_string = "application/vnd.ms-StorageConnectionString"
    client_side_encryption_key = "application/vnd.ms-ClientSideEncryptionKey"
    password = "application/vnd.ms-password"  # noqa: S105 - no password, a kind of secret
    servicebus_sas_token = "application/vnd.ms-ServiceBusSAStoken"  # noqa: S105 - see above
    servicebus_connection_string = "application/vnd.ms-ServiceBusConnectionString"
    sql_connection_string = "application/vnd.ms-SQLConnectionString"
    pem_file = "application/x-pem-file"
    bek = "BEK"
    wrapped_bek = "Wrapped BEK"
    pkcs12 = "application/x-pkcs12"
    text_configuration_value = "application/vnd.bag-textConfigurationValue"
    third_party_hosted_secret_no_rotation = "application/vnd.bag-3rdPartyHostedSecretNoRotation"  # noqa: S105
    standard_user_account_test = "application/vnd.bag-StandardUserAccountTest"
    strong_enc_connection_string = "application/vnd.bag-StrongEncConnectionString"
    strong_enc_password_string = "application/vnd.bag-StrongEncPasswordString"  # noqa: S105 - see above
    azure_dev_ops_pat = "application/vnd.bag-AzureDevOpsPAT"


class Keyvault:
    """Secrets by name; names are the same in any case. `workspace.get_default_keyvault()` gives it.

    Values are encrypted in the emulator's state dir. Every program of the state dir's owner can read them here; a job
    reads those that it names (`run.get_secret`).
    """

    def __init__(self, workspace: "Workspace") -> None:
        self.workspace = workspace

    def set_secret(
        self,
        name: str,
        value: str,
        content_type: "Union[KeyVaultContentType, str]" = KeyVaultContentType.not_provided,
    ) -> None:
        """Sets a secret, making or replacing it.

        Args:
            name: 1 to 127 letters, digits or '-'.
            value: text, at most 25600 bytes.

        Raises:
            UserErrorException: the name or the value is not a good one.
        """
        # Never in a message: the value.
        if not isinstance(value, str):
            raise UserErrorException(
                "The value of the secret {!r} must be text, not {}.".format(name, type(value).__name__)
            )
        kind = content_type.value if isinstance(content_type, KeyVaultContentType) else content_type
        self._call(
            "SetSecret",
            {
                "parent": self.workspace._resource_name,
                "secretName": name,
                "value": value,
                "contentType": "" if kind is None else str(kind),
            },
        )

    def set_secrets(self, secrets_batch: Mapping[str, str]) -> None:
        """Sets several: a dict of names and values."""
        if not isinstance(secrets_batch, Mapping):
            raise UserErrorException(
                "secrets_batch must be a dict of name and value, not {}.".format(type(secrets_batch).__name__)
            )
        for name, value in secrets_batch.items():
            self.set_secret(name, value)

    def get_secret(self, name: str) -> Optional[str]:
        """The value of a secret; None when there is none of that name, as in Azure."""
        answer = self._get(name)
        return None if answer is None else str(answer.get("value") or "")

    def get_secrets(self, secrets: Iterable[str]) -> Dict[str, Optional[str]]:
        """The values by name; None for those that there are not."""
        return {name: self.get_secret(name) for name in _names(secrets)}

    def get_secret_content_type(self, name: str) -> Optional[str]:
        """What was given when it was set; None when there is no such secret."""
        answer = self._get(name)
        return None if answer is None else str((answer.get("secret") or {}).get("contentType") or "")

    def delete_secret(self, name: str) -> None:
        """Removes a secret. A missing one is fine."""
        self._call("DeleteSecret", {"name": self._name(name)})

    def delete_secrets(self, secrets: Iterable[str]) -> None:
        """Removes several."""
        for name in _names(secrets):
            self.delete_secret(name)

    def list_secrets(self) -> List[Dict[str, str]]:
        """The names, as ``[{"name": ...}, ...]``; never values."""
        request = {"parent": self.workspace._resource_name}
        pages = self.workspace._client.pages("SecretService", "ListSecrets", request, "secrets")
        return [{"name": str(secret["name"]).rpartition("/")[2]} for secret in pages]

    def _get(self, name: str) -> Optional[Dict[str, Any]]:
        try:
            return self._call("GetSecret", {"name": self._name(name)})
        except AzureMLException as error:
            if error.reason == "SECRET_NOT_FOUND":
                return None
            raise

    def _name(self, name: str) -> str:
        return "{}/secrets/{}".format(self.workspace._resource_name, name)

    def _call(self, method: str, request: Dict[str, Any]) -> Dict[str, Any]:
        return self.workspace._client.call("SecretService", method, request)


def _names(secrets: Iterable[str]) -> List[str]:
    return [secrets] if isinstance(secrets, str) else list(secrets)
