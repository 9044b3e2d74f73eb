"""What a job left becomes artifacts: all of it that is the job's own, once, whatever happens in between."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest
from tests.jobs.conftest import NOW, RunFiles

from localaml.clock import Timer
from localaml.errors import ResourceExhausted
from localaml.jobs.collect import POLL_SECONDS, OutputCollector
from localaml.paths import artifact_key
from localaml.storage.object_store import ObjectInfo


class StepClock:
    """A clock that stands still until `step`: then all sleepers wake, and it is that much later."""

    def __init__(self) -> None:
        self._time = 0.0
        self._wake = asyncio.Event()
        self.asleep = asyncio.Event()

    def now(self) -> datetime:
        return NOW

    def monotonic(self) -> float:
        return self._time

    def call_later(self, seconds: float, callback: Callable[[], None]) -> Timer:
        raise NotImplementedError

    async def sleep(self, seconds: float) -> None:
        self.asleep.set()
        await self._wake.wait()
        self._time += seconds

    async def step(self) -> None:
        """Returns when the sleeper has slept once and sleeps again."""
        await asyncio.wait_for(self.asleep.wait(), 10)
        self.asleep.clear()
        self._wake.set()
        self._wake = asyncio.Event()
        await asyncio.wait_for(self.asleep.wait(), 10)


def _collector(
    files: RunFiles, *watched: str, collect_outputs: bool = True, clock: StepClock | None = None
) -> OutputCollector:
    return OutputCollector(
        key=files.key,
        paths=files.paths,
        store=files.store,
        objects=files.objects,
        clock=clock or StepClock(),
        machine_clock=clock or StepClock(),
        watched=watched or ("logs",),
        collect_outputs=collect_outputs,
    )


def _write(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


# -- at the end ---------------------------------------------------------------------------------------------------


async def test_outputs_logs_and_driver_logs_become_artifacts_and_nothing_else(files: RunFiles) -> None:
    work = files.paths.work
    _write(work / "outputs/model.pkl", b"m" * 100_000)
    _write(work / "outputs/deep/er/äöü model.bin", b"x")
    _write(work / "outputs/empty", b"")
    _write(work / "logs/tb/events", b"e")
    _write(work / "train.py", b"the snapshot's own")
    _write(files.paths.logs / "80_driver_log_rank_0.txt", b"hello\n")
    assert await _collector(files).finish() == []
    assert files.artifacts() == [
        "azureml-logs/80_driver_log_rank_0.txt",
        "logs/tb/events",
        "outputs/deep/er/äöü model.bin",
        "outputs/empty",
        "outputs/model.pkl",
    ]
    assert await files.artifact("outputs/model.pkl") == b"m" * 100_000
    assert await files.artifact("azureml-logs/80_driver_log_rank_0.txt") == b"hello\n"


async def test_files_are_moved_but_those_with_two_names_are_copied(files: RunFiles) -> None:
    single = _write(files.paths.work / "outputs/single", b"1")
    double = _write(files.paths.work / "outputs/double", b"2")
    os.link(double, files.paths.work / "kept")
    inode = single.stat().st_ino
    await _collector(files).finish()
    folder = files.objects.local_folder(artifact_key(files.key, "outputs"))
    assert folder is not None
    assert (folder / "single").stat().st_ino == inode
    assert (files.paths.work / "kept").read_bytes() == b"2"
    assert (folder / "double").stat().st_nlink == 1


async def test_the_live_log_stays_where_its_followers_read_it(files: RunFiles) -> None:
    log = _write(files.paths.logs / "80_driver_log.txt", b"one\n")
    for _ in range(3):
        await _collector(files).finish()
        assert log.read_bytes() == b"one\n"
        assert await files.artifact("azureml-logs/80_driver_log.txt") == b"one\n"
    assert list(files.paths.control.iterdir()) == []
    assert list(files.incoming.iterdir()) == []


async def test_without_output_collection_only_the_driver_logs_are_taken(files: RunFiles) -> None:
    _write(files.paths.work / "outputs/model", b"1")
    _write(files.paths.work / "logs/log", b"1")
    _write(files.paths.logs / "80_driver_log.txt", b"1")
    assert await _collector(files, collect_outputs=False).finish() == []
    assert files.artifacts() == ["azureml-logs/80_driver_log.txt"]


async def test_what_cannot_be_kept_is_left_out_with_a_note(files: RunFiles, tmp_path: Path) -> None:
    outputs = files.paths.work / "outputs"
    _write(outputs / "good", b"good")
    secret = _write(tmp_path / "secret", b"secret")
    (outputs / "inside").symlink_to("../outputs/good")
    (outputs / "outside").symlink_to(secret)
    (outputs / "broken").symlink_to("nowhere")
    (outputs / "circle").symlink_to("circle")
    (outputs / "folder").symlink_to("../logs")
    os.mkfifo(outputs / "pipe")
    with socket.socket(socket.AF_UNIX) as server, pytest.MonkeyPatch.context() as patch:
        patch.chdir(outputs)  # the name of a socket has to be short
        server.bind("socket")
    _write(Path(os.fsdecode(bytes(outputs) + b"/odd-\xff\xfe")), b"odd")
    _write(outputs / "line\nbreak", b"odd")
    _write(outputs / "back\\slash", b"odd")
    notes = await _collector(files).finish()
    assert files.artifacts() == ["outputs/good", "outputs/inside"]
    assert await files.artifact("outputs/inside") == b"good"
    left_out = ("outside", "broken", "circle", "folder", "pipe", "socket", "odd-", "line", "back")
    assert len(notes) == len(left_out)
    for word in left_out:
        assert sum(note.startswith(f"outputs/{word}") for note in notes) == 1, (word, notes)
    assert all(note.isprintable() and note.encode() for note in notes)
    assert secret.read_bytes() == b"secret"


async def test_an_outputs_folder_that_leads_elsewhere_is_not_followed(files: RunFiles, tmp_path: Path) -> None:
    _write(tmp_path / "elsewhere/secret", b"secret")
    (files.paths.work / "outputs").rmdir()
    (files.paths.work / "outputs").symlink_to(tmp_path / "elsewhere")
    notes = await _collector(files).finish()
    assert len(notes) == 1
    assert files.artifacts() == []


async def test_many_notes_are_cut(files: RunFiles) -> None:
    for number in range(50):
        (files.paths.work / "outputs" / f"link-{number:02}").symlink_to("/etc/hostname")
    notes = await _collector(files).finish()
    assert len(notes) == 21
    assert notes[-1] == "… and 30 more."


async def test_a_thousand_files(files: RunFiles) -> None:
    for number in range(1000):
        _write(files.paths.work / f"outputs/{number % 10}/{number}", str(number).encode())
    assert await _collector(files).finish() == []
    assert len(files.store.artifacts.list(files.key, "outputs/", limit=2000)) == 1000


async def test_bytes_whose_row_was_lost_in_a_crash_get_it_back(files: RunFiles) -> None:
    source = _write(files.paths.work / "outputs/model", b"model")
    await files.objects.put_file(artifact_key(files.key, "outputs/model"), source, move=True)
    assert files.artifacts() == []
    assert await _collector(files).finish() == []
    assert await files.artifact("outputs/model") == b"model"


async def test_a_second_time_changes_nothing(files: RunFiles) -> None:
    _write(files.paths.work / "outputs/model", b"model")
    await _collector(files).finish()
    before = files.store.artifacts.list(files.key)
    assert await _collector(files).finish() == []
    assert files.store.artifacts.list(files.key) == before


async def test_a_full_disk_is_told_and_the_rest_is_kept(files: RunFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a", "big", "z"):
        _write(files.paths.work / "outputs" / name, b"1")
    put_file = files.objects.put_file

    async def full(key: str, source: Path, *, move: bool = False) -> ObjectInfo:
        if key.endswith("/big"):
            raise ResourceExhausted("DISK_FULL", "no room")
        return await put_file(key, source, move=move)

    monkeypatch.setattr(files.objects, "put_file", full)
    with pytest.raises(ResourceExhausted):
        await _collector(files).finish()
    assert files.artifacts() == ["outputs/a", "outputs/z"]
    assert (files.paths.work / "outputs/big").exists()


# -- while the job runs -------------------------------------------------------------------------------------------


async def test_watched_folders_are_taken_while_the_job_runs(files: RunFiles) -> None:
    assert POLL_SECONDS <= 1
    clock = StepClock()
    collector = _collector(files, "logs", "./tensorboard/", clock=clock)
    collector.start()
    log = _write(files.paths.work / "logs/train.log", b"epoch 1\n")
    _write(files.paths.work / "tensorboard/run/events", b"e")
    _write(files.paths.work / "outputs/model", b"m")
    await clock.step()
    assert files.artifacts() == ["logs/train.log", "tensorboard/run/events"]
    assert await files.artifact("logs/train.log") == b"epoch 1\n"
    with log.open("ab") as file:
        file.write(b"epoch 2\n")
    await clock.step()
    assert await files.artifact("logs/train.log") == b"epoch 1\nepoch 2\n"
    assert log.exists()
    await collector.finish()
    assert files.artifacts() == ["logs/train.log", "outputs/model", "tensorboard/run/events"]


async def test_what_has_not_changed_is_not_copied_again(files: RunFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = StepClock()
    copied: list[str] = []
    put_file = files.objects.put_file

    async def counting(key: str, source: Path, *, move: bool = False) -> ObjectInfo:
        copied.append(source.name)
        info = await put_file(key, source, move=move)
        return replace(info)

    monkeypatch.setattr(files.objects, "put_file", counting)
    collector = _collector(files, clock=clock)
    collector.start()
    _write(files.paths.work / "logs/a", b"1")
    for _ in range(4):
        await clock.step()
    assert copied == ["a"]
    await collector.close()
    await collector.close()


async def test_a_watched_folder_outside_of_the_work_folder_is_refused_with_a_note(files: RunFiles) -> None:
    notes = await _collector(files, "../control", "/etc", "logs").finish()
    assert len(notes) == 2
    assert "../control" in notes[0]
    assert "/etc" in notes[1]


@pytest.mark.parametrize("replaced", ["logs", "work", "run"])
async def test_a_folder_replaced_by_a_link_takes_nothing_from_elsewhere(
    files: RunFiles, tmp_path: Path, replaced: str
) -> None:
    """Neither copied nor, which would be worse, moved away."""
    outside = tmp_path / "outside"
    for name in ("shadow", "outputs/shadow", "logs/shadow", "work/outputs/shadow"):
        _write(outside / name, b"secret")
    folder = {"logs": files.paths.logs, "work": files.paths.work, "run": files.paths.root}[replaced]
    if folder.exists():
        folder.rename(tmp_path / "aside")
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.symlink_to(outside)
    collector = _collector(files)
    notes = await collector.finish()
    assert files.store.artifacts.list(files.key) == []
    assert notes and all("link" in note for note in notes), notes
    assert len([path for path in outside.rglob("*") if path.is_file()]) == 4


async def test_a_folder_that_becomes_a_link_after_the_look(
    files: RunFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Others of the workspace go on while a run's files are taken."""
    _write(tmp_path / "outside" / "file", b"secret")
    _write(files.paths.work / "outputs" / "folder" / "file", b"mine")
    found = OutputCollector._find_all

    def then_replaced(self: OutputCollector, notes: list[str]) -> object:
        result = found(self, notes)
        (files.paths.work / "outputs" / "folder").rename(tmp_path / "aside")
        (files.paths.work / "outputs" / "folder").symlink_to(tmp_path / "outside")
        return result

    monkeypatch.setattr(OutputCollector, "_find_all", then_replaced)
    notes = await _collector(files).finish()
    assert len(notes) == 1 and "outputs/folder/file" in notes[0]
    assert files.store.artifacts.list(files.key) == []
    assert (tmp_path / "outside" / "file").exists()
