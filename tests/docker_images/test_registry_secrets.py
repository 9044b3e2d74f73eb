"""Credentials reach their registry, and no text."""

from __future__ import annotations

import base64
from urllib.parse import quote

import pytest

from localaml.compute.docker.image_names import read_image_name
from localaml.compute.docker.registry_secrets import credentials_for, without_secrets
from localaml.domain.job import RegistryCredentials

PASSWORD = "p&ss/w+rd ä"
REGISTRY = RegistryCredentials("https://x.azurecr.io/", "me", PASSWORD)


def test_credentials_go_to_their_own_registry() -> None:
    found = credentials_for(read_image_name("X.azurecr.io/a"), REGISTRY)
    assert found == {"username": "me", "password": PASSWORD, "serveraddress": "X.azurecr.io"}


def test_and_to_no_other() -> None:
    for name in ("y.azurecr.io/a", "x.azurecr.io.evil.com/a", "a"):
        assert credentials_for(read_image_name(name), REGISTRY) is None


def test_docker_hub_is_meant_where_no_registry_is_named() -> None:
    hub = RegistryCredentials("https://index.docker.io/v1/", "me", PASSWORD)
    found = credentials_for(read_image_name("team/image"), hub)
    assert found is not None and found["serveraddress"] == "https://index.docker.io/v1/"


def test_nothing_is_shown_where_nothing_was_given() -> None:
    assert credentials_for(read_image_name("x.azurecr.io/a"), None) is None
    assert credentials_for(read_image_name("x.azurecr.io/a"), RegistryCredentials("x.azurecr.io")) is None


@pytest.mark.parametrize(
    "form",
    [
        PASSWORD,
        quote(PASSWORD),
        quote(PASSWORD, safe=""),
        base64.b64encode(PASSWORD.encode()).decode(),
        base64.b64encode(f"me:{PASSWORD}".encode()).decode(),
        base64.urlsafe_b64encode(f"me:{PASSWORD}".encode()).decode(),
        f"https://me:{quote(PASSWORD, safe='')}@x.azurecr.io/v2/",
    ],
)
def test_a_password_is_taken_out_in_every_form(form: str) -> None:
    text = without_secrets(f"denied: {form} is wrong", REGISTRY)
    assert PASSWORD not in text and form not in text
    assert text.startswith("denied: ") and text.endswith(" is wrong")


def test_credentials_do_not_show_themselves() -> None:
    assert PASSWORD not in repr(REGISTRY)
