"""`scripts/demo` from a checkout: shows what it promises, and leaves nothing, also when it is interrupted."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from pathlib import Path

import pytest
from tests.support.emulator_process import processes_of
from tests.support.waiting import wait_until

ROOT = Path(__file__).parents[2]


@pytest.fixture
def demo_environment(tmp_path: Path, cache_dir: Path) -> dict[str, str]:
    """Its own folder for temporary files: whatever the demo leaves is found there."""
    (tmp_path / "tmp").mkdir()
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("LOCALAML_", "AZUREML_"))}
    return {**kept, "TMPDIR": str(tmp_path / "tmp"), "LOCALAML_CACHE_DIR": str(cache_dir)}


def _assert_nothing_is_left(environment: dict[str, str]) -> None:
    # uv keeps a lock file there.
    left = [path for path in Path(environment["TMPDIR"]).iterdir() if not path.name.startswith("uv-")]
    assert left == []
    mine = f"TMPDIR={environment['TMPDIR']}".encode()
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                working_folder = str((folder / "cwd").readlink())
                variables = (folder / "environ").read_bytes().split(b"\0")
            except OSError:
                continue
            # The jobs work below the state folder, the rest inherits the variable.
            command = (folder / "cmdline").read_bytes()
            assert mine not in variables, command
            assert not working_folder.startswith(environment["TMPDIR"]), command


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_demo(demo_environment: dict[str, str]) -> None:
    done = subprocess.run(
        [ROOT / "scripts" / "demo"], env=demo_environment, capture_output=True, text=True, timeout=280, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    for part in (
        "Streaming azureml-logs/80_driver_log.txt",
        "accuracy with regularization 0.8: 0.9",
        "rank 0 of 2 on node cpu-cluster-0 (local rank 0)",
        "rank 1 of 2 on node cpu-cluster-1 (local rank 0)",
        "nodes of cpu-cluster now: 2 idle",
        "scikit-learn  Completed",
        "Open MPI      Completed",
    ):
        assert part in done.stdout
    assert re.search(r"downloaded    \S+/model\.pkl \([\d,]{5,} bytes\)", done.stdout)
    assert done.stdout.endswith("Stopped.\n")
    _assert_nothing_is_left(demo_environment)


@pytest.mark.slow
@pytest.mark.timeout(200)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_demo_leaves_nothing(
    demo_environment: dict[str, str], tmp_path: Path, number: signal.Signals
) -> None:
    output = tmp_path / "output.txt"
    with output.open("wb") as file:
        process = subprocess.Popen(
            [ROOT / "scripts" / "demo"],
            env=demo_environment,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    wait_until(lambda: "RunId: digits-sklearn" in output.read_text(), 60, "the first job", output.read_text)
    (state_dir,) = Path(demo_environment["TMPDIR"]).glob("localaml-demo.*/state")
    if number == signal.SIGINT:
        # As the terminal does it: to the whole group.
        os.killpg(process.pid, number)
    else:
        process.send_signal(number)
    assert process.wait(timeout=60) == 128 + number, output.read_text()
    assert processes_of(state_dir) == []
    _assert_nothing_is_left(demo_environment)
