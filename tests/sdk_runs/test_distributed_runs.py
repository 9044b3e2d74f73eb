"""Parameter servers, and ranks that meet at an address, from the estimator to the files of the run."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.support.emulator_process import EmulatorProcess, processes_of
from tests.support.waiting import wait_until

from azureml.core import Experiment, ScriptRunConfig
from azureml.core.compute import AmlCompute, ComputeTarget
from azureml.core.runconfig import PyTorchConfiguration, TensorflowConfiguration
from azureml.exceptions import ActivityFailedException, AzureMLException
from azureml.train.dnn import Gloo, Nccl, PyTorch, TensorFlow

if TYPE_CHECKING:
    from azureml.core import Workspace

SCRIPTS = Path(__file__).parent / "scripts"


@pytest.fixture
def cluster(workspace: Workspace) -> Iterator[Any]:
    settings = AmlCompute.provisioning_configuration(vm_size="STANDARD_D2_V2", max_nodes=2)
    made = ComputeTarget.create(workspace, "cpu", settings)
    made.wait_for_completion(show_output=False)
    yield made
    made.delete()


def _estimator(kind: Any, script: str, cluster: Any, **arguments: Any) -> Any:
    """One that runs in this Python."""
    made = kind(str(SCRIPTS), entry_script=script, compute_target=cluster, node_count=2, user_managed=True, **arguments)
    made.run_config.environment.python.interpreter_path = sys.executable
    return made


def _log(run: Any, name: str) -> str:
    text: str = run.get_details_with_logs()["logFiles"][f"azureml-logs/80_driver_log_{name}.txt"]
    return text


def _train(cluster: Any, **arguments: Any) -> Any:
    return _estimator(
        TensorFlow,
        "train_with_servers.py",
        cluster,
        distributed_backend="ps",
        worker_count=2,
        parameter_server_count=1,
        **arguments,
    )


def test_a_model_is_trained_by_two_workers_and_a_parameter_server(
    workspace: Workspace, cluster: Any, connected: EmulatorProcess, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import numpy as np

    run = Experiment(workspace, "servers").submit(_train(cluster))
    details = run.wait_for_completion(show_output=True)
    assert details.status == "Completed"
    output = capsys.readouterr().out
    assert "Streaming azureml-logs/80_driver_log_worker_0.txt" in output and "trained on" in output
    assert "80_driver_log_ps_0" not in output and "56_batchai_stderr" not in output
    definition = details["runDefinition"]
    assert (definition["Framework"], definition["Communicator"]) == ("TensorFlow", "ParameterServer")
    assert definition["tensorflow"] == {"workerCount": 2, "parameterServerCount": 1}
    # It learned (weights of 0 have a loss of ln 3), from both workers' data: whoever comes second begins lower.
    loss = run.get_metrics("loss")["loss"]
    assert len(loss) == 5 and loss[-1] < loss[0] and loss[-1] < 0.2
    assert run.get_metrics("accuracy")["accuracy"] > 0.95
    files = run.get_file_names()
    assert {"outputs/weights.npy", "outputs/worker_0.txt", "outputs/worker_1.txt"} <= set(files)
    for role in ("worker_0", "worker_1", "ps_0"):
        assert {f"azureml-logs/60_control_log_{role}.txt", f"azureml-logs/80_driver_log_{role}.txt"} <= set(files)
    run.download_file("outputs/weights.npy", str(tmp_path / "weights.npy"))
    assert np.load(tmp_path / "weights.npy").any()
    hosts = [_log(run, name).split()[2] for name in ("worker_0", "worker_1", "ps_0")]
    assert hosts[0] != hosts[1] and hosts[2] == hosts[0]
    counts = [int(_log(run, name).split()[6]) for name in ("worker_0", "worker_1")]
    assert max(counts) == 300
    assert not _left(connected, run)


def _left(emulator: EmulatorProcess, run: Any) -> list[int]:
    """Processes of a run that still live."""
    label = f"/{run.id}".encode()
    return [number for number in processes_of(emulator.state_dir) if label in _environment(number)]


def _environment(number: int) -> bytes:
    try:
        return Path(f"/proc/{number}/environ").read_bytes()
    except OSError:
        return b""


def test_a_worker_that_fails_fails_the_run(workspace: Workspace, cluster: Any, connected: EmulatorProcess) -> None:
    run = Experiment(workspace, "servers").submit(_train(cluster, script_params={"--fail": ""}))
    with pytest.raises(ActivityFailedException, match="Worker 1 of 2") as caught:
        run.wait_for_completion()
    assert "this worker gives up" in str(caught.value)
    assert not _left(connected, run)


def test_cancel_ends_workers_and_servers(workspace: Workspace, cluster: Any, connected: EmulatorProcess) -> None:
    estimator = _train(cluster)
    wait = [sys.executable, "-c", "import time; time.sleep(600)"]
    estimator.run_config.command, estimator.run_config.script = wait, None
    run = Experiment(workspace, "servers").submit(estimator)
    wait_until(lambda: run.get_status() == "Running", 60, "the run to begin")
    wait_until(lambda: len(_left(connected, run)) == 4, 60, "three processes and their launcher")
    run.cancel()
    run.wait_for_completion(raise_on_error=False)
    assert run.get_status() == "Canceled"
    assert not _left(connected, run)


def test_ranks_meet(workspace: Workspace, cluster: Any, connected: EmulatorProcess) -> None:
    params = {"--rank": "$AZ_BATCHAI_TASK_INDEX", "--init": "$AZ_BATCHAI_PYTORCH_INIT_METHOD", "--world-size": 2}
    estimator = _estimator(PyTorch, "meet.py", cluster, distributed_training=Gloo(), script_params=params)
    run = Experiment(workspace, "ranks").submit(estimator)
    assert run.wait_for_completion().status == "Completed"
    words = [_log(run, f"rank_{rank}").split() for rank in range(2)]
    assert [line[:6] for line in words] == [["rank", str(rank), "of", "2", "total", "1"] for rank in range(2)]
    assert words[0][7] != words[1][7]
    assert [line[8:13] for line in words] == [[str(rank), "0", "1", "--rank", str(rank)] for rank in range(2)]
    assert words[0][14].startswith("tcp://127.0.0.1:") and words[0][15:] == ["--world-size", "2"]
    assert not _left(connected, run)


@pytest.mark.parametrize("job", [PyTorchConfiguration("Nccl", 4, 2), PyTorchConfiguration("Gloo", node_count=2)])
def test_script_run_config(workspace: Workspace, cluster: Any, job: PyTorchConfiguration) -> None:
    config = ScriptRunConfig(str(SCRIPTS), "meet.py", compute_target=cluster, distributed_job_config=job)
    python = config.run_config.environment.python
    python.user_managed_dependencies, python.interpreter_path = True, sys.executable
    run = Experiment(workspace, "ranks").submit(config)
    details = run.wait_for_completion()
    assert details.status == "Completed"
    count = job.process_count or 2
    total = sum(range(count))
    for rank in range(count):
        node, local = divmod(rank, count // 2)
        words = _log(run, f"rank_{rank}").split()
        assert words[:6] == ["rank", str(rank), "of", str(count), "total", str(total)]
        assert words[8:] == [str(node), str(local), str(count // 2)]


def test_tensorflow_configuration(workspace: Workspace, cluster: Any) -> None:
    job = TensorflowConfiguration(worker_count=2, parameter_server_count=1)
    config = ScriptRunConfig(str(SCRIPTS), "train_with_servers.py", compute_target=cluster, distributed_job_config=job)
    python = config.run_config.environment.python
    python.user_managed_dependencies, python.interpreter_path = True, sys.executable
    run = Experiment(workspace, "servers").submit(config)
    assert run.wait_for_completion().status == "Completed"
    assert run.get_metrics("accuracy")["accuracy"] > 0.95


def test_more_nodes_than_the_cluster_has(workspace: Workspace, cluster: Any) -> None:
    estimator = _estimator(PyTorch, "meet.py", cluster, distributed_training=Nccl())
    estimator.run_config.node_count = 3
    with pytest.raises(AzureMLException, match="at most 2"):
        Experiment(workspace, "ranks").submit(estimator)


def test_servers_survive_the_emulator(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from azureml.core import Workspace

    with EmulatorProcess(tmp_path / "state", tmp_path / "cache") as emulator:
        monkeypatch.setenv("LOCALAML_STATE_DIR", str(emulator.state_dir))
        monkeypatch.delenv("LOCALAML_ENDPOINT", raising=False)
        workspace = Workspace.create("ws", subscription_id="s", resource_group="g", show_output=False)
        cluster = ComputeTarget.create(
            workspace, "cpu", AmlCompute.provisioning_configuration(vm_size="STANDARD_D2_V2", max_nodes=2)
        )
        go = tmp_path / "go"
        wait = (
            "import json, os, pathlib, time\n"
            "print('ready', flush=True)\n"
            "serves = json.loads(os.environ['TF_CONFIG'])['task']['type'] == 'ps'\n"
            f"while serves or not pathlib.Path({str(go)!r}).exists(): time.sleep(0.01)\n"
        )
        estimator = _train(cluster)
        estimator.run_config.command, estimator.run_config.script = [sys.executable, "-c", wait], None
        run = Experiment(workspace, "servers").submit(estimator)
        wait_until(lambda: run.get_status() == "Running", 60, "the run to begin")
        wait_until(lambda: len(_left(emulator, run)) == 4, 60, "three processes and their launcher")
        emulator.kill()
        emulator.start()
        assert run.get_status() == "Running" and len(_left(emulator, run)) == 4
        go.touch()
        assert run.wait_for_completion().status == "Completed"
        assert not _left(emulator, run)
        assert "ready" in _log(run, "ps_0")
