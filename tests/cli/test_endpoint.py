"""Finding a running emulator, and telling it from one that was killed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.cli.command_line import CommandLine

from localaml.cli.endpoint import Presence, is_process_alive, look_up, read_endpoint, wait_for_exit
from localaml.cli.failure import CliError

# Nothing listens on port 9 (discard) of a machine of today, and a bind to it needs root.
_NOBODY = "http://127.0.0.1:9"


def _write_endpoint(folder: Path, process_id: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "endpoint.json").write_text(
        json.dumps(
            {
                "http_address": _NOBODY,
                "grpc_address": "127.0.0.1:9",
                "process_id": process_id,
                "token_file": str(folder / "token"),
                "state_dir": str(folder),
                "version": "0.1.0",
                "start_time": "2026-01-01T00:00:00Z",
            }
        )
    )
    (folder / "token").write_text("secret")


def _ended_process() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_no_emulator(tmp_path: Path) -> None:
    assert look_up(tmp_path) == (Presence.NONE, None)
    assert look_up(tmp_path / "no folder") == (Presence.NONE, None)


def test_one_that_was_killed_is_stale(tmp_path: Path) -> None:
    _write_endpoint(tmp_path, _ended_process())
    presence, endpoint = look_up(tmp_path)
    assert presence is Presence.STALE
    assert endpoint is not None and endpoint.http_address == _NOBODY


def test_a_process_id_that_is_now_the_commands_own_is_stale(tmp_path: Path) -> None:
    """As in a container that was killed and is started again; its command line has our name in it."""
    program = (
        "import os, pathlib, sys, tests.cli.test_endpoint as own\n"
        "from localaml.cli.endpoint import look_up\n"
        "own._write_endpoint(pathlib.Path(sys.argv[1]), os.getpid())\n"
        "print(look_up(pathlib.Path(sys.argv[1]))[0])"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "localaml")],
        cwd=root,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == str(Presence.STALE)


def test_a_process_id_that_was_used_again_is_stale(tmp_path: Path) -> None:
    with subprocess.Popen(["sleep", "60"]) as stranger:
        _write_endpoint(tmp_path, stranger.pid)
        try:
            assert look_up(tmp_path)[0] is Presence.STALE
        finally:
            stranger.kill()


def test_one_that_does_not_answer_is_silent(tmp_path: Path) -> None:
    program = "import sys; sys.stdin.read()  # localaml"
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE) as ours:
        _write_endpoint(tmp_path, ours.pid)
        assert look_up(tmp_path)[0] is Presence.SILENT


@pytest.mark.parametrize("content", ["", "{", "[]", '"x"', "{}", '{"http_address": 1}', "\x00"])
def test_a_damaged_file_is_told(tmp_path: Path, content: str) -> None:
    (tmp_path / "endpoint.json").write_text(content)
    with pytest.raises(CliError, match="damaged"):
        read_endpoint(tmp_path)


def test_a_zombie_is_not_alive() -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert not is_process_alive(process.pid)
    process.wait()
    assert not is_process_alive(process.pid)


def test_waiting_for_the_end_of_a_process() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        assert not wait_for_exit(process.pid, 0.05)
        process.kill()
        assert wait_for_exit(process.pid, 10)
    assert wait_for_exit(process.pid, 10)


def test_commands_say_how_to_start_one(cli: CommandLine) -> None:
    for words in (["status"], ["env"], ["stop"], ["init"], ["run", "list"], ["compute", "list"], ["workspace", "list"]):
        told = cli.fail(*words)
        assert "No emulator is running" in told and "localaml start -d" in told


def test_commands_say_that_it_was_killed_and_stop_cleans_up(cli: CommandLine) -> None:
    process_id = _ended_process()
    _write_endpoint(cli.state_dir, process_id)
    assert f"pid {process_id}) was killed" in cli.fail("status")
    assert f"pid {process_id}) was killed" in cli.succeed("stop")
    assert not (cli.state_dir / "endpoint.json").exists()
    assert "No emulator is running" in cli.fail("stop")


def test_an_address_of_the_environment_that_does_not_answer(cli: CommandLine) -> None:
    told = cli.fail("status", LOCALAML_ENDPOINT=_NOBODY)
    assert f"LOCALAML_ENDPOINT={_NOBODY}" in told
    told = cli.fail("run", "list", LOCALAML_ENDPOINT=_NOBODY, LOCALAML_GRPC_ENDPOINT="127.0.0.1:9")
    assert "No emulator answers at 127.0.0.1:9" in told
    assert "such as http://" in cli.fail("status", LOCALAML_ENDPOINT="ftp://127.0.0.1:9", code=2)


def test_a_token_file_that_is_gone(cli: CommandLine) -> None:
    told = cli.fail("status", LOCALAML_ENDPOINT=_NOBODY, LOCALAML_TOKEN_FILE="/no/such/token")
    assert "/no/such/token cannot be read" in told
