"""Datasets of files: what paths mean, what is registered, how files come out."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.sdk_datasets.conftest import Fill

from azureml.core import Dataset
from azureml.data import FileDataset
from azureml.data.datapath import DataPath
from azureml.data.dataset_error_handling import DatasetExecutionError, DatasetValidationError
from azureml.exceptions import UserErrorException

if TYPE_CHECKING:
    from azureml.core import Workspace

TREE = {
    "d/x.txt": "x",
    "d/.h.txt": "h",
    "d/a/y.txt": "y",
    "d/a/b/z.csv": "z",
    "e/x.txt": "other",
    "e/[1].txt": "brackets",
}


@pytest.mark.parametrize(
    ("path", "files"),
    [
        ("d", ["/.h.txt", "/a/b/z.csv", "/a/y.txt", "/x.txt"]),
        ("d/", ["/.h.txt", "/a/b/z.csv", "/a/y.txt", "/x.txt"]),
        ("d/**", ["/.h.txt", "/a/b/z.csv", "/a/y.txt", "/x.txt"]),
        ("d/x.txt", ["/x.txt"]),
        ("./d//x.txt", ["/x.txt"]),
        ("d/*", ["/.h.txt", "/x.txt"]),
        ("d/*.txt", ["/.h.txt", "/x.txt"]),
        ("d/**/*.txt", ["/.h.txt", "/a/y.txt", "/x.txt"]),
        ("d/*/*.txt", ["/a/y.txt"]),
        ("d/a/**/z.*", ["/b/z.csv"]),
        ("*/x.txt", ["/d/x.txt", "/e/x.txt"]),
        ("d/[w-y].txt", ["/x.txt"]),
        ("d/[!.]*.txt", ["/x.txt"]),
        ("d/?.txt", ["/x.txt"]),
        ("e/[1].txt", ["/[1].txt"]),
        ("", ["/d/.h.txt", "/d/a/b/z.csv", "/d/a/y.txt", "/d/x.txt", "/e/[1].txt", "/e/x.txt"]),
    ],
)
def test_what_paths_mean(fill: Fill, path: str, files: list[str]) -> None:
    assert Dataset.File.from_files((fill(TREE), path)).to_path() == files


def test_all_forms_of_a_path(fill: Fill) -> None:
    store = fill(TREE)
    for path in ((store, "d/a"), [(store, "d/a")], DataPath(store, "d/a"), [DataPath(store, "d/a")], store.path("d/a")):
        assert Dataset.File.from_files(path).to_path() == ["/b/z.csv", "/y.txt"]
    several = Dataset.File.from_files([(store, "d/x.txt"), (store, "e/x.txt"), "http://nowhere.invalid:81/f/g.gz?v=1"])
    assert several.to_path() == [
        "/workspaceblobstore/d/x.txt",
        "/workspaceblobstore/e/x.txt",
        "/http%3A/%2Fnowhere.invalid%3A81/f/g.gz?v=1",
    ]


@pytest.mark.parametrize(
    "path",
    [None, [], 3, "relative/path", "ftp://x/y", ("a", "b"), "https://x.blob.core.windows.net/c/f?sv=1&sig=abc", [None]],
)
def test_what_is_no_path(workspace: Workspace, path: Any) -> None:
    with pytest.raises(UserErrorException):
        Dataset.File.from_files(path)


@pytest.mark.parametrize("path", ["../secret", "d/../../x", "d/[", "d\0x", "a" * 2000])
def test_hostile_paths_are_refused(fill: Fill, path: str) -> None:
    with pytest.raises(UserErrorException):
        Dataset.File.from_files((fill(TREE), path))


def test_data_that_is_not_there(fill: Fill, tmp_path: Path) -> None:
    store = fill(TREE)
    with pytest.raises(DatasetValidationError, match=r"nothing at 'nope/\*\*'.*validate=False"):
        Dataset.File.from_files((store, "nope/**"))
    later = Dataset.File.from_files((store, "nope/**"), validate=False)
    with pytest.raises(UserErrorException, match="nothing at"):
        later.to_path()
    assert later.download(str(tmp_path / "out"), ignore_not_found=True) == []
    fill({"nope/now.txt": "1"})
    assert later.to_path() == ["/now.txt"]


def test_datastores_without_data_are_refused_by_kind(workspace: Workspace) -> None:
    from azureml.core import Datastore

    Datastore.register_azure_data_lake(workspace, "lake", "store", "tenant", "client", "s")
    with pytest.raises(UserErrorException, match="AzureDataLake, whose data LocalAML cannot reach"):
        Dataset.File.from_files((Datastore.get(workspace, "lake"), "x"))


def test_download(fill: Fill, tmp_path: Path) -> None:
    dataset = Dataset.File.from_files((fill(TREE), "d"))
    out = tmp_path / "out"
    paths = dataset.download(str(out))
    assert sorted(paths) == sorted(str(out / name) for name in (".h.txt", "a/b/z.csv", "a/y.txt", "x.txt"))
    assert (out / "a" / "b" / "z.csv").read_text() == "z"
    (out / "x.txt").write_text("changed")
    with pytest.raises(UserErrorException, match="already exists"):
        dataset.download(str(out))
    dataset.download(str(out), overwrite=True)
    assert (out / "x.txt").read_text() == "x"


def test_download_without_a_target(fill: Fill, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = Dataset.File.from_files((fill(TREE), "d")).take(1)
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    with pytest.raises(UserErrorException, match="cannot be fetched"):
        Dataset.File.from_files("http://127.0.0.1:1/gone.txt", validate=False).download()
    assert list(temporary.iterdir()) == []
    (path,) = dataset.download()
    assert Path(path).read_text() == "h"
    assert [Path(path).parent] == list(temporary.iterdir())  # it is the result, and stays


def test_mount_is_a_read_only_view_for_a_while(fill: Fill, tmp_path: Path) -> None:
    dataset = Dataset.File.from_files((fill(TREE), "d/**/*.txt"))
    place = tmp_path / "mounted"
    with dataset.mount(str(place)) as view:
        assert view.mount_point == str(place)
        found = sorted(str(p.relative_to(place)) for p in place.rglob("*") if p.is_file())
        assert found == [".h.txt", "a/y.txt", "x.txt"]
        assert not (place / "x.txt").stat().st_mode & 0o222 and not place.stat().st_mode & 0o222
        if os.geteuid():
            with pytest.raises(PermissionError):
                (place / "x.txt").write_text("no")
    assert not place.exists()
    context = dataset.mount()
    context.start()
    assert Path(context.mount_point, "a", "y.txt").read_text() == "y"
    context.stop()
    context.stop()
    assert not Path(context.mount_point).exists()
    place.mkdir()
    (place / "mine").write_text("mine")
    with pytest.raises(UserErrorException, match="must be an empty folder"):
        dataset.mount(str(place)).start()
    assert (place / "mine").read_text() == "mine"


def test_choosing_files(fill: Fill) -> None:
    dataset = Dataset.File.from_files((fill({f"many/{n:02}": str(n) for n in range(40)}), "many"))
    everything = dataset.to_path()
    assert dataset.take(3).to_path() == everything[:3]
    assert dataset.skip(38).to_path() == everything[38:]
    assert dataset.skip(1).take(2).to_path() == everything[1:3]
    assert dataset.take(0).to_path() == []
    first, second = dataset.random_split(0.5, seed=7)
    assert sorted(first.to_path() + second.to_path()) == everything
    assert 5 < len(first.to_path()) < 35
    assert first.to_path() == dataset.random_split(0.5, seed=7)[0].to_path()
    left, right = dataset.random_split(0.5)
    assert sorted(left.to_path() + right.to_path()) == everything
    assert dataset.take_sample(1.0, 1).to_path() == everything
    assert dataset.take_sample(0.0, 1).to_path() == []


@pytest.mark.parametrize(("method", "value"), [("take", -1), ("take", "a"), ("skip", True), ("random_split", 1.5)])
def test_bad_choices(fill: Fill, method: str, value: Any) -> None:
    dataset = Dataset.File.from_files((fill({"d/x": "1"}), "d"))
    with pytest.raises(ValueError):
        getattr(dataset, method)(value)


def test_files_of_the_web(web: tuple[str, Path], workspace: Workspace, tmp_path: Path) -> None:
    address, folder = web
    (folder / "one.bin").write_bytes(b"1" * 100_000)
    (folder / "two.bin").write_bytes(b"2")
    dataset = Dataset.File.from_files(f"{address}/one.bin")
    assert dataset.to_path() == ["/one.bin"]
    assert Path(dataset.download(str(tmp_path / "a"))[0]).read_bytes() == b"1" * 100_000
    both = Dataset.File.from_files([f"{address}/one.bin", f"{address}/two.bin"])
    place = "/http%3A/%2F" + address.removeprefix("http://").replace(":", "%3A")
    assert both.to_path() == [f"{place}/one.bin", f"{place}/two.bin"]
    first, second = both.random_split(0.5, seed=3)
    stored = [each.register(workspace, name) for each, name in ((first, "first"), (second, "second"))]
    # What this process chooses is what the emulator chooses.
    request = {"parent": workspace._resource_name, "definition": stored[0]._definition}
    told = workspace._client.call("DatasetService", "ListDatasetFiles", request).get("files") or []
    assert ["/" + file["path"] for file in told] == first.to_path()
    with pytest.raises(DatasetExecutionError, match="HTTP status 404"):
        Dataset.File.from_files(f"{address}/missing.bin").download(str(tmp_path / "b"))
    assert not list((tmp_path / "b").glob("*"))
    with pytest.raises(DatasetExecutionError, match=r"cannot be fetched.*put the file into a datastore"):
        Dataset.File.from_files("http://127.0.0.1:9/x.bin").download(str(tmp_path / "c"))


def test_uploading_a_folder(workspace: Workspace, tmp_path: Path) -> None:
    (tmp_path / "src" / "a").mkdir(parents=True)
    (tmp_path / "src" / "x.csv").write_text("1")
    (tmp_path / "src" / "a" / "y.csv").write_text("2")
    (tmp_path / "src" / "a" / "z.txt").write_text("3")
    store = workspace.get_default_datastore()
    dataset = Dataset.File.upload_directory(
        str(tmp_path / "src"), (store, "up"), pattern="**/*.csv", show_progress=False
    )
    assert isinstance(dataset, FileDataset) and dataset.to_path() == ["/a/y.csv", "/x.csv"]
    with pytest.raises(UserErrorException, match="does not exist"):
        Dataset.File.upload_directory(str(tmp_path / "none"), (store, "up"))


@pytest.mark.parametrize(
    "use",
    [
        lambda d: d.as_hdfs(),
        lambda d: d.as_cache(None),
        lambda d: d.filter(None),
        lambda d: d.as_named_input("x").as_hdfs(),
        lambda d: d.mount(bogus=1),
        lambda d: Dataset.File.from_files("http://x/y", partition_format="/{a}/y"),
        lambda d: Dataset.auto_read_files("x"),
        lambda d: Dataset.from_delimited_files("x"),
        lambda d: Dataset("definition"),
    ],
)
def test_what_is_missing_is_refused_by_name(use: Any) -> None:
    dataset = Dataset.File.from_files("http://x/y")
    with pytest.raises(UserErrorException, match="LocalAML does not support"):
        use(dataset)
