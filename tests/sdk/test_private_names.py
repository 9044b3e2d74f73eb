"""What public projects import of Azure's SDK beyond its documented names: served, or refused by name."""

from __future__ import annotations

import importlib
import importlib.util
import subprocess
import sys

import pytest

from azureml.exceptions import UserErrorException

# Import lines of public projects.
_SERVED = """
import azureml._restclient.snapshots_client
from azureml._restclient.constants import RunStatus, RUN_ORIGIN
import azureml._base_sdk_common.user_agent as user_agent
from azureml._base_sdk_common import _ClientSessionId, __version__ as VERSION
from azureml._base_sdk_common.user_agent import append, get_user_agent
from azureml._base_sdk_common._docstring_wrapper import experimental
from azureml._html.utilities import to_html, make_link
from azureml._common.exceptions import AzureMLException
from azureml.core.model import Dataset, Environment, Experiment, Model, WebserviceException
from azureml.core.run import Run, RunStatus, Environment, Datastore, _OfflineRun, _SubmittedRun
from azureml.core.workspace import Workspace, Dataset, ComputeTarget, Model
from azureml.core.authentication import Audience, AccessToken
from azureml.core.runconfig import Run, ComputeTarget, DataPath, JarLibrary, PyPiLibrary, EggLibrary, MavenLibrary
from azureml.core.databricks import PyPiLibrary
from azureml.data.output_dataset_config import OutputFileDatasetConfig, OutputDatasetConfig
from azureml.data.sql_data_reference import SqlDataReference
"""


def test_what_projects_import() -> None:
    for line in _SERVED.strip().splitlines():
        exec(line, {})


def test_an_attribute_that_nobody_imported() -> None:
    code = (
        "import azureml\nfrom azureml.core import Workspace\n"
        "azureml._restclient.snapshots_client.SNAPSHOT_MAX_SIZE_BYTES = 2000000000\n"
        "import azureml._restclient.snapshots_client as again\nassert again.SNAPSHOT_MAX_SIZE_BYTES == 2000000000\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_states_are_words_of_get_status() -> None:
    from azureml._restclient.constants import RunStatus

    assert RunStatus.COMPLETED == "Completed"
    assert set(RunStatus.get_running_statuses()) == set(RunStatus.list()) - {
        "Completed", "Failed", "Canceled", "CancelRequested", "Finalizing",
    }  # fmt: skip


def test_user_agents_and_tables() -> None:
    from azureml._base_sdk_common import user_agent
    from azureml._html.utilities import make_link, to_html

    user_agent.append("mine", "1.0")
    assert user_agent.get_user_agent().endswith(" mine/1.0")
    html = to_html({"Name": "<b>", "Page": make_link("http://x/?a&b", "here")})
    assert "<td>&lt;b&gt;</td>" in html
    assert '<td><a href="http://x/?a&amp;b" target="_blank" rel="noopener">here</a></td>' in html


@pytest.mark.parametrize(
    ("name", "named", "instead"),
    [
        ("azureml._vendor.azure_storage.blob", "azureml._vendor", "azure-storage-blob"),
        ("azureml._vendor.ruamel.yaml", "azureml._vendor", "ruamel.yaml"),
        ("azureml._restclient.run_client", "azureml._restclient.run_client", "of azureml.core"),
        ("azureml._base_sdk_common.common", "azureml._base_sdk_common.common", "azureml.core.authentication"),
        ("azureml._common._error_definition", "azureml._common._error_definition", "private part"),
        ("azureml._logging", "azureml._logging", "private part"),
        ("azureml._project.project", "azureml._project", "private part"),
        ("azureml.core._experiment_method", "azureml.core._experiment_method", "private part"),
        ("azureml.data._dataset", "azureml.data._dataset", "azureml.core.Dataset"),
        ("azureml.train._estimator_helper", "azureml.train._estimator_helper", "private part"),
    ],
)
def test_all_others_are_refused_by_name(name: str, named: str, instead: str) -> None:
    with pytest.raises(ModuleNotFoundError) as refused:
        importlib.import_module(name)
    text = str(refused.value)
    assert text.startswith(f"LocalAML does not have {named}, a private part")
    assert instead in text
    assert "compatibility.md" in text


def test_public_names_are_found_missing_as_usual() -> None:
    assert importlib.util.find_spec("azureml.mlflow_of_tomorrow") is None
    with pytest.raises(ModuleNotFoundError, match="No module named"):
        importlib.import_module("azureml.nothing")


def test_what_can_be_imported_only() -> None:
    from azureml.core.runconfig import JarLibrary, PyPiLibrary
    from azureml.data.output_dataset_config import OutputFileDatasetConfig
    from azureml.data.sql_data_reference import SqlDataReference

    assert not isinstance("x", OutputFileDatasetConfig)
    for made, name in (
        (lambda: PyPiLibrary("scikit-learn"), "PyPiLibrary"),
        (JarLibrary, "JarLibrary"),
        (lambda: OutputFileDatasetConfig(destination=None), "OutputFileDatasetConfig"),
        (SqlDataReference, "SqlDataReference"),
    ):
        with pytest.raises(UserErrorException, match="LocalAML does not support " + name):
            made()
