"""The key vault: what is stored is encrypted, and bound to its place."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from typing import Any

import pytest
from tests.services.harness import WORKSPACE, Emulated

from localaml.errors import FailedPrecondition, InvalidArgument, NotFound
from localaml.services.sealing import SecretSealer
from localaml_proto.v1 import resources_pb2
from localaml_proto.v1 import secret_pb2 as s

VALUE = "hunter2-ü"


async def _set(emulator: Emulated, name: str = "name", value: str = VALUE, **more: str) -> s.Secret:
    request = s.SetSecretRequest(parent=WORKSPACE, secret_name=name, value=value, **more)
    made: s.Secret = await emulator.call("SecretService/SetSecret", request)
    return made


async def _get(emulator: Emulated, name: str = "name") -> s.GetSecretResponse:
    request = s.GetSecretRequest(name=f"{WORKSPACE}/secrets/{name}")
    found: s.GetSecretResponse = await emulator.call("SecretService/GetSecret", request)
    return found


async def test_a_secret_comes_back_and_lies_encrypted(emulator: Emulated) -> None:
    made = await _set(emulator, content_type="text")
    assert (made.name, made.content_type) == (f"{WORKSPACE}/secrets/name", "text")
    assert (await _get(emulator, "NAME")).value == VALUE
    again = await _set(emulator, "Name", "other")
    assert (again.name, again.create_time) == (made.name, made.create_time)
    assert (await _get(emulator)).value == "other"
    connection = sqlite3.connect(emulator.paths.metadata)
    (sealed,) = connection.execute("SELECT sealed FROM secrets").fetchone()
    connection.close()
    assert b"other" not in sealed
    for file in emulator.paths.root.rglob("*"):
        if file.is_file():
            assert b"hunter2" not in file.read_bytes(), file


async def test_equal_values_look_different_and_open_only_in_their_place(emulator: Emulated) -> None:
    await _set(emulator, "a")
    await _set(emulator, "b")
    workspace_id = await emulator.workspace_id()
    secrets = emulator.store.secrets
    a, b = secrets.get(workspace_id, "a"), secrets.get(workspace_id, "b")
    assert a.sealed != b.sealed
    secrets.put(replace(b, sealed=a.sealed))
    with pytest.raises(FailedPrecondition) as caught:
        await _get(emulator, "b")
    assert caught.value.reason == "SECRET_UNREADABLE"
    with pytest.raises(FailedPrecondition):
        SecretSealer(b"another key").open(workspace_id, "a", a.sealed)
    for damaged in (b"", b"\x01", a.sealed[:-1], b"\x02" + a.sealed[1:]):
        with pytest.raises(FailedPrecondition):
            SecretSealer(b"key").open(workspace_id, "a", damaged)


async def test_listing_and_deleting(emulator: Emulated) -> None:
    for name in ("b", "A", "c"):
        await _set(emulator, name)
    request = s.ListSecretsRequest(parent=WORKSPACE, page=resources_pb2.PageRequest(page_size=2))
    first = await emulator.call("SecretService/ListSecrets", request)
    request.page.page_token = first.next_page_token
    rest = await emulator.call("SecretService/ListSecrets", request)
    names = [secret.name.rpartition("/")[2] for secret in [*first.secrets, *rest.secrets]]
    assert names == ["A", "b", "c"]
    assert VALUE not in str(first)
    for _ in range(2):
        await emulator.call("SecretService/DeleteSecret", s.DeleteSecretRequest(name=f"{WORKSPACE}/secrets/a"))
    with pytest.raises(NotFound) as caught:
        await _get(emulator, "a")
    assert caught.value.reason == "SECRET_NOT_FOUND"


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"name": "a_b"}, "INVALID_NAME"),
        ({"name": ""}, "INVALID_NAME"),
        ({"name": "x" * 128}, "INVALID_NAME"),
        ({"name": "../x"}, "INVALID_NAME"),
        ({"value": ""}, "SECRET_SIZE_INVALID"),
        ({"value": "ü" * 12_801}, "SECRET_SIZE_INVALID"),
        ({"content_type": "x" * 256}, "SECRET_CONTENT_TYPE_INVALID"),
    ],
)
async def test_what_cannot_be_a_secret(emulator: Emulated, values: dict[str, Any], reason: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        await _set(emulator, **values)
    assert caught.value.reason == reason
    assert VALUE not in caught.value.message
    await _set(emulator, "most", "ü" * 12_800)
