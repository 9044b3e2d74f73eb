"""Datasets laid out for a run, on a real disk store."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.jobs.conftest import NOW, RunFiles

from localaml.domain.datasets import DatasetDefinition, DatasetSource, FileSelection, definition_to_json
from localaml.domain.job import DatasetInput, DatasetMode, JobSpec, Launch, PythonEnvironmentSpec
from localaml.domain.models import Asset
from localaml.errors import FailedPrecondition, InvalidArgument, NotFound
from localaml.jobs.datasets import PreparedDatasets, prepare_datasets
from localaml.jobs.remove_tree import remove_tree


def _spec(*inputs: DatasetInput) -> JobSpec:
    return JobSpec("train.py", (), (), Launch.SINGLE, 1, 1, PythonEnvironmentSpec(), {}, (), datasets=inputs)


def _put(files: RunFiles, *sources: DatasetSource, **values: Any) -> None:
    payload = definition_to_json(DatasetDefinition(sources, **values))
    files.store.assets.add(Asset("wid", "dataset", "", "the-id", NOW, payload=payload))


def _input(mode: DatasetMode = DatasetMode.MOUNT, **values: Any) -> DatasetInput:
    return DatasetInput("x", mode, dataset_id="the-id", variable="x", **values)


async def _prepare(files: RunFiles, *inputs: DatasetInput) -> PreparedDatasets:
    return await prepare_datasets(_spec(*inputs), files.store, files.objects, "wid", files.paths)


def _fill(files: RunFiles, *paths: str) -> None:
    for path in paths:
        target = files.datastore / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(path)


def _tree(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


async def test_a_mount_is_a_read_only_view_of_exactly_the_files(files: RunFiles) -> None:
    _fill(files, "d/a.txt", "d/sub/b.txt", "d/c.csv")
    _put(files, DatasetSource("data", "d/**/*.txt"))
    prepared = await _prepare(files, _input())
    place = Path(prepared.variables["x"])
    assert _tree(place) == {"a.txt": "d/a.txt", "sub/b.txt": "d/sub/b.txt"}
    assert place == files.paths.datasets / "x"
    assert prepared.substitute("--in=DatasetConsumptionConfig:x DatasetConsumptionConfig:y") == (
        f"--in={place} DatasetConsumptionConfig:y"
    )
    modes = {oct(path.stat().st_mode & 0o777) for path in (place, place / "sub")}
    assert modes == {"0o555"} and (place / "a.txt").stat().st_mode & 0o777 == 0o444
    # No second name of the datastore's file: whatever happens to it does not reach there.
    original = files.datastore / "d" / "a.txt"
    assert not original.samefile(place / "a.txt") and original.stat().st_nlink == 1
    (place / "a.txt").chmod(0o600)
    (place / "a.txt").write_text("changed")
    assert original.read_text() == "d/a.txt" and original.stat().st_mode & 0o200


async def test_links_in_a_datastore_lead_nowhere(files: RunFiles, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    _fill(files, "d/a.txt")
    (files.datastore / "d" / "link").symlink_to(tmp_path / "secret")
    _put(files, DatasetSource("data", "d"))
    prepared = await _prepare(files, _input(DatasetMode.DOWNLOAD))
    assert _tree(Path(prepared.variables["x"])) == {"a.txt": "d/a.txt"}


async def test_overlapping_sources_and_selections(files: RunFiles) -> None:
    _fill(files, "d/a", "d/b", "d/c")
    selections = (FileSelection("skip", count=1),)
    _put(files, DatasetSource("data", "d/a"), DatasetSource("data", "d"), selections=selections)
    prepared = await _prepare(files, _input())
    assert sorted(_tree(Path(prepared.variables["x"]))) == ["data/d/a", "data/d/b", "data/d/c"]


async def test_a_folder_with_one_file_stays_a_folder(files: RunFiles) -> None:
    _fill(files, "d/a.txt")
    _put(files, DatasetSource("data", "d"))
    prepared = await _prepare(files, _input())
    assert Path(prepared.variables["x"]).is_dir()


async def test_a_download_keeps_what_is_there_unless_told(files: RunFiles) -> None:
    _fill(files, "d/a.txt", "d/b.txt")
    _put(files, DatasetSource("data", "d"))
    (files.paths.work / "in").mkdir()
    (files.paths.work / "in" / "a.txt").write_text("mine")
    prepared = await _prepare(files, _input(DatasetMode.DOWNLOAD, path_on_compute="in"))
    assert _tree(files.paths.work / "in") == {"a.txt": "mine", "b.txt": "d/b.txt"}
    assert len(prepared.notes) == 1 and "1 file(s) were there already" in prepared.notes[0]
    await _prepare(files, _input(DatasetMode.DOWNLOAD, path_on_compute="in", overwrite=True))
    assert _tree(files.paths.work / "in") == {"a.txt": "d/a.txt", "b.txt": "d/b.txt"}
    with pytest.raises(FailedPrecondition) as caught:
        await _prepare(files, _input(path_on_compute="in"))
    assert caught.value.reason == "PATH_ON_COMPUTE_TAKEN"


@pytest.mark.parametrize("place", ["/etc/x", "/tmp"])
async def test_places_of_others(files: RunFiles, place: str) -> None:
    _fill(files, "d/a.txt")
    _put(files, DatasetSource("data", "d"))
    with pytest.raises(InvalidArgument) as caught:
        await _prepare(files, _input(path_on_compute=place))
    assert caught.value.reason == "PATH_ON_COMPUTE_NOT_ALLOWED"


async def test_a_link_of_the_snapshot_does_not_lead_out(files: RunFiles, tmp_path: Path) -> None:
    _fill(files, "d/a.txt")
    _put(files, DatasetSource("data", "d"))
    outside = tmp_path / "outside"
    outside.mkdir()
    (files.paths.work / "in").symlink_to(outside)
    for mode in (DatasetMode.MOUNT, DatasetMode.DOWNLOAD):
        with pytest.raises(InvalidArgument):
            await _prepare(files, _input(mode, path_on_compute="in"))
    assert not list(outside.iterdir())


async def test_direct_is_the_id_and_needs_no_data(files: RunFiles) -> None:
    _put(files, DatasetSource("data", "nothing"))
    prepared = await _prepare(files, _input(DatasetMode.DIRECT))
    assert prepared.variables["x"] == "the-id" and prepared.substitute("DatasetConsumptionConfig:x") == "the-id"
    with pytest.raises(NotFound) as caught:
        await _prepare(files, _input())
    assert caught.value.reason == "DATA_NOT_FOUND"


def test_removing_what_was_closed(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept").write_text("kept")
    outside.chmod(0o500)
    folder = tmp_path / "run" / "a" / "b"
    folder.mkdir(parents=True)
    (folder / "file").write_text("x")
    (folder / "link").symlink_to(outside)
    for each in (folder, folder.parent, tmp_path / "run"):
        each.chmod(0o000 if each.name == "b" else 0o500)
    remove_tree(tmp_path / "run")
    remove_tree(tmp_path / "run")
    assert not (tmp_path / "run").exists()
    assert (outside / "kept").exists() and outside.stat().st_mode & 0o777 == 0o500
    outside.chmod(0o700)
