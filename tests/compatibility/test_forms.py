"""Texts that notebooks and scripts look at have the form that azureml-core 1.61 gives them, seen from outside."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from azureml.core import Environment, Run, Workspace
from azureml.core.conda_dependencies import CondaDependencies
from azureml.exceptions import TrainingException, UserErrorException

if TYPE_CHECKING:
    from azureml.data.azure_storage_datastore import AzureBlobDatastore

_OFFLINE = [
    ("log('loss', 0.5)", "Attempted to log scalar metric loss:\n0.5\n"),
    ("log_list('l', [1, 2])", "Attempted to log list metric l:\n[1, 2]\n"),
    ("log_row('r', a=1)", "Attempted to log row metric r:\n{'a': 1}\n"),
    ("log_table('t', {'x': [1]})", "Attempted to log table metric t:\n{'x': [1]}\n"),
    ("log_image('i', path='a.png')", "Attempted to log image metric i:\na.png\n"),
    ("log_confusion_matrix('c', {})", "Attempted to log confusion_matrix metric c:\n{}\n"),
    ("log_accuracy_table('a', {})", "Attempted to log accuracy_table metric a:\n{}\n"),
    ("log_residuals('r', {})", "Attempted to log residual metric r:\n{}\n"),
    ("log_predictions('p', {})", "Attempted to log predictions metric p:\n{}\n"),
    ("upload_file('a', 'b.txt')", "Attempted to track file a at b.txt\n"),
    ("upload_folder('a', 'b')", "Attempted to track folder a at b\n"),
    ("tag('a', 'b')", "Attempted to add tag a with value b\n"),
    ("add_properties({'a': 'b'})", "Attempted to add properties {'a': 'b'}\n"),
    ("complete()", ""),
    ("fail()", "Run failed with error code None:\nNone\n"),
]


@pytest.mark.parametrize(("call", "printed"), [pytest.param(*case, id=case[0]) for case in _OFFLINE])
def test_an_offline_run_prints(
    call: str, printed: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AZUREML_RUN_ID", raising=False)
    run = Run.get_context()
    assert type(run).__name__ == "_OfflineRun"
    assert run.id.startswith("OfflineRun_")
    eval(f"run.{call}", {"run": run})
    assert capsys.readouterr().out == printed


def test_exceptions_as_text() -> None:
    error = TrainingException("bad", inner_exception=ValueError("v"))
    first, second, third, fourth, rest = str(error).split("\n", 4)
    assert (first, second, third, fourth) == (
        "TrainingException:", "\tMessage: bad", "\tInnerException v", "\tErrorResponse ",
    )  # fmt: skip
    assert json.loads(rest) == {"error": {"message": "bad"}}
    assert repr(error) == str(error)
    assert UserErrorException("bad").message == "bad"
    assert json.loads(UserErrorException("bad")._serialize_json()) == {"error": {"code": "UserError", "message": "bad"}}


def test_references_as_text(workspace: Workspace) -> None:
    store: AzureBlobDatastore = workspace.get_default_datastore()
    assert str(store.path("a/b", "mine")) == repr(store.path("a/b", "mine")) == "$AZUREML_DATAREFERENCE_mine"
    assert str(store.as_mount()) == "$AZUREML_DATAREFERENCE_workspaceblobstore"
    assert len(str(store.path("x"))) == len("$AZUREML_DATAREFERENCE_") + 32


def test_a_workspace_as_text(workspace: Workspace) -> None:
    assert repr(workspace) == (
        f"Workspace.create(name={workspace.name!r}, subscription_id='tests', resource_group='group')"
    )


def test_packages_as_text() -> None:
    packages = CondaDependencies.create(conda_packages=["numpy"], pip_packages=["requests"])
    lines = [line for line in packages.serialize_to_string().splitlines() if line and not line.startswith("#")]
    assert lines[0] == "name: project_environment"
    assert "dependencies:" in lines
    assert "- numpy" in lines
    assert lines[lines.index("- pip:") + 1 :][:2] == ["  - azureml-defaults", "  - requests"]
    packages.set_pip_index_url("--index-url https://example.com")
    assert packages.pip_options == ["--index-url https://example.com"]


def test_an_environment_as_text() -> None:
    printed = json.loads(repr(Environment("mine")))
    assert printed["name"] == "mine"
    assert {"docker", "environmentVariables", "python", "spark", "version"} <= set(printed)
    assert {"baseImage", "baseDockerfile", "enabled", "arguments", "sharedVolumes", "shmSize"} <= set(printed["docker"])
    assert printed["python"]["condaDependencies"]["name"] == "project_environment"
