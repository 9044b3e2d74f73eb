"""The state dir: one emulator at a time, secrets for the owner only, nothing of others touched."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from localaml.errors import FailedPrecondition
from localaml.state_dir import Endpoint, Ports, StateDir, abandoned

ENDPOINT = Endpoint("http://127.0.0.1:1", "127.0.0.1:2", 3, "/t", "/s", "0.1.0", "2026-01-01T00:00:00+00:00")


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def refusal(path: Path, *, ephemeral: bool = False) -> FailedPrecondition:
    with pytest.raises(FailedPrecondition) as caught:
        StateDir.open(path, ephemeral=ephemeral)
    return caught.value


def test_new_state_dir_is_for_its_owner_only(tmp_path: Path) -> None:
    state = StateDir.open(tmp_path / "a/b")
    assert mode(state.paths.root) == 0o700
    for path in (state.paths.token, state.paths.signing_key, state.paths.lock, state.paths.format):
        assert mode(path) == 0o600, path
    assert len(state.token) >= 32
    assert state.token.encode() != state.signing_key
    state.close()
    state.close()


def test_secrets_stay_and_their_mode_is_put_right(tmp_path: Path) -> None:
    state = StateDir.open(tmp_path)
    token, key = state.token, state.signing_key
    state.close()
    state.paths.token.chmod(0o644)
    tmp_path.chmod(0o755)
    again = StateDir.open(tmp_path)
    assert (again.token, again.signing_key) == (token, key)
    assert (mode(again.paths.token), mode(tmp_path)) == (0o600, 0o700)
    again.close()


def test_second_one_is_refused_and_told_who_holds_it(tmp_path: Path) -> None:
    state = StateDir.open(tmp_path)
    error = refusal(tmp_path)
    assert error.reason == "STATE_DIR_IN_USE"
    assert str(os.getpid()) in error.message
    assert error.metadata["process_id"] == str(os.getpid())
    state.close()
    StateDir.open(tmp_path).close()


def test_lock_goes_with_a_killed_process(tmp_path: Path) -> None:
    code = (
        "import os, sys; from pathlib import Path; from localaml.state_dir import StateDir\n"
        "StateDir.open(Path(sys.argv[1])); print('held', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        assert refusal(tmp_path).metadata["process_id"] == str(holder.pid)
        holder.kill()
    StateDir.open(tmp_path).close()


def test_newer_layout_is_refused_and_left_alone(tmp_path: Path) -> None:
    StateDir.open(tmp_path).close()
    (tmp_path / "format").write_text("2\n")
    error = refusal(tmp_path)
    assert error.reason == "STATE_DIR_TOO_NEW"
    assert (tmp_path / "format").read_text() == "2\n"
    (tmp_path / "format").write_text("1\n")
    StateDir.open(tmp_path).close()
    (tmp_path / "format").write_text("nonsense")
    assert refusal(tmp_path).reason == "STATE_DIR_DAMAGED"


def test_folder_with_other_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    tmp_path.chmod(0o755)
    for ephemeral in (False, True):
        error = refusal(tmp_path, ephemeral=ephemeral)
        assert error.reason == "STATE_DIR_NOT_OURS"
        assert "thesis.tex" in error.message
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]
    assert mode(tmp_path) == 0o755


def test_a_log_may_be_there_before(tmp_path: Path) -> None:
    (tmp_path / "emulator.log").touch()
    (tmp_path / "emulator.log.1").touch()
    StateDir.open(tmp_path).close()


def test_unusable_places(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path in (tmp_path / "file", tmp_path / "file/below", Path("/proc/nothing")):
        error = refusal(path)
        assert error.reason == "STATE_DIR_UNUSABLE"
        assert str(path) in error.message


def test_damaged_secret_is_not_used(tmp_path: Path) -> None:
    StateDir.open(tmp_path).close()
    (tmp_path / "token").write_text("")
    assert refusal(tmp_path).reason == "STATE_DIR_DAMAGED"
    (tmp_path / "token").unlink()
    StateDir.open(tmp_path).close()


def test_endpoint_and_ports(tmp_path: Path) -> None:
    state = StateDir.open(tmp_path)
    assert state.last_ports() == Ports()
    state.publish(ENDPOINT, Ports(2, 1))
    written = json.loads(state.paths.endpoint.read_text())
    assert written["http_address"] == "http://127.0.0.1:1" and written["process_id"] == 3
    assert mode(state.paths.endpoint) == 0o600
    state.withdraw()
    state.withdraw()
    assert not state.paths.endpoint.exists()
    state.close()
    again = StateDir.open(tmp_path)
    assert again.last_ports() == Ports(2, 1)
    for nonsense in ("", "{", "[]", '{"grpc": null, "http": 1}'):
        again.paths.ports.write_text(nonsense)
        assert again.last_ports() == Ports()
    again.close()


def test_ephemeral_goes_with_its_emulator(tmp_path: Path) -> None:
    state = StateDir.open(tmp_path / "e", ephemeral=True)
    (state.paths.root / "sub").mkdir()
    state.close()
    assert not (tmp_path / "e").exists()


def test_a_lasting_state_dir_does_not_become_ephemeral(tmp_path: Path) -> None:
    StateDir.open(tmp_path).close()
    assert refusal(tmp_path, ephemeral=True).reason == "STATE_DIR_NOT_EPHEMERAL"
    assert (tmp_path / "token").exists()


def test_abandoned_are_only_ours_and_unheld(tmp_path: Path) -> None:
    def make(name: str) -> StateDir:
        return StateDir.open(tmp_path / name, ephemeral=True)

    killed = make("localaml-killed")
    os.close(killed._lock)  # type: ignore[arg-type]  # what the death of the process does
    held = make("localaml-held")
    other = make("other-name")
    os.close(other._lock)  # type: ignore[arg-type]
    StateDir.open(tmp_path / "localaml-lasting").close()
    (tmp_path / "localaml-foreign").mkdir()
    (tmp_path / "localaml-foreign/ephemeral").symlink_to("/etc/passwd")
    (tmp_path / "localaml-link").symlink_to(tmp_path / "other-name")
    (tmp_path / "localaml-file").touch()
    found = list(abandoned(tmp_path))
    assert [state.paths.root.name for state in found] == ["localaml-killed"]
    for state in found:
        state.close()
    left = sorted(path.name for path in tmp_path.iterdir())
    assert left == [
        "localaml-file",
        "localaml-foreign",
        "localaml-held",
        "localaml-lasting",
        "localaml-link",
        "other-name",
    ]
    held.close()
