"""What a job gets of LocalAML: the `azureml` package and nothing else."""

from __future__ import annotations

import subprocess
import sys

from localaml.jobs.job_sdk import job_sdk_folder

_LOOK = """
import importlib.util
import sys
sys.path.insert(0, sys.argv[1])
import azureml.core
print(azureml.__path__[0], importlib.util.find_spec("localaml"), importlib.util.find_spec("grpc"))
"""


def test_the_folder_gives_azureml_and_not_the_emulator() -> None:
    folder = job_sdk_folder()
    python = getattr(sys, "_base_executable", sys.executable)
    done = subprocess.run(
        [python, "-s", "-c", _LOOK, str(folder)],
        capture_output=True,
        text=True,
        timeout=60,
        env={"HOME": "/nonexistent"},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [str(folder / "azureml"), "None", "None"]
