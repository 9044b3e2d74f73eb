"""Runs the Python blocks of the document that LocalAML began from, word for word.

What the document presupposes, this set-up supplies, in the open:

- `ds`, `compute_target`, `experiment`: a workspace's default datastore, an AmlCompute cluster of two nodes, an
experiment.
- `./my-sklearn-proj/train.py` and `./my-cntk-proj/train.py`: the document names the folders and shows no scripts.
- `cntk_est`: the document submits this name, but calls its estimator `estimator`; the test binds the one to the other.
- The package `cntk==2.5.1`: exists for Python 3.6 at most. A stand-in wheel of that name and version, made here, is
put where the resolver
  finds it. It holds nothing but its version; the training script uses mpi4py for its communication.
- The image `microsoft/mmlspark:0.12`: nodes are processes here, so the image has no effect, which the run says in a
warning.
"""

from __future__ import annotations

import re
import zipfile
from pathlib import Path
from typing import Any

import pytest
from tests.support.emulator_process import EmulatorProcess

DOCUMENT = Path(__file__).parent / "seed" / "how-to-train-ml-models.de.md"

SKLEARN_SCRIPT = """
import argparse, csv, os, pickle
from azureml.core import Run
from sklearn.linear_model import LogisticRegression

parser = argparse.ArgumentParser()
parser.add_argument("--data-folder")
parser.add_argument("--regularization", type=float)
options = parser.parse_args()
with open(os.path.join(options.data_folder, "points.csv")) as file:
    rows = [[float(cell) for cell in row] for row in csv.reader(file)]
model = LogisticRegression(C=1.0 / options.regularization).fit([row[:-1] for row in rows], [row[-1] for row in rows])
run = Run.get_context()
run.log("regularization", options.regularization)
run.log("accuracy", model.score([row[:-1] for row in rows], [row[-1] for row in rows]))
os.makedirs("outputs", exist_ok=True)
with open("outputs/my_output_file", "wb") as file:
    pickle.dump(model, file)
"""

MPI_SCRIPT = """
import cntk
from mpi4py import MPI
from azureml.core import Run

world = MPI.COMM_WORLD
# Each rank fits y = 3 x on its own half of the data; the gradients are averaged, so all ranks stay equal.
data = [(x, 3.0 * x) for x in range(1 + world.rank, 9, world.size)]
weight = 0.0
for step in range(60):
    gradient = sum(2 * (weight * x - y) * x for x, y in data)
    weight -= 0.002 * world.allreduce(gradient) / world.size
weights = world.gather(weight)
names = world.gather(MPI.Get_processor_name())
print("rank", world.rank, "of", world.size, "on", MPI.Get_processor_name(), "cntk", cntk.__version__)
if world.rank == 0:
    run = Run.get_context()
    run.log("weight", weight)
    run.log_list("all weights", weights)
    run.log_list("nodes", names)
"""


def blocks() -> list[str]:
    return re.findall(r"^```Python\n(.*?)^```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)


def make_cntk_wheel(folder: Path) -> None:
    folder.mkdir()
    with zipfile.ZipFile(folder / "cntk-2.5.1-py3-none-any.whl", "w") as wheel:
        wheel.writestr("cntk.py", '"""Stands in for CNTK in a test."""\n__version__ = "2.5.1"\n')
        wheel.writestr("cntk-2.5.1.dist-info/METADATA", "Metadata-Version: 2.1\nName: cntk\nVersion: 2.5.1\n")
        wheel.writestr("cntk-2.5.1.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr("cntk-2.5.1.dist-info/RECORD", "")


@pytest.mark.timeout(300)
def test_every_block_runs_as_it_stands(
    tmp_path: Path, cache_dir: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    found = blocks()
    assert len(found) == 4, "the document has four Python blocks"
    make_cntk_wheel(tmp_path / "wheels")
    links = {"UV_FIND_LINKS": str(tmp_path / "wheels")}
    with EmulatorProcess(tmp_path / "state", cache_dir, links) as emulator:
        for name, value in emulator.variables().items():
            monkeypatch.setenv(name, value)
        from azureml.core import Experiment, Workspace
        from azureml.core.compute import AmlCompute, ComputeTarget

        workspace = Workspace.create("seed", subscription_id="sub", resource_group="group")
        settings = AmlCompute.provisioning_configuration(vm_size="STANDARD_D2_V2", max_nodes=2)
        compute_target = ComputeTarget.create(workspace, "cpu-cluster", settings)
        compute_target.wait_for_completion(show_output=True)
        ds = workspace.get_default_datastore()
        experiment = Experiment(workspace, "seed")

        work = tmp_path / "user"
        for project, script in (("my-sklearn-proj", SKLEARN_SCRIPT), ("my-cntk-proj", MPI_SCRIPT)):
            (work / project).mkdir(parents=True)
            (work / project / "train.py").write_text(script)
        (work / "data").mkdir()
        points = [f"{x},{y},{int(x + y > 9)}" for x in range(10) for y in range(10)]
        (work / "data" / "points.csv").write_text("\n".join(points))
        ds.upload(str(work / "data"), overwrite=True, show_progress=False)
        monkeypatch.chdir(work)
        names: dict[str, Any] = {"ds": ds, "compute_target": compute_target, "experiment": experiment}

        exec(compile(found[0], "block 1", "exec"), names)
        exec(compile(found[1], "block 2", "exec"), names)
        printed = capfd.readouterr().out.strip().splitlines()[-1]
        assert printed in ("Queued", "Preparing", "Starting", "Running", "Finalizing", "Completed")
        run = names["run"]
        run.wait_for_completion(show_output=True)
        assert run.get_status() == "Completed"
        metrics = run.get_metrics()
        assert metrics["regularization"] == 0.8
        assert 0.9 <= metrics["accuracy"] <= 1.0
        # The sentence on downloads, as the document has it.
        sentence = re.search(r"`(run\.download_file\(.*?\))`", DOCUMENT.read_text(encoding="utf-8"))
        assert sentence is not None
        exec(sentence[1], names)
        assert (work / "my_destination_path").stat().st_size > 100

        exec(compile(found[2], "block 3", "exec"), names)
        names["cntk_est"] = names["estimator"]
        exec(compile(found[3], "block 4", "exec"), names)
        run = names["run"]
        run.wait_for_completion(show_output=True)
        assert run.get_status() == "Completed"
        metrics = run.get_metrics()
        assert metrics["weight"] == pytest.approx(3.0, abs=0.01)
        assert metrics["all weights"] == [metrics["weight"]] * 2
        assert sorted(metrics["nodes"]) == sorted(set(metrics["nodes"])), "two nodes, two names"
        logs = {name for name in run.get_file_names() if name.startswith("azureml-logs/80_driver_log")}
        assert logs == {"azureml-logs/80_driver_log_rank_0.txt", "azureml-logs/80_driver_log_rank_1.txt"}
        assert any("microsoft/mmlspark:0.12" in str(warning) for warning in run.get_details()["warnings"])
        compute_target.delete()
