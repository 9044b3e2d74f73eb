"""Folders of nodes that runs name in full."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Any

import pytest

from localaml.domain.job import (
    DataMode,
    DataReference,
    DatasetInput,
    DatasetMode,
    JobSpec,
    Launch,
    PythonEnvironmentSpec,
)
from localaml.domain.node_folders import check_absolute_paths
from localaml.errors import InvalidArgument

RUNS = PurePosixPath("/home/me/.localaml/runs")


def job(**values: Any) -> JobSpec:
    values = {"data_references": (), **values}
    return JobSpec("train.py", (), (), Launch.SINGLE, 1, 1, PythonEnvironmentSpec(), {}, **values)


@pytest.mark.parametrize("mode", list(DataMode))
@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("/etc", "belongs to the system"),
        ("/usr/share/x", "belongs to the system"),
        ("/proc/self/cwd", "belongs to the system"),
        ("/dev/shm", "belongs to the system"),
        ("/lib64", "belongs to the system"),
        ("/libx32/y", "belongs to the system"),
        ("/run/user/0", "belongs to the system"),
        ("//etc", "belongs to the system"),
        ("/tmp/dataset", "outside of the run's folder"),
        ("/data", "outside of the run's folder"),
        ("/home/me/.localaml", "outside of the run's folder"),
        ("/home/me/.localaml/runs", "outside of the run's folder"),
        ("/home/me/.localaml/runs-of-others/x", "outside of the run's folder"),
    ],
)
def test_what_no_run_can_have_is_refused(mode: DataMode, path: str, why: str) -> None:
    with pytest.raises(InvalidArgument, match=why) as caught:
        check_absolute_paths(job(data_references=(DataReference("d", "store", mode, "", path),)), RUNS)
    assert caught.value.reason == "PATH_ON_COMPUTE_NOT_ALLOWED"
    assert "Data reference 'd'" in str(caught.value) and "relative path" in str(caught.value)


@pytest.mark.parametrize("mode", list(DatasetMode))
def test_the_same_for_datasets(mode: DatasetMode) -> None:
    wanted = DatasetInput("images", mode, dataset_id="i", variable="images", path_on_compute="/tmp/dataset")
    with pytest.raises(InvalidArgument, match="Input 'images': path_on_compute '/tmp/dataset'"):
        check_absolute_paths(job(datasets=(wanted,)), RUNS)


@pytest.mark.parametrize("path", ["", "in", "tmp/dataset", "etc", f"{RUNS}/w/r/work/in"])
def test_what_lies_in_a_runs_folder_is_looked_at_later(path: str) -> None:
    check_absolute_paths(job(data_references=(DataReference("d", "store", DataMode.DOWNLOAD, "", path),)), RUNS)
