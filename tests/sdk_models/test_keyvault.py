"""The key vault through the SDK, against a real emulator: outside of jobs and in them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from tests.sdk_models.conftest import RunScript
from tests.support.emulator_process import EmulatorProcess

from azureml.core import Keyvault
from azureml.core.keyvault import KeyVaultContentType
from azureml.exceptions import UserErrorException

if TYPE_CHECKING:
    from azureml.core import Workspace

VALUE = "s3cr3t-hunter2"


def test_secrets_are_set_read_listed_and_deleted(workspace: Workspace) -> None:
    keyvault = workspace.get_default_keyvault()
    assert isinstance(keyvault, Keyvault)
    assert keyvault.set_secret(name="secret-name", value=VALUE) is None  # type: ignore[func-returns-value]
    keyvault.set_secrets({"other": "1", "third": "2"})
    assert keyvault.get_secret(name="secret-name") == keyvault.get_secret("SECRET-NAME") == VALUE
    assert keyvault.get_secrets(["other", "nope"]) == {"other": "1", "nope": None}
    assert keyvault.list_secrets() == [{"name": "other"}, {"name": "secret-name"}, {"name": "third"}]
    assert keyvault.get_secret("nope") is keyvault.get_secret_content_type("nope") is None
    assert keyvault.get_secret_content_type("other") == "application/NotProvided"
    keyvault.set_secret("other", "3", KeyVaultContentType.password)
    assert keyvault.get_secret_content_type("other") == "application/vnd.ms-password"
    keyvault.delete_secret("third")
    keyvault.delete_secrets(["third", "other"])
    assert keyvault.list_secrets() == [{"name": "secret-name"}]


@pytest.mark.parametrize(
    ("name", "value"), [("not_good", "v"), ("", "v"), ("a" * 128, "v"), ("a", ""), ("a", None), ("a", 7), ("a", b"x")]
)
def test_bad_secrets(workspace: Workspace, name: str, value: Any) -> None:
    with pytest.raises(UserErrorException):
        workspace.get_default_keyvault().set_secret(name, value)
    with pytest.raises(UserErrorException):
        workspace.get_default_keyvault().set_secrets(["a"])  # type: ignore[arg-type]


IN_JOB = """
import sys
from azureml.core import Run
run = Run.get_context()
value = run.get_secret(name="secret-name")
assert run.get_secrets(["secret-name", "nope"]) == {"secret-name": value, "nope": None}
run.log("length", len(value))
keyvault = run.experiment.workspace.get_default_keyvault()
for forbidden in (
    keyvault.list_secrets, lambda: keyvault.delete_secret("secret-name"), lambda: keyvault.set_secret("new", "x")
):
    try:
        forbidden()
    except Exception as error:
        assert "not good for" in str(error), error
    else:
        sys.exit("was allowed")
"""


def test_a_job_reads_what_it_can_name_and_nothing_shows_it(
    workspace: Workspace, run_script: RunScript, connected: EmulatorProcess
) -> None:
    keyvault = workspace.get_default_keyvault()
    keyvault.set_secret("secret-name", VALUE)
    run = run_script(IN_JOB)
    assert run.get_status() == "Completed", run.get_details_with_logs()
    assert run.get_metrics()["length"] == len(VALUE)
    for text in (str(run.get_details_with_logs()), repr(keyvault), repr(workspace), str(workspace.get_details())):
        assert VALUE not in text
    for path in connected.state_dir.rglob("*"):
        if path.is_file() and not path.is_symlink():
            assert VALUE.encode() not in path.read_bytes(), path
