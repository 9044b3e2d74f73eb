"""The distributed estimator of the document that LocalAML began from, with the real CNTK 2.5.1 over two nodes.

CNTK has wheels for Python 3.5 and 3.6 alone, and asks for the libraries of Open MPI 1.10. What this test supplies: a
Python 3.6 of this machine; the day of the document (4 December 2018) as the day of packages; the C++ bindings of the
system's Open MPI 4.1 (Debian's package libopenmpi3), as the wheel beside the emulator has none; a training script, as
the document shows none; and the name `cntk_est`, which the document submits.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from tests.acceptance.test_seed_document import blocks
from tests.support.emulator_process import EmulatorProcess
from tests.support.old_pythons import need_python

from localaml.jobs.environments.open_mpi_names import system_folders

DAY = "2018-12-04"
REQUIRED = "required"
# Each rank has data of its own; the gradients meet in CNTK's own data-parallel learner.
SCRIPT = """
import os, sys
import cntk
import numpy
from cntk.train import distributed
from azureml.core import Run

rank, size = distributed.Communicator.rank(), distributed.Communicator.num_workers()
x, y = cntk.input_variable(2), cntk.input_variable(1)
model = cntk.layers.Dense(1)(x)
loss = cntk.squared_error(model, y)
rate = cntk.learning_parameter_schedule(0.1)
learner = distributed.data_parallel_distributed_learner(cntk.sgd(model.parameters, rate))
trainer = cntk.Trainer(model, (loss, loss), [learner])
random = numpy.random.RandomState(rank)
for step in range(400):
    points = random.rand(32, 2).astype("float32")
    trainer.train_minibatch({x: points, y: points.dot([[2.0], [3.0]]).astype("float32") + 1})
weights = [float(weight) for weight in model.W.value.ravel()]
print("rank", rank, "of", size, "cntk", cntk.__version__, "python", sys.version.split()[0], "weights", weights)
run = Run.get_context()
if rank == 0:
    run.log_list("weights", weights)
    run.log("bias", float(model.b.value))
    run.log("ranks", size)
    run.log("cntk", cntk.__version__)
    model.save("outputs/model.dnn")
distributed.Communicator.finalize()
"""


def _need_bindings() -> None:
    if any((folder / "libmpi_cxx.so.40").exists() for folder in system_folders()):
        return
    why = "this machine has no C++ bindings of Open MPI 4 (Debian: libopenmpi3)"
    if os.environ.get("LOCALAML_TEST_CNTK") == REQUIRED:
        pytest.fail(why)
    pytest.skip(why)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_documents_estimator_trains_with_cntk_on_two_nodes(
    tmp_path: Path, cache_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    python = need_python("3.6")
    _need_bindings()
    packages = {"exclude_newer": DAY, "python_interpreters": [python]}
    with EmulatorProcess(tmp_path / "state", cache_dir, environments=packages) as emulator:
        for name, value in emulator.variables().items():
            monkeypatch.setenv(name, value)
        from azureml.core import Experiment, Workspace
        from azureml.core.compute import AmlCompute, ComputeTarget

        workspace = Workspace.create("seed", subscription_id="sub", resource_group="group")
        settings = AmlCompute.provisioning_configuration(vm_size="STANDARD_D2_V2", max_nodes=2)
        compute_target = ComputeTarget.create(workspace, "cpu-cluster", settings)
        compute_target.wait_for_completion(show_output=True)
        (tmp_path / "my-cntk-proj").mkdir()
        (tmp_path / "my-cntk-proj" / "train.py").write_text(SCRIPT)
        monkeypatch.chdir(tmp_path)
        names: dict[str, Any] = {"compute_target": compute_target, "experiment": Experiment(workspace, "seed")}

        found = blocks()
        exec(compile(found[2], "block 3", "exec"), names)
        names["cntk_est"] = names["estimator"]
        exec(compile(found[3], "block 4", "exec"), names)
        run = names["run"]
        run.wait_for_completion(show_output=True)
        assert run.get_status() == "Completed"
        metrics = run.get_metrics()
        assert metrics["cntk"] == "2.5.1"
        assert metrics["ranks"] == 2
        assert metrics["weights"] == pytest.approx([2.0, 3.0], abs=0.1)
        assert metrics["bias"] == pytest.approx(1.0, abs=0.1)
        run.download_file("outputs/model.dnn", str(tmp_path / "model.dnn"))
        assert (tmp_path / "model.dnn").stat().st_size > 100
        logs = {}
        for rank in (0, 1):
            run.download_file(f"azureml-logs/80_driver_log_rank_{rank}.txt", str(tmp_path / f"{rank}.txt"))
            [logs[rank]] = [
                line for line in (tmp_path / f"{rank}.txt").read_text().splitlines() if line.startswith("rank ")
            ]
        assert logs[0].startswith("rank 0 of 2 cntk 2.5.1 python 3.6.")
        # Both ended with the same weights, from data of their own.
        assert logs[0].partition("weights")[2] == logs[1].partition("weights")[2]
