"""Which folder puts our `azureml` package, and nothing else, on a job's PYTHONPATH."""

from __future__ import annotations

from pathlib import Path

from localaml.errors import FailedPrecondition


def job_sdk_folder() -> Path:
    """The folder that holds `azureml` for jobs: the copy inside an installed `localaml`, else the checkout's `sdk`.

    A job's Python is not the emulator's: nothing of the emulator's site-packages may reach it, so the SDK is never
    taken from there.

    Raises:
        FailedPrecondition: ``JOB_SDK_MISSING``: the installation is incomplete.
    """
    here = Path(__file__).resolve()
    bundled, checkout = here.parent / "sdk", here.parents[3] / "sdk"
    for folder in (bundled, checkout):
        if (folder / "azureml").is_dir():
            return folder
    raise FailedPrecondition(
        "JOB_SDK_MISSING",
        f"This installation of LocalAML is incomplete: there is no 'azureml' package in {bundled} nor in {checkout}. "
        "Install localaml again.",
    )
