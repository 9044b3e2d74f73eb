"""Names, versions, tags and ids of datasets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from tests.sdk_datasets.conftest import Fill

from azureml.core import Dataset, Workspace
from azureml.data import FileDataset, TabularDataset
from azureml.exceptions import UserErrorException

if TYPE_CHECKING:
    from tests.support.emulator_process import EmulatorProcess


@pytest.fixture
def dataset(fill: Fill) -> FileDataset:
    made: FileDataset = Dataset.File.from_files((fill({"d/x.csv": "a\n1\n"}), "d"))
    return made


def test_registered_and_found_in_every_way(workspace: Workspace, dataset: FileDataset) -> None:
    assert (dataset.id, dataset.name, dataset.version, dataset.tags) == (None, None, None, None)
    registered = dataset.register(workspace, "diabetes dataset", description="training", tags={"k": "v", "n": "1"})
    assert (registered.name, registered.version, registered.description) == ("diabetes dataset", 1, "training")
    assert registered.tags == {"k": "v", "n": "1"} and registered.id
    assert dataset.name is None
    for found in (
        Dataset.get_by_name(workspace, "diabetes dataset"),
        Dataset.get_by_name(workspace, name="diabetes dataset", version=1),
        Dataset.get_by_name(workspace, "diabetes dataset", "latest"),
        Dataset.get_by_id(workspace, registered.id),
        Dataset.get_all(workspace)["diabetes dataset"],
        workspace.datasets["diabetes dataset"],
    ):
        assert type(found) is FileDataset and found == registered
        assert found.to_path() == ["/x.csv"] and found.tags == {"k": "v", "n": "1"}
    assert '"name": "diabetes dataset"' in repr(registered) and str(registered).startswith("FileDataset\n")


def test_versions(workspace: Workspace, dataset: FileDataset) -> None:
    first = dataset.register(workspace, "d")
    assert dataset.register(workspace, "d").id == first.id
    with pytest.raises(UserErrorException, match="create_new_version=True"):
        dataset.take(1).register(workspace, "d")
    second = dataset.take(1).register(workspace, "d", create_new_version=True)
    assert (second.version, Dataset.get_by_name(workspace, "d").version) == (2, 2)
    assert Dataset.get_by_name(workspace, "d", version="1").id == first.id
    assert dataset.register(workspace, "d", create_new_version=True).version == 3
    assert [each.version for each in workspace.datasets.values()] == [3]
    with pytest.raises(UserErrorException, match=r"no version 7.*3, 2, 1"):
        Dataset.get_by_name(workspace, "d", version=7)
    second.unregister_all_versions()
    assert workspace.datasets == {} and second.name is None
    with pytest.raises(UserErrorException, match="No dataset 'd'"):
        Dataset.get_by_name(workspace, "d")
    # Numbers are never given twice: others may have noted them.
    assert dataset.register(workspace, "d").version == 4


def test_tags_and_description(workspace: Workspace, dataset: FileDataset) -> None:
    registered = dataset.register(workspace, "d", tags={"a": "1"})
    registered.add_tags({"b": "2"})
    assert Dataset.get_by_name(workspace, "d").tags == {"a": "1", "b": "2"}
    registered.remove_tags(["a"])
    assert registered.tags == {"b": "2"}
    registered.update(description="new", tags={"c": "3"})
    found = Dataset.get_by_name(workspace, "d")
    assert (found.description, found.tags) == ("new", {"c": "3"})
    found.update(tags={})
    assert (found.description, found.tags) == ("new", {})
    with pytest.raises(UserErrorException, match="not registered"):
        dataset.add_tags({"a": "1"})


def test_tables_come_back_as_tables(workspace: Workspace, fill: Fill) -> None:
    store = fill({"t/a.csv": "x,y\n1,2\n3,4\n"})
    table = Dataset.Tabular.from_delimited_files((store, "t/a.csv")).keep_columns(["y"]).take(1)
    table.register(workspace, "t")
    found = Dataset.get_by_name(workspace, "t")
    assert type(found) is TabularDataset
    assert found.to_pandas_dataframe().to_dict("list") == {"y": [2]}


@pytest.mark.parametrize("name", ["", "a/b", " x", "x" * 256, "a\nb", None, 3])
def test_bad_names(workspace: Workspace, dataset: FileDataset, name: Any) -> None:
    with pytest.raises(UserErrorException):
        dataset.register(workspace, name)


@pytest.mark.parametrize("version", [0, -1, "x", 1.5, True])
def test_bad_versions(workspace: Workspace, dataset: FileDataset, version: Any) -> None:
    dataset.register(workspace, "d")
    with pytest.raises(UserErrorException, match="version"):
        Dataset.get_by_name(workspace, "d", version)


def test_of_another_workspace(workspace: Workspace, dataset: FileDataset, connected: EmulatorProcess) -> None:
    other = Workspace.create("other-ws", subscription_id="tests", resource_group="group", show_output=False)
    try:
        with pytest.raises(UserErrorException, match="belongs to the workspace"):
            dataset.register(other, "d")
        registered = dataset.register(workspace, "d")
        with pytest.raises(UserErrorException, match="No dataset with the id"):
            Dataset.get_by_id(other, str(registered.id))
        assert other.datasets == {}
    finally:
        other.delete()


@pytest.mark.parametrize("name", ["1 bad", "a-b", "", "ä", None])
def test_names_of_inputs(dataset: FileDataset, name: Any) -> None:
    with pytest.raises(UserErrorException, match="Invalid input name"):
        dataset.as_named_input(name)


def test_modes_of_inputs(dataset: FileDataset, fill: Fill) -> None:
    named = dataset.as_named_input("x")
    assert (named.name, named.mode, named.as_mount().mode, named.as_download("here").path_on_compute) == (
        "x",
        "direct",
        "mount",
        "here",
    )
    assert dataset.as_mount().name.startswith("input__")
    table = Dataset.Tabular.from_delimited_files((fill({"t.csv": "a\n1\n"}), "t.csv"))
    with pytest.raises(UserErrorException, match="Only FileDataset supports mount"):
        table.as_named_input("x").as_mount()
