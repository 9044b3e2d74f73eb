"""References to data, without an emulator."""

from __future__ import annotations

import re
from typing import Any

import pytest

from azureml.data.azure_storage_datastore import AzureBlobDatastore
from azureml.data.data_reference import DataReference
from azureml.data.datapath import DataPath, DataPathComputeBinding
from azureml.exceptions import UserErrorException


@pytest.fixture
def datastore() -> AzureBlobDatastore:
    workspace: Any = None  # nothing here asks it
    return AzureBlobDatastore(workspace, "store", "container", "account")


def facts(reference: DataReference) -> tuple[Any, ...]:
    return reference.path_on_datastore, reference.mode, reference.path_on_compute, reference.overwrite


def test_a_reference_with_a_path_has_a_name_of_its_own(datastore: AzureBlobDatastore) -> None:
    reference = datastore.path("a/b")
    assert re.fullmatch(r"\$AZUREML_DATAREFERENCE_[0-9a-f]{32}", str(reference))
    assert repr(reference) == str(reference) == f"{reference}"
    assert facts(reference) == ("a/b", "mount", None, False)
    assert datastore.path("a/b").data_reference_name != reference.data_reference_name


@pytest.mark.parametrize("path", [None, "", ".", "/"])
def test_the_whole_datastore_is_named_after_it(datastore: AzureBlobDatastore, path: str | None) -> None:
    assert str(datastore.path(path)) == "$AZUREML_DATAREFERENCE_store"


def test_modes_keep_name_and_place(datastore: AzureBlobDatastore) -> None:
    reference = datastore.path("a", data_reference_name="data")
    assert facts(reference.as_mount()) == ("a", "mount", None, False)
    assert facts(reference.as_download("x", overwrite=True)) == ("a", "download", "x", True)
    assert facts(reference.as_upload("y")) == ("a", "upload", "y", False)
    assert reference.as_upload().data_reference_name == "data"
    assert facts(reference.path("b/")) == ("a/b", "mount", None, False)
    assert reference.path("b").data_reference_name != "data"


def test_the_old_forms_of_datastores(datastore: AzureBlobDatastore) -> None:
    assert facts(datastore.as_mount()) == (None, "mount", None, False)
    assert facts(datastore.as_download("p")) == (None, "download", "p", False)
    assert facts(datastore.as_upload("p")) == (None, "upload", "p", False)


def test_bad_ones_are_refused(datastore: AzureBlobDatastore) -> None:
    with pytest.raises(UserErrorException, match="'copy'"):
        DataReference(datastore, mode="copy")
    nothing: Any = "store"
    with pytest.raises(UserErrorException, match="datastore"):
        DataReference(nothing)


def test_to_config_is_the_form_of_run_configurations(datastore: AzureBlobDatastore) -> None:
    config = datastore.path("a").as_download("x", overwrite=True).to_config()
    assert config.data_store_name == "store"
    assert (config.mode, config.path_on_data_store, config.path_on_compute) == ("download", "a", "x")
    assert config.overwrite is True


def test_a_data_path_becomes_a_reference(datastore: AzureBlobDatastore) -> None:
    path = DataPath(datastore, "a/b")
    assert (path.datastore_name, path.path_on_datastore) == ("store", "a/b")
    reference = DataReference.create("name", path, DataPathComputeBinding("download", "x", True))
    assert reference.data_reference_name == "name"
    assert facts(reference) == ("a/b", "download", "x", True)
    assert DataPath.create_from_data_reference(reference).path_on_datastore == "a/b"
    with pytest.raises(ValueError, match="datapath_compute_binding"):
        path.create_data_reference()
    with pytest.raises(ValueError, match="datastore"):
        DataPath()


def test_a_datastore_shows_itself_as_azures_does(datastore: AzureBlobDatastore) -> None:
    assert '"account_name": "account"' in repr(datastore)
    assert (datastore.datastore_type, datastore.name, datastore.is_sas) == ("AzureBlob", "store", False)
