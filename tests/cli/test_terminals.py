"""A terminal gets colours and bars of progress of jobs, and nothing else that it would obey."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.cli.command_line import CommandLine
from tests.cli.test_commands import submit
from tests.support.terminal import on_a_terminal

from localaml.cli.terminal import HarmlessBytes, HarmlessText

# A title, the clipboard, a question that the terminal types an answer to, a device control string, an application
# command, the cursor, the alternate screen, a full reset, a bell, C1 controls as characters and as bytes.
HOSTILE = [
    "\x1b]0;title\x07",
    "\x1b]52;c;cm0gLXJmIH4=\x1b\\",
    "\x1b[6n",
    "\x1bP+q544e\x1b\\",
    "\x1b_application\x1b\\",
    "\x1b[2J\x1b[H",
    "\x1b[1A",
    "\x1b[?1049h",
    "\x1bc",
    "\x1b[>4;2m",
    "\x07",
    "\x9b6n",
    "\x9d0;title\x9c",
    "\u202etxt.exe",
]
BARS = "\r 50%|\u2588\u2588  | 1/2\r100%|\u2588\u2588\u2588\u2588| 2/2\x1b[K\n\x1b[1;38;5;196mred\x1b[0m\tb\x08c\n"
# What a terminal obeys.
OBEYED = re.compile(r"[\x00-\x07\x0b\x0c\x0e-\x1a\x1c-\x1f\x7f-\x9f\u202a-\u202e]|\x1b(?!\[[0-9;:]*m|\[[0-2]?K)")


def show(data: bytes) -> str:
    text = HarmlessBytes()
    return (text.feed(data) + text.end()).decode()


@pytest.mark.parametrize("text", HOSTILE)
def test_what_a_terminal_would_obey_is_spelled_out(text: str) -> None:
    shown = show(f"a{text}b".encode())
    assert not OBEYED.search(shown)
    assert shown.isprintable()
    for char in set(text):
        if not char.isprintable():
            shown = shown.replace(char.encode("unicode_escape").decode(), char)
    assert shown == f"a{text}b"  # and nothing is lost


def test_bytes_that_are_no_utf_8_are_spelled_out() -> None:
    assert show(b"\x9b6n \xff \xc3") == r"\x9b6n \xff \xc3"


def test_progress_and_colours_stay() -> None:
    assert show(BARS.encode()) == BARS
    assert show(b"a\r\n") == "a\r\n"


def test_colours_end_with_the_text() -> None:
    assert show(b"\x1b[8mhidden") == "\x1b[8mhidden\x1b[0m"
    assert show(b"\x1b[1mbold\x1b[0m") == "\x1b[1mbold\x1b[0m"


_TEXTS = st.lists(st.one_of(st.sampled_from([*HOSTILE, BARS, "\x1b", "\x1b["]), st.text(max_size=5))).map("".join)


@settings(deadline=None)
@given(_TEXTS, st.lists(st.integers(0, 200), max_size=5))
def test_it_does_not_matter_where_a_text_is_cut(text: str, cuts: list[int]) -> None:
    data = text.encode()
    pieces = HarmlessBytes()
    shown, begin = b"", 0
    for end in [*sorted(cuts), len(data)]:
        shown += pieces.feed(data[begin : max(begin, end)])
        begin = max(begin, min(end, len(data)))
    shown += pieces.end()
    assert shown.decode() == show(data)
    assert not OBEYED.search(shown.decode())


def test_what_may_be_a_colour_waits_for_its_end() -> None:
    text = HarmlessText()
    assert (text.feed("a\x1b"), text.feed("[3"), text.feed("1mred")) == ("a", "", "\x1b[31mred")
    assert text.feed("\x1b[" + "1" * 100) == r"\x1b[" + "1" * 100


@pytest.fixture(scope="module")
def hostile(running: CommandLine) -> str:
    lines = "".join(f"print({text!r})\n" for text in HOSTILE)
    script = f"import sys\nsys.stdout.reconfigure(encoding='utf-8')\n{lines}print({BARS!r}, end='')\n"
    script += "from azureml.core import Run\nrun = Run.get_context()\n"
    script += f"run.fail(error_details={''.join(HOSTILE)!r})\nsys.exit(1)\n"
    return submit(running, "hostile", script, "--wait")


@pytest.fixture
def shared(running: CommandLine, hostile: str) -> Iterator[tuple[CommandLine, str]]:
    yield running, hostile


def _terminal(cli: CommandLine, *words: str) -> str:
    code, sent = on_a_terminal(cli.words(*words), cli.environment, cli.home)
    assert code == 0, sent
    return sent.decode().replace("\r\n", "\n")


def test_a_log_on_a_terminal(shared: tuple[CommandLine, str]) -> None:
    cli, run_id = shared
    for words in (("run", "logs", run_id), ("run", "logs", "-f", run_id)):
        shown = _terminal(cli, *words)
        assert not OBEYED.search(shown)
        assert r"\x1b]0;title\x07" in shown
        assert BARS in shown


def test_a_log_that_is_wanted_as_it_is(shared: tuple[CommandLine, str]) -> None:
    cli, run_id = shared
    assert HOSTILE[0] in _terminal(cli, "run", "logs", "--raw", run_id)
    for words in (("run", "logs", run_id), ("run", "logs", "--raw", run_id)):
        done = subprocess.run(cli.words(*words), env=cli.environment, cwd=cli.home, capture_output=True, check=True)
        assert HOSTILE[0].encode() in done.stdout


@pytest.mark.parametrize("words", [("run", "list"), ("run", "show", "RUN"), ("events", "--run", "RUN"), ("logs",)])
def test_all_else_on_a_terminal(shared: tuple[CommandLine, str], words: tuple[str, ...]) -> None:
    cli, run_id = shared
    shown = _terminal(cli, *(run_id if word == "RUN" else word for word in words))
    assert not OBEYED.search(shown)


def test_an_error_on_a_terminal(running: CommandLine) -> None:
    words = running.words("run", "logs", f"no-{HOSTILE[2]}")
    code, sent = on_a_terminal(words, running.environment, running.home)
    assert code != 0
    assert not OBEYED.search(sent.decode())


_SDK = """
import sys
from azureml.core import Workspace
workspace = Workspace.from_config()
run = workspace.get_run(sys.argv[1])
run.wait_for_completion(show_output=True, raise_on_error=False)
"""


def test_the_log_that_the_sdk_shows(shared: tuple[CommandLine, str]) -> None:
    cli, run_id = shared
    _, sent = on_a_terminal([sys.executable, "-c", _SDK, run_id], cli.environment, cli.home)
    shown = sent.decode().replace("\r\n", "\n")
    assert not OBEYED.search(shown)
    assert r"\x1b]0;title\x07" in shown and BARS in shown


def test_a_notebook_gets_the_log_as_it_is(shared: tuple[CommandLine, str], tmp_path: Path) -> None:
    cli, run_id = shared
    done = subprocess.run([sys.executable, "-c", _SDK, run_id], env=cli.environment, cwd=cli.home, capture_output=True)
    assert HOSTILE[0].encode() in done.stdout
