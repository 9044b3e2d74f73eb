"""What commands print, and which part of a log they choose."""

from __future__ import annotations

import io
from contextlib import redirect_stdout
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localaml.cli.launcher import follow_file
from localaml.cli.output import print_table, show_duration, show_enum, show_size, visible
from localaml.cli.run_logs import main_log
from localaml_proto.v1 import run_pb2


def test_control_characters_do_not_reach_the_terminal() -> None:
    assert visible("a\x1b[2Jb\r\n\x07é") == "a\\x1b[2Jb\\r\\n\\x07é"
    out = io.StringIO()
    with redirect_stdout(out):
        print_table(["NAME"], [["\x1b]0;owned\x07[bold]x[/bold]"]], empty="")
    assert "\x1b" not in out.getvalue()
    assert "\\x1b]0;owned\\x07[bold]x[/bold]" in out.getvalue()


def test_tables_are_never_cut_where_programs_read_them() -> None:
    out = io.StringIO()
    with redirect_stdout(out):
        print_table(["A", "B"], [["x" * 300, "y" * 300]], empty="")
    assert out.getvalue().splitlines()[1].split() == ["x" * 300, "y" * 300]


def test_an_empty_table_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(["A"], [], empty="There is nothing.")
    assert capsys.readouterr() == ("", "There is nothing.\n")


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (-1, "0.0s"),
        (0.44, "0.4s"),
        (59, "59s"),
        (60, "1m 00s"),
        (3599, "59m 59s"),
        (7261, "2h 01m"),
        (356_400, "4d 03h"),
    ],
)
def test_durations(seconds: float, shown: str) -> None:
    assert show_duration(seconds) == shown


@pytest.mark.parametrize(
    ("size", "shown"),
    [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (3 * 1024**3, "3.0 GiB"), (5 * 1024**4, "5.0 TiB")],
)
def test_sizes(size: int, shown: str) -> None:
    assert show_size(size) == shown


def test_states_are_spelt_as_azure_does() -> None:
    assert show_enum(run_pb2.RunState, run_pb2.RUN_STATE_CANCEL_REQUESTED, "RUN_STATE_") == "CancelRequested"


def test_the_main_log_is_that_of_the_script_and_of_rank_0() -> None:
    ranks = [f"azureml-logs/80_driver_log_rank_{rank}.txt" for rank in (10, 2, 0, 1)]
    names = [
        "azureml-logs/20_image_build_log.txt",
        "azureml-logs/60_control_log_rank_0.txt",
        *ranks,
        "logs/99_mine.txt",
    ]
    assert main_log(names) == "azureml-logs/80_driver_log_rank_0.txt"
    servers = [f"azureml-logs/80_driver_log_{role}.txt" for role in ("ps_0", "worker_1", "worker_0")]
    assert main_log(servers) == "azureml-logs/80_driver_log_worker_0.txt"
    assert main_log(ranks[:2]) == "azureml-logs/80_driver_log_rank_2.txt"
    assert main_log(names[:1]) == names[0]
    assert main_log(["logs/99_mine.txt", "azureml-logs/azureml.log"]) is None


@given(content=st.text("a\n", max_size=60).map(str.encode), tail=st.integers(min_value=1, max_value=50))
def test_the_last_lines_of_a_file(tmp_path_factory: pytest.TempPathFactory, content: bytes, tail: int) -> None:
    path = tmp_path_factory.getbasetemp() / "tail.txt"
    path.write_bytes(content)
    got: list[bytes] = []
    follow_file(path, tail=tail, follow=False, write=got.append)
    lines = content.split(b"\n")
    wanted = [line + b"\n" for line in lines[:-1]] + ([lines[-1]] if lines[-1] else [])
    assert b"".join(got) == b"".join(wanted[-tail:])


def test_the_last_lines_of_a_large_file(tmp_path: Path) -> None:
    path = tmp_path / "large.txt"
    lines = [b"%07d " % number + b"x" * (number % 300) + b"\n" for number in range(5_000)]
    path.write_bytes(b"".join(lines))
    got: list[bytes] = []
    follow_file(path, tail=1_500, follow=False, write=got.append)
    assert b"".join(got) == b"".join(lines[-1_500:])
