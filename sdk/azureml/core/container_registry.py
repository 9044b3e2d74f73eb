"""`ContainerRegistry`: where a private base image comes from."""

from typing import Optional

from azureml._run_impl.config_element import ConfigElement, Field


class RegistryIdentity(ConfigElement):
    """A managed identity for a registry. Kept for signatures: LocalAML has no identities."""

    _FIELDS = (Field("resource_id"), Field("client_id"))

    def __init__(self) -> None:
        super().__init__()
        self.resource_id: Optional[str] = None
        self.client_id: Optional[str] = None
        self._seal()


class ContainerRegistry(ConfigElement):
    """Address and credentials of a container registry."""

    _FIELDS = (Field("address"), Field("username"), Field("password"))

    def __init__(self) -> None:
        super().__init__()
        self.address: Optional[str] = None
        self.username: Optional[str] = None
        self.password: Optional[str] = None
        self.registry_identity: Optional[RegistryIdentity] = None
        self._seal()
