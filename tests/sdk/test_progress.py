"""What a transfer shows: Azure's lines on standard output, how far the bytes are on standard error."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Any

import pytest

from azureml._localaml.progress import Display
from azureml.core import Workspace


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


MIB = 1 << 20


def show(errors: io.StringIO, *, visible: bool = True) -> tuple[Display, io.StringIO, Clock]:
    out, clock = io.StringIO(), Clock()
    return Display("Upload", [30 * MIB, 10 * MIB], visible, out, errors, clock), out, clock


def transfer(display: Display, clock: Clock) -> None:
    """Two files, side by side; the first is sent again after its connection was lost, the second is the same."""
    watcher = display.watcher(["a/one", "a/two"], [30 * MIB, 10 * MIB])
    watcher.started(0)
    watcher.started(1)
    clock.now += 6
    watcher.moved(0, 15 * MIB, 15 * MIB)
    clock.now += 6
    watcher.kept(1)
    clock.now += 6
    watcher.moved(0, 3 * MIB, 3 * MIB)
    clock.now += 6
    watcher.moved(0, 30 * MIB, 27 * MIB)
    watcher.done(0)
    display.finish()


def test_lines_where_there_is_no_terminal() -> None:
    errors = io.StringIO()
    display, out, clock = show(errors)
    transfer(display, clock)
    assert errors.getvalue().splitlines() == [
        "Upload 37 %: 15.0 MiB of 40.0 MiB, 0 of 2 files, 2.5 MiB/s; one 50 %",
        "Upload 62 %: 25.0 MiB of 40.0 MiB, 1 of 2 files, 1.2 MiB/s",
        "Upload 32 %: 13.0 MiB of 40.0 MiB, 1 of 2 files, 1.0 MiB/s; one 10 %",
        "Upload 100 %: 40.0 MiB of 40.0 MiB, 1 of 2 files, 1.9 MiB/s; one 100 %",
        "Upload 100 %: 40.0 MiB of 40.0 MiB, 2 of 2 files, 1.9 MiB/s",
    ]
    assert out.getvalue().splitlines() == [
        "Uploading a/one",
        "Uploading a/two",
        "Target is the same already. Skipping upload of a/two",
        "Uploaded a/one, 1 files out of an estimated total of 2",
        "Uploaded 1 files",
    ]
    assert (display.count, display.unchanged) == (1, 1)


def test_a_line_that_is_drawn_anew_on_a_terminal() -> None:
    errors = Terminal()
    display, _, clock = show(errors)
    transfer(display, clock)
    drawn = [line for line in errors.getvalue().split("\r\033[K") if line]
    assert drawn[0].startswith("[#######.............] Upload 37 %: 15.0 MiB of 40.0 MiB")
    assert drawn[1].startswith("[############........] Upload 62 %")
    # It ends with one line that stays.
    assert "\n" not in "".join(drawn[:-1])
    assert drawn[-1] == "Upload 100 %: 40.0 MiB of 40.0 MiB, 2 of 2 files, 1.9 MiB/s\n"


def test_what_takes_no_time_shows_no_progress() -> None:
    errors = io.StringIO()
    display, out, clock = show(errors)
    watcher = display.watcher(["a", "b"], [30 * MIB, 10 * MIB])
    for index in (0, 1):
        watcher.started(index)
        clock.now += 0.5
        watcher.moved(index, 10 * MIB, 10 * MIB)
        watcher.done(index)
    display.finish()
    assert errors.getvalue() == ""
    assert out.getvalue().endswith("Uploaded 2 files\n")


def test_nothing_is_shown_when_nothing_is_to_be_shown() -> None:
    errors = Terminal()
    display, out, clock = show(errors, visible=False)
    transfer(display, clock)
    assert (errors.getvalue(), out.getvalue()) == ("", "")


def test_a_datastore_shows_how_far_it_is(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from azureml._localaml import progress

    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "big").write_bytes(bytes(48 * MIB))
    (tmp_path / "source" / "small").write_bytes(b"x")
    store: Any = workspace.get_default_datastore()
    monkeypatch.setattr(progress, "_LINE_SECONDS", 0.0)
    store.upload(str(tmp_path / "source"), "data")
    told = capsys.readouterr()
    lines = told.err.splitlines()
    assert any(re.fullmatch(r"Upload \d+ %: .* of 48\.0 MiB, \d of 2 files, .*/s; big \d+ %", line) for line in lines)
    assert lines[-1].startswith("Upload 100 %: 48.0 MiB of 48.0 MiB, 2 of 2 files")
    assert told.out.splitlines()[0] == "Uploading an estimated of 2 files"
    store.download(str(tmp_path / "down"), "data", show_progress=False)
    assert capsys.readouterr() == ("", "")
