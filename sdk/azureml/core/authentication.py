"""Azure's authentication classes. All are accepted, none logs in: LocalAML knows its owner by a token in its state dir.

The header that they give is the emulator's own: a program that sends it on to the emulator's HTTP address works.
"""

from abc import ABCMeta
from datetime import datetime
from typing import Any, Callable, Dict, NamedTuple, Optional

from azureml.exceptions import AuthenticationException, UserErrorException

__all__ = [
    "AbstractAuthentication",
    "ArmTokenAuthentication",
    "AuthenticationException",
    "AzureCliAuthentication",
    "AzureMLTokenAuthentication",
    "InteractiveLoginAuthentication",
    "MsiAuthentication",
    "ServicePrincipalAuthentication",
    "TokenAuthentication",
]


class Audience:
    """For whom a token is meant."""

    ARM = "ARM"
    AZUREML = "AZUREML"


class AccessToken(NamedTuple):
    """A token and the second since the epoch at which it ends (0: it has no end)."""

    token: str
    expires_on: int


class AbstractAuthentication(metaclass=ABCMeta):  # noqa: B024  # abstract in Azure's interface, without abstract methods
    """Base of all ways to say who one is."""

    def __init__(self, cloud: Optional[str] = None) -> None:
        self._cloud = cloud

    def get_authentication_header(self) -> Dict[str, str]:
        """The HTTP header that the emulator accepts."""
        return {"Authorization": "Bearer " + self._get_token()}

    def get_token(self, *scopes: str, **kwargs: Any) -> "AccessToken":
        """The token that the emulator accepts; scopes make no difference."""
        return AccessToken(self._get_token(), 0)

    def signed_session(self, session: Any = None) -> Any:
        """A `requests` session (a new one when None is given) that sends the header. Needs the package `requests`."""
        if session is None:
            import requests  # type: ignore[import-untyped,unused-ignore]  # optional, with or without stubs

            session = requests.Session()
        session.headers.update(self.get_authentication_header())
        return session

    def _get_token(self) -> str:
        from azureml._localaml.client import get_client

        return get_client().endpoint.token


class InteractiveLoginAuthentication(AbstractAuthentication):
    """Login by a browser in Azure; here nobody is asked."""

    def __init__(self, force: bool = False, tenant_id: Optional[str] = None, cloud: Optional[str] = None) -> None:
        super().__init__(cloud)
        self._tenant_id = tenant_id


class AzureCliAuthentication(AbstractAuthentication):
    """The login of `az`; here `az` is not asked."""


class ServicePrincipalAuthentication(AbstractAuthentication):
    """A service principal's id and password; accepted unseen.

    Args:
        tenant_id: the tenant.
        service_principal_id: or `username`, as SDK 1.0.8 called it.
        service_principal_password: or `password`, as SDK 1.0.8 called it.
    """

    def __init__(
        self,
        tenant_id: str,
        service_principal_id: Optional[str] = None,
        service_principal_password: Optional[str] = None,
        cloud: str = "AzureCloud",
        _enable_caching: bool = True,
        username: Optional[str] = None,
        password: Optional[str] = None,
    ) -> None:
        super().__init__(cloud)
        self._tenant_id = tenant_id
        self._service_principal_id = username if service_principal_id is None else service_principal_id
        secret = password if service_principal_password is None else service_principal_password
        if self._service_principal_id is None or secret is None:
            raise UserErrorException(
                "ServicePrincipalAuthentication needs service_principal_id and service_principal_password."
            )


class MsiAuthentication(AbstractAuthentication):
    """A managed identity; accepted unseen."""

    def __init__(self, cloud: Optional[str] = None, **kwargs: Any) -> None:
        super().__init__(cloud)


class ArmTokenAuthentication(AbstractAuthentication):
    """A token of Azure's resource manager; kept, but not sent to the emulator."""

    def __init__(self, arm_access_token: str, cloud: Optional[str] = None) -> None:
        super().__init__(cloud)
        self.update_arm_access_token(arm_access_token)

    def update_arm_access_token(self, new_arm_access_token: str) -> None:
        """Takes another token."""
        if not new_arm_access_token or not isinstance(new_arm_access_token, str):
            raise UserErrorException("The token must be a string that is not empty.")
        self._arm_access_token = new_arm_access_token


class TokenAuthentication(AbstractAuthentication):
    """Tokens that a function of the caller gives; the function is not needed for the emulator."""

    def __init__(self, get_token_for_audience: Callable[[str], str], cloud: Optional[str] = None) -> None:
        super().__init__(cloud)
        self._get_token_for_audience = get_token_for_audience

    def get_token(self, audience: Any = Audience.ARM, *scopes: str, **kwargs: Any) -> Any:
        """What the caller's function gives for this audience."""
        return self._get_token_for_audience(audience)


class AzureMLTokenAuthentication(AbstractAuthentication):
    """The token of one run: good for that run, and until it ends."""

    EXPIRATION_THRESHOLD_IN_SECONDS = 95
    REFRESH_INTERVAL_IN_SECONDS = 30

    def __init__(
        self,
        azureml_access_token: str,
        expiry_time: Optional[datetime] = None,
        host: Optional[str] = None,
        subscription_id: Optional[str] = None,
        resource_group_name: Optional[str] = None,
        workspace_name: Optional[str] = None,
        experiment_name: Optional[str] = None,
        run_id: Optional[str] = None,
        user_email: Optional[str] = None,
        experiment_id: Optional[str] = None,
        cloud: str = "AzureCloud",
    ) -> None:
        super().__init__(cloud)
        self._host = host
        self._subscription_id = subscription_id
        self._resource_group_name = resource_group_name
        self._workspace_name = workspace_name
        self._experiment_name = experiment_name
        self._run_id = run_id
        self._user_email = user_email
        self._experiment_id = experiment_id
        self.set_token(azureml_access_token, expiry_time)

    @classmethod
    def create(
        cls,
        azureml_access_token: str,
        expiry_time: Optional[datetime],
        host: Optional[str],
        subscription_id: Optional[str],
        resource_group_name: Optional[str],
        workspace_name: Optional[str],
        experiment_name: Optional[str],
        run_id: Optional[str],
        user_email: Optional[str] = None,
        experiment_id: Optional[str] = None,
    ) -> "AzureMLTokenAuthentication":
        """The same as the constructor."""
        return cls(
            azureml_access_token,
            expiry_time=expiry_time,
            host=host,
            subscription_id=subscription_id,
            resource_group_name=resource_group_name,
            workspace_name=workspace_name,
            experiment_name=experiment_name,
            run_id=run_id,
            user_email=user_email,
            experiment_id=experiment_id,
        )

    @property
    def token(self) -> str:
        """The token."""
        return self._token

    @property
    def expiry_time(self) -> Optional[datetime]:
        """When it ends, or None: with its run."""
        return self._expiry_time

    def set_token(self, token: str, expiry_time: Optional[datetime]) -> None:
        """Takes another token."""
        self._token = token
        self._expiry_time = expiry_time

    def _get_token(self) -> str:
        return self._token
