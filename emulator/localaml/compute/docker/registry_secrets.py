"""Credentials of registries: who gets them, and how they stay out of texts. Pure."""

from __future__ import annotations

import base64
from urllib.parse import quote, quote_plus

from localaml.compute.docker.image_names import ImageName, registry_host
from localaml.domain.job import RegistryCredentials
from localaml.domain.redaction import redact

# How Docker's own tools name Docker Hub where credentials are concerned.
_HUB_ADDRESS = "https://index.docker.io/v1/"


def credentials_for(name: ImageName, registry: RegistryCredentials | None) -> dict[str, str] | None:
    """What the engine shows to the image's registry; None for nothing.

    Credentials go to the registry that they are for, and to no other: an image that names another one is pulled
    without them.
    """
    if registry is None or not (registry.username or registry.password):
        return None
    if registry.address and registry_host(registry.address).lower() != name.registry.lower():
        return None
    return {
        "username": registry.username,
        "password": registry.password,
        "serveraddress": name.registry or _HUB_ADDRESS,
    }


def without_secrets(text: str, registry: RegistryCredentials | None) -> str:
    """`text` without passwords, in whatever form a registry or an engine may have quoted them."""
    if registry is not None and registry.password:
        password = registry.password
        pair = f"{registry.username}:{password}".encode()
        forms = {
            password,
            quote(password),
            quote(password, safe=""),
            quote_plus(password),
            *(_plain(coded) for raw in (pair, password.encode()) for coded in _encoded(raw)),
        }
        for form in sorted(forms, key=len, reverse=True):
            text = text.replace(form, "***")
    return redact(text)


def _encoded(raw: bytes) -> tuple[bytes, bytes]:
    return base64.b64encode(raw), base64.urlsafe_b64encode(raw)


def _plain(coded: bytes) -> str:
    return coded.decode().rstrip("=")
