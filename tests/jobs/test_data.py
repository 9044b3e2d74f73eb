"""Data references: mounted, downloaded, uploaded; and never outside of what is theirs."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.jobs.conftest import RunFiles

from localaml.compute.docker.images import with_binds
from localaml.compute.runtime import Bind, ContainerPlan
from localaml.domain.job import DataMode, DataReference, JobSpec, Launch, PythonEnvironmentSpec
from localaml.errors import FailedPrecondition, InvalidArgument, LocalAmlError, NotFound
from localaml.jobs.data import PreparedData, prepare_data, substitute
from localaml.storage.memory import MemoryStore

MOUNT, DOWNLOAD, UPLOAD = DataMode.MOUNT, DataMode.DOWNLOAD, DataMode.UPLOAD


def _spec(*references: DataReference) -> JobSpec:
    return JobSpec(
        script="train.py",
        command=(),
        arguments=(),
        launch=Launch.SINGLE,
        node_count=1,
        processes_per_node=1,
        environment=PythonEnvironmentSpec(),
        environment_variables={},
        data_references=references,
    )


async def _prepare(files: RunFiles, *references: DataReference, adopt: bool = False) -> PreparedData:
    return await prepare_data(_spec(*references), files.store, files.objects, "wid", files.paths, adopt=adopt)


def _fill(folder: Path, content: dict[str, str]) -> None:
    for name, text in content.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


def _path(data: PreparedData, name: str = "x") -> Path:
    return Path(data.variables[f"AZUREML_DATAREFERENCE_{name}"])


# -- substitution -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("$AZUREML_DATAREFERENCE_x", "/data"),
        ("--in=${AZUREML_DATAREFERENCE_x}/train.csv", "--in=/data/train.csv"),
        ("$AZUREML_DATAREFERENCE_xy", "$AZUREML_DATAREFERENCE_xy"),
        ("$HOME/$ENV", "/root/$HOME"),
        ("$UNKNOWN ${UNKNOWN} $ $$ ^a$ 5$", "$UNKNOWN ${UNKNOWN} $ $$ ^a$ 5$"),
        ("$(reboot) `reboot` ${HOME:-x} ~ *", "$(reboot) `reboot` ${HOME:-x} ~ *"),
        ("$AZUREML_DATAREFERENCE_x$AZUREML_DATAREFERENCE_x", "/data/data"),
    ],
)
def test_variables_in_arguments(word: str, expected: str) -> None:
    variables = {"HOME": "/root", "ENV": "$HOME", "AZUREML_DATAREFERENCE_x": "/data"}
    assert substitute(word, variables) == expected


async def test_a_reference_wins_over_a_variable_of_the_users(files: RunFiles) -> None:
    data = await _prepare(files, DataReference("x", "data", MOUNT))
    variables = {"AZUREML_DATAREFERENCE_x": "elsewhere", "A": "1"}
    assert data.substitute("$AZUREML_DATAREFERENCE_x $A", variables) == f"{files.datastore} 1"


# -- mount --------------------------------------------------------------------------------------------------------


async def test_what_containers_have_to_see_are_whole_datastores(files: RunFiles) -> None:
    data = await _prepare(files, DataReference("x", "data", MOUNT, "a"), DataReference("y", "data", MOUNT, "b/c.txt"))
    assert data.folders == (files.datastore,)
    _fill(files.datastore, {"a/b": "x"})
    data = await _prepare(files, DataReference("x", "data", DOWNLOAD, "a"), DataReference("y", "data", UPLOAD, "b"))
    assert data.folders == ()


async def test_binds_below_others_follow_the_nearest() -> None:
    plan = ContainerPlan("image", "python", (Bind(Path("/usr")),))
    store = Path("/usr/state/store")
    binds = [Bind(store, writable=True), Bind(store / "azureml"), Bind(store / "data", writable=True)]
    assert set(with_binds(plan, binds).binds) == {*plan.binds, *binds[:2]}


async def test_a_mount_is_the_datastores_folder_and_writes_are_objects_at_once(files: RunFiles) -> None:
    _fill(files.datastore, {"set/a.csv": "1"})
    data = await _prepare(files, DataReference("x", "data", MOUNT, "set"))
    assert (_path(data) / "a.csv").read_text() == "1"
    (_path(data) / "b.csv").write_text("22")
    assert (await files.objects.stat("localaml/container/set/b.csv")).size_bytes == 2


async def test_a_mounted_file_is_that_file_and_the_root_is_the_whole_datastore(files: RunFiles) -> None:
    _fill(files.datastore, {"data/text8.zip": "z"})
    data = await _prepare(
        files, DataReference("file", "data", MOUNT, "data/text8.zip"), DataReference("root", "data", MOUNT, "/")
    )
    assert _path(data, "file").read_text() == "z"
    assert _path(data, "root") == files.datastore


async def test_a_mount_of_what_is_not_there_can_be_written_to(files: RunFiles) -> None:
    data = await _prepare(
        files, DataReference("folder", "data", MOUNT, "new/v1.0"), DataReference("file", "data", MOUNT, "out/model.pkl")
    )
    assert _path(data, "folder").is_dir()
    _path(data, "file").write_text("model")
    assert (await files.objects.stat("localaml/container/out/model.pkl")).size_bytes == 5


async def test_a_link_in_a_datastore_is_not_followed_out_of_it(files: RunFiles, tmp_path: Path) -> None:
    (files.datastore / "out").symlink_to(tmp_path)
    with pytest.raises(FailedPrecondition) as error:
        await _prepare(files, DataReference("x", "data", MOUNT, "out/state"))
    assert error.value.reason == "DATA_PATH_LEAVES_DATASTORE"


async def test_a_store_without_folders_is_mounted_as_a_view(files: RunFiles) -> None:
    """One view for all references of a run to a datastore; an adopting emulator finds the same paths."""
    objects, prefix = MemoryStore(), "localaml/container/"
    objects.put(prefix + "train/x.csv", b"1,2")
    objects.put(prefix + "model.pkl", b"model")
    places = {"train": "train", "model": "model.pkl", "new": "results", "file": "to/come.txt", "all": "train/"}
    spec = _spec(*(DataReference(name, "data", MOUNT, path) for name, path in places.items()))
    data = await prepare_data(spec, files.store, objects, "wid", files.paths)
    train, model, new, file, same = (_path(data, name) for name in places)
    assert (train / "x.csv").read_text() == "1,2" and same == train
    assert model.read_bytes() == b"model"
    assert new.is_dir() and not file.exists() and file.parent.is_dir()
    file.write_text("made")
    (new / "r.txt").write_text("made")
    adopted = await prepare_data(spec, files.store, objects, "wid", files.paths, adopt=True)
    assert adopted.variables == data.variables
    assert await adopted.upload() == []
    assert [info.key[len(prefix) :] for info in await objects.list(prefix)] == [
        "model.pkl",
        "results/r.txt",
        "to/come.txt",
        "train/x.csv",
    ]


# -- download -----------------------------------------------------------------------------------------------------


async def test_a_download_is_a_copy(files: RunFiles) -> None:
    _fill(files.datastore, {"set/a.csv": "1", "set/deep/b.csv": "2", "settings": "no part of it"})
    data = await _prepare(files, DataReference("x", "data", DOWNLOAD, "set"))
    assert _path(data) == files.paths.mounts / "x"
    assert (_path(data) / "deep/b.csv").read_text() == "2"
    assert not (_path(data) / "tings").exists()
    (_path(data) / "a.csv").write_text("changed")
    assert (files.datastore / "set/a.csv").read_text() == "1"


async def test_where_a_downloaded_file_goes(files: RunFiles) -> None:
    _fill(files.datastore, {"set/a.csv": "1"})
    data = await _prepare(
        files,
        DataReference("plain", "data", DOWNLOAD, "set/a.csv"),
        DataReference("folder", "data", DOWNLOAD, "set/a.csv", "input"),
        DataReference("renamed", "data", DOWNLOAD, "set/a.csv", "./input/train.csv"),
        DataReference("absolute", "data", DOWNLOAD, "set/a.csv", str(files.paths.tmp / "there")),
    )
    assert _path(data, "plain") == files.paths.mounts / "plain" / "a.csv"
    assert _path(data, "folder") == files.paths.work / "input" / "a.csv"
    assert _path(data, "renamed") == files.paths.work / "input" / "train.csv"
    assert _path(data, "absolute") == files.paths.tmp / "there" / "a.csv"
    assert all(Path(path).read_text() == "1" for path in data.variables.values())


async def test_files_that_are_there_are_kept_unless_told_otherwise(files: RunFiles) -> None:
    _fill(files.datastore, {"set/a.csv": "remote", "set/b.csv": "remote"})
    _fill(files.paths.work, {"set/a.csv": "mine"})
    data = await _prepare(files, DataReference("x", "data", DOWNLOAD, "set", "set"))
    assert (files.paths.work / "set/a.csv").read_text() == "mine"
    assert (files.paths.work / "set/b.csv").read_text() == "remote"
    assert len(data.notes) == 1
    assert "overwrite=True" in data.notes[0]
    data = await _prepare(files, DataReference("x", "data", DOWNLOAD, "set", "set", overwrite=True))
    assert (files.paths.work / "set/a.csv").read_text() == "remote"
    assert not data.notes


async def test_adopting_copies_nothing_and_gives_the_same_paths(files: RunFiles) -> None:
    _fill(files.datastore, {"set/a.csv": "1"})
    references = (DataReference("x", "data", DOWNLOAD, "set/a.csv"), DataReference("y", "data", UPLOAD, "o", "result"))
    first = await _prepare(files, *references)
    _path(first).write_text("changed by the job")
    assert (await _prepare(files, *references, adopt=True)).variables == first.variables
    assert _path(first).read_text() == "changed by the job"


async def test_nothing_to_download_is_an_error_that_names_it(files: RunFiles) -> None:
    with pytest.raises(NotFound, match=r"nothing/here.*'data'") as error:
        await _prepare(files, DataReference("x", "data", DOWNLOAD, "nothing/here"))
    assert error.value.reason == "DATA_NOT_FOUND"
    with pytest.raises(NotFound) as unknown:
        await _prepare(files, DataReference("x", "missing", MOUNT))
    assert unknown.value.reason == "DATASTORE_NOT_FOUND"


async def test_a_download_does_not_write_through_a_link_in_the_snapshot(files: RunFiles, tmp_path: Path) -> None:
    _fill(files.datastore, {"set/a.csv": "1"})
    (files.paths.work / "input").symlink_to(tmp_path)
    with pytest.raises(InvalidArgument):
        await _prepare(files, DataReference("x", "data", DOWNLOAD, "set", "input"))
    assert not (tmp_path / "a.csv").exists()


@pytest.mark.parametrize(
    ("reference", "reason"),
    [
        (DataReference("x", "data", DOWNLOAD, "", "/tmp/elsewhere"), "PATH_ON_COMPUTE_NOT_ALLOWED"),
        (DataReference("x", "data", UPLOAD, "", "/etc/passwd"), "PATH_ON_COMPUTE_NOT_ALLOWED"),
        (DataReference("x", "data", DOWNLOAD, "", "../../elsewhere"), "INVALID_PATH"),
        (DataReference("x", "data", MOUNT, "../other-container"), "INVALID_PATH"),
    ],
)
async def test_paths_outside_are_refused(files: RunFiles, reference: DataReference, reason: str) -> None:
    with pytest.raises(LocalAmlError) as error:
        await _prepare(files, reference)
    assert error.value.reason == reason


# -- upload -------------------------------------------------------------------------------------------------------


async def test_a_folder_is_uploaded_at_the_end(files: RunFiles) -> None:
    data = await _prepare(files, DataReference("x", "data", UPLOAD, "results", "out"))
    assert _path(data) == files.paths.work / "out"
    _fill(_path(data), {"a.txt": "1", "deep/b.txt": "2"})
    assert await data.upload() == []
    assert (files.datastore / "results/a.txt").read_text() == "1"
    assert (files.datastore / "results/deep/b.txt").read_text() == "2"


async def test_a_file_is_uploaded_under_its_name_or_the_one_that_was_given(files: RunFiles) -> None:
    data = await _prepare(
        files,
        DataReference("x", "data", UPLOAD, "models", "outputs/model.pkl"),
        DataReference("y", "data", UPLOAD, "models/best.pkl", "outputs/model.pkl"),
        DataReference("z", "data", UPLOAD, "", ""),
    )
    _path(data, "x").write_text("model")
    (_path(data, "z") / "free.txt").write_text("f")
    assert await data.upload() == []
    assert sorted(path.name for path in (files.datastore / "models").iterdir()) == ["best.pkl", "model.pkl"]
    assert (files.datastore / "free.txt").read_text() == "f"


async def test_objects_that_are_there_are_kept_unless_told_otherwise(files: RunFiles) -> None:
    _fill(files.datastore, {"a.txt": "old"})
    _fill(files.paths.work, {"out/a.txt": "new"})
    notes = await (await _prepare(files, DataReference("x", "data", UPLOAD, "", "out"))).upload()
    assert "overwrite=True" in notes[0]
    assert (files.datastore / "a.txt").read_text() == "old"
    await (await _prepare(files, DataReference("x", "data", UPLOAD, "", "out", overwrite=True))).upload()
    assert (files.datastore / "a.txt").read_text() == "new"


async def test_what_the_job_did_not_write_is_a_note(files: RunFiles) -> None:
    data = await _prepare(files, DataReference("x", "data", UPLOAD, "", "outputs/model.pkl"))
    notes = await data.upload()
    assert len(notes) == 1
    assert "'outputs/model.pkl'" in notes[0]


async def test_links_out_of_the_run_are_not_uploaded(files: RunFiles, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("s")
    data = await _prepare(files, DataReference("x", "data", UPLOAD, "", "out"))
    (_path(data) / "link").symlink_to(tmp_path / "secret")
    notes = await data.upload()
    assert "link" in notes[0]
    assert not (files.datastore / "link").exists()
    _path(data).joinpath("link").unlink()
    _path(data).rmdir()
    _path(data).symlink_to(tmp_path)
    assert "leads out" in (await data.upload())[0]
    assert not (files.datastore / "secret").exists()
