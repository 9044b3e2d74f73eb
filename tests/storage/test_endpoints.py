"""Addresses of stores never carry secrets into messages, logs, the state folder or jobs."""

from __future__ import annotations

import pytest
from tests.acceptance.test_object_stores import AWS, start_error

from localaml.errors import FailedPrecondition, LocalAmlError
from localaml.storage.azure_blob import AZURITE_KEY, AzureAccount
from localaml.storage.azure_clouds import check_reachable
from localaml.storage.endpoints import has_secrets, without_secrets
from localaml.storage.s3_client import S3Account


@pytest.mark.parametrize(
    ("endpoint", "shown"),
    [
        ("http://127.0.0.1:9000", "http://127.0.0.1:9000"),
        ("https://s3.example/path/", "https://s3.example/path/"),
        ("http://user:hunter2@host:1/a@b", "http://host:1/a@b"),
        ("user:hunter2@host:1", "host:1"),
        ("http://user:hun@ter2@host", "http://host"),
        ("https://acc.example/?sv=1&sig=hunter2", "https://acc.example/"),
        ("", ""),
    ],
)
def test_what_is_shown(endpoint: str, shown: str) -> None:
    assert without_secrets(endpoint) == shown
    assert has_secrets(endpoint) == (endpoint != shown)


@pytest.mark.parametrize(
    "endpoint", ["http://user:hunter2@127.0.0.1:1", "user:hunter2@127.0.0.1:1", "http://h/?hunter2"]
)
def test_an_endpoint_of_s3_with_credentials_is_refused(endpoint: str) -> None:
    with pytest.raises(FailedPrecondition, match="usual AWS chain") as caught:
        S3Account(endpoint, access_key="a", secret_key="b").client()
    assert caught.value.reason == "S3_ENDPOINT_INVALID" and "hunter2" not in str(caught.value)


@pytest.mark.parametrize("endpoint", ["http://user:hunter2@127.0.0.1:1/acc", "http://127.0.0.1:1/acc?sig=hunter2"])
def test_an_endpoint_of_azure_with_credentials_is_refused(endpoint: str) -> None:
    with pytest.raises(FailedPrecondition) as caught:
        AzureAccount(endpoint, "acc", AZURITE_KEY).client()
    assert caught.value.reason == "AZURE_CREDENTIALS_INVALID" and "hunter2" not in str(caught.value)


def test_an_account_that_does_not_answer_is_named_without_its_signature() -> None:
    account = AzureAccount(
        connection_string="BlobEndpoint=http://127.0.0.1:1/acc;SharedAccessSignature=sv=2021-08-06&sp=r&sig=hunter2"
    )
    with pytest.raises(LocalAmlError, match=r"at http://127\.0\.0\.1:1/acc ") as caught:
        check_reachable(account, "")
    assert "hunter2" not in str(caught.value)


def test_an_emulator_that_does_not_start_with_it_does_not_log_it(tmp_path) -> None:  # type: ignore[no-untyped-def]
    text = start_error(tmp_path, AWS, cloud="s3", s3_endpoint="http://user:hunter2@127.0.0.1:1")
    assert "http://127.0.0.1:1" in text and "hunter2" not in text
    assert not any(b"hunter2" in path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
