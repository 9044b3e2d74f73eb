"""What users do wrong, and what machines do wrong: a clear error each time, nothing lost, nothing half-done."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from tests.support.emulator_process import EmulatorProcess, processes_of
from tests.support.waiting import wait_until

BAD_NAMES = ["a/b", "..", "../../etc", "tab\there", "nul\x00", "x" * 300, ""]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    folder.mkdir()
    (folder / "train.py").write_text("print('trained')\n")
    return folder


@pytest.fixture
def submit(workspace: Any, source: Path) -> Callable[..., Any]:
    """Submits a script to the local target and waits for its end."""
    from azureml.core import Experiment
    from azureml.train.estimator import Estimator

    def perform(script: str | None = None, wait: bool = True, **more: Any) -> Any:
        if script is not None:
            (source / "train.py").write_text(script)
        settings = {"source_directory": str(source), "entry_script": "train.py", "compute_target": "local", **more}
        run = Experiment(workspace, "bad").submit(Estimator(**settings))
        if wait:
            run.wait_for_completion(raise_on_error=False)
        return run

    return perform


# -- names and things that are not there ------------------------------------------------------------------------------


def test_an_unknown_workspace(connected: EmulatorProcess) -> None:
    from azureml.core import Workspace
    from azureml.exceptions import WorkspaceException

    with pytest.raises(WorkspaceException, match="nowhere"):
        Workspace(subscription_id="s", resource_group="g", workspace_name="nowhere")
    with pytest.raises(WorkspaceException, match="nowhere"):
        Workspace.get("nowhere", subscription_id="s", resource_group="g")


def test_an_unknown_target_or_datastore(workspace: Any, submit: Callable[..., Any]) -> None:
    from azureml.core import Datastore
    from azureml.core.compute import ComputeTarget
    from azureml.core.compute_target import ComputeTargetException
    from azureml.exceptions import AzureMLException

    with pytest.raises(ComputeTargetException) as caught:
        ComputeTarget(workspace, "nowhere")
    assert "nowhere" in caught.value.message
    with pytest.raises(AzureMLException, match="nowhere"):
        submit(compute_target="nowhere")
    with pytest.raises(AzureMLException, match="nowhere"):
        Datastore.get(workspace, "nowhere")
    assert list(workspace.experiments["bad"].get_runs()) == [], "a refused submit leaves no run behind"


def test_a_taken_name_with_other_settings(workspace: Any) -> None:
    from azureml.core import Datastore
    from azureml.core.compute import AmlCompute, ComputeTarget
    from azureml.core.compute_target import ComputeTargetException
    from azureml.exceptions import AzureMLException

    def create(max_nodes: int) -> Any:
        settings = AmlCompute.provisioning_configuration("STANDARD_D2_V2", max_nodes=max_nodes)
        return ComputeTarget.create(workspace, "cpu", settings)

    create(2)
    assert create(2).name == "cpu"
    with pytest.raises(ComputeTargetException, match="cpu"):
        create(3)
    assert ComputeTarget(workspace, "cpu").get_status().scale_settings.maximum_node_count == 2

    Datastore.register_azure_blob_container(workspace, "data", "container", "account", account_key="a2V5")
    with pytest.raises(AzureMLException, match="data"):
        Datastore.register_azure_blob_container(workspace, "data", "another", "account", account_key="a2V5")
    assert Datastore.get(workspace, "data").container_name == "container"


@pytest.mark.parametrize("name", BAD_NAMES)
def test_bad_names(workspace: Any, name: str) -> None:
    from azureml.core import Datastore, Experiment, Workspace
    from azureml.core.compute import AmlCompute, ComputeTarget
    from azureml.exceptions import AzureMLException

    for attempt in (
        lambda: Workspace.create(name, subscription_id="s", resource_group="g", show_output=False),
        lambda: ComputeTarget.create(
            workspace, name, AmlCompute.provisioning_configuration("STANDARD_D2_V2", max_nodes=1)
        ),
        lambda: Experiment(workspace, name).submit(None) if not name else Experiment(workspace, name).start_logging(),
        lambda: Datastore.register_azure_blob_container(workspace, name, "container", "account", account_key="a2V5"),
    ):
        with pytest.raises(AzureMLException) as caught:
            attempt()
        assert len(str(caught.value)) < 3000
    assert list(workspace.compute_targets) == []
    assert list(workspace.experiments) == []


# -- source folders ---------------------------------------------------------------------------------------------------


def test_a_missing_script_or_folder(submit: Callable[..., Any], source: Path, tmp_path: Path) -> None:
    from azureml.exceptions import AzureMLException

    with pytest.raises(AzureMLException, match=r"other\.py"):
        submit(entry_script="other.py")
    with pytest.raises(AzureMLException, match="missing-folder"):
        submit(source_directory=str(tmp_path / "missing-folder"))
    (tmp_path / "outside.py").write_text("")
    for outside in ("../outside.py", str(tmp_path / "outside.py")):
        with pytest.raises(AzureMLException, match=r"outside\.py"):
            submit(entry_script=outside)


def test_a_link_that_leads_out_of_the_source_folder(submit: Callable[..., Any], source: Path, tmp_path: Path) -> None:
    from azureml.exceptions import AzureMLException

    (tmp_path / "secret.txt").write_text("secret")
    (source / "link.txt").symlink_to(tmp_path / "secret.txt")
    with pytest.raises(AzureMLException, match=r"link\.txt"):
        submit()


# -- scripts ----------------------------------------------------------------------------------------------------------


def test_a_script_that_exits_3(submit: Callable[..., Any]) -> None:
    run = submit("import sys\nopen('outputs/kept.txt', 'w').write('kept')\nprint('the last words')\nsys.exit(3)\n")
    assert run.get_status() == "Failed"
    message = json.dumps(run.get_details()["error"])
    assert "exit code 3" in message and "the last words" in message
    assert "outputs/kept.txt" in run.get_file_names(), "what it wrote is kept"


def test_a_failed_run_raises_when_it_is_waited_for(submit: Callable[..., Any]) -> None:
    from azureml.exceptions import ActivityFailedException

    run = submit("raise ValueError('no good')\n", wait=False)
    with pytest.raises(ActivityFailedException, match="no good"):
        run.wait_for_completion()


def test_a_script_that_is_killed(submit: Callable[..., Any]) -> None:
    run = submit("import os, signal\nprint('now', flush=True)\nos.kill(os.getpid(), signal.SIGKILL)\n")
    assert run.get_status() == "Failed"
    assert "SIGKILL" in json.dumps(run.get_details()["error"])


def test_a_script_that_writes_100_mb(submit: Callable[..., Any], tmp_path: Path) -> None:
    run = submit("import sys\nfor _ in range(100):\n    sys.stdout.write('x' * 1048575 + '\\n')\n")
    assert run.get_status() == "Completed"
    run.download_file("azureml-logs/80_driver_log.txt", str(tmp_path / "log.txt"))
    assert (tmp_path / "log.txt").stat().st_size == 100 * 2**20


def test_a_script_that_prints_binary(
    submit: Callable[..., Any], capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    run = submit("import os\nos.write(1, bytes(range(256)) + b'\\nend\\n')\n", wait=False)
    run.wait_for_completion(show_output=True)
    assert "end" in capfd.readouterr().out
    run.download_file("azureml-logs/80_driver_log.txt", str(tmp_path / "log.txt"))
    assert (tmp_path / "log.txt").read_bytes() == bytes(range(256)) + b"\nend\n"


def test_a_script_that_leaves_children_behind(submit: Callable[..., Any], emulator: EmulatorProcess) -> None:
    run = submit(
        "import subprocess, sys\n"
        "subprocess.Popen(['sleep', '1000'])\n"
        "code = 'import os, time\\nos.setsid()\\nif os.fork(): os._exit(0)\\ntime.sleep(1000)'\n"
        "subprocess.Popen([sys.executable, '-c', code])\n"
    )
    assert run.get_status() == "Completed"
    wait_until(lambda: not processes_of(emulator.state_dir), 10, "the end of the children")


def test_a_script_that_nobody_can_stop_politely(submit: Callable[..., Any], emulator: EmulatorProcess) -> None:
    run = submit(
        "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "print('ready', flush=True)\ntime.sleep(1000)\n",
        wait=False,
    )
    wait_until(lambda: run.get_status() == "Running", 20, "the run")
    run.cancel()
    run.wait_for_completion(raise_on_error=False)
    assert run.get_status() == "Canceled"
    wait_until(lambda: not processes_of(emulator.state_dir), 10, "its end")


def test_a_package_that_does_not_exist(submit: Callable[..., Any]) -> None:
    run = submit(pip_packages=["no-such-package-of-localaml==1.0"])
    details = run.get_details()
    assert details["status"] == "Failed"
    assert "no-such-package-of-localaml" in json.dumps(details["error"])
    states = [change["state"] for change in _state_changes(run)]
    assert states[-2:] == ["RUN_STATE_PREPARING", "RUN_STATE_FAILED"]
    assert (
        "no-such-package-of-localaml" in run.get_details_with_logs()["logFiles"]["azureml-logs/20_image_build_log.txt"]
    )


def _state_changes(run: Any) -> list[dict[str, str]]:
    workspace = run.experiment.workspace
    name = f"{workspace._resource_name}/experiments/-/runs/{run.id}"
    found: list[dict[str, str]] = workspace._client.call("RunService", "GetRun", {"name": name})["stateChanges"]
    return found


# -- files ------------------------------------------------------------------------------------------------------------


def test_a_download_of_a_file_that_does_not_exist(submit: Callable[..., Any], tmp_path: Path) -> None:
    from azureml.exceptions import AzureMLException

    run = submit()
    with pytest.raises(AzureMLException, match=r"outputs/nothing\.txt"):
        run.download_file("outputs/nothing.txt", str(tmp_path / "nothing.txt"))
    assert not (tmp_path / "nothing.txt").exists()


def test_a_signed_url_that_was_altered_or_has_expired(
    submit: Callable[..., Any], tmp_path: Path, cache_dir: Path
) -> None:
    run = submit()
    url = run.get_details()["logFiles"]["azureml-logs/80_driver_log.txt"]
    assert _get(url) == (200, b"trained\n")
    other = url.replace("80_driver_log", "60_control_log")
    assert _get(other)[0] == 403
    status, body = _get(url[:-1] + ("0" if url[-1] != "0" else "1"))
    assert status == 403 and b"signature" in body.lower()
    request = urllib.request.Request(url, data=b"forged", method="PUT")
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(request, timeout=10)
    with caught.value as refused:
        assert refused.code in (403, 405)
    assert _get(url) == (200, b"trained\n")


def test_a_signed_url_expires(tmp_path: Path, cache_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with EmulatorProcess(tmp_path / "state", cache_dir, signed_url_seconds=1) as emulator:
        for name, value in emulator.variables().items():
            monkeypatch.setenv(name, value)
        from azureml.core import Experiment, Workspace

        workspace = Workspace.create("expiry", subscription_id="s", resource_group="g", show_output=False)
        run = Experiment(workspace, "e").start_logging(outputs=None, snapshot_directory=None)
        (tmp_path / "file.txt").write_text("content")
        run.upload_file("file.txt", str(tmp_path / "file.txt"))
        name = f"{workspace._resource_name}/experiments/e/runs/{run.id}"
        request = {"parent": name, "paths": ["file.txt"]}
        [url] = workspace._client.call("ArtifactService", "CreateArtifactDownloadUrls", request)["urls"]
        assert _get(url["url"]) == (200, b"content")
        wait_until(lambda: time.time() > int(url["expireTimeSeconds"]) + 0.1, 10, "the URL's end")
        status, body = _get(url["url"])
        assert status == 403 and b"expired" in body.lower()
        run.complete()


def _get(url: str) -> tuple[int, bytes]:
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


# -- state dirs -------------------------------------------------------------------------------------------------------


def test_a_second_emulator_on_the_same_state_dir(emulator: EmulatorProcess) -> None:
    code, told = _start(emulator.state_dir)
    assert code != 0
    assert "another emulator" in told.lower() and str(emulator.pid) in told
    assert "Traceback" not in told
    with urllib.request.urlopen(emulator.endpoint["http_address"] + "/healthz", timeout=5) as answer:
        assert answer.status == 200, "the first one goes on"


def test_a_state_dir_of_a_newer_version(tmp_path: Path, cache_dir: Path) -> None:
    with EmulatorProcess(tmp_path / "state", cache_dir):
        pass
    database = tmp_path / "state" / "metadata.sqlite3"
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("PRAGMA user_version = 999")
    before = database.read_bytes()
    code, told = _start(tmp_path / "state")
    assert code != 0
    assert "newer" in told and "Traceback" not in told
    assert database.read_bytes() == before, "it is not touched"


def _start(state_dir: Path) -> tuple[int, str]:
    settings = json.dumps({"state_dir": str(state_dir), "cache_dir": str(state_dir / "cache")})
    done = subprocess.run(
        [sys.executable, "-m", "localaml.server", "--settings-json", "-"],
        input=settings,
        capture_output=True,
        text=True,
        timeout=30,
    )
    return done.returncode, done.stdout + done.stderr


def test_a_full_disk(tmp_path: Path, cache_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A real one: the state dir lies on a file system of 24 MiB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if os.geteuid() != 0 or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "none", str(disk)]).returncode:
        pytest.skip("mounting a small file system needs root")
    try:
        with EmulatorProcess(disk / "state", cache_dir) as emulator:
            for name, value in emulator.variables().items():
                monkeypatch.setenv(name, value)
            from azureml.core import Experiment, Workspace
            from azureml.exceptions import AzureMLException

            workspace = Workspace.create("full", subscription_id="s", resource_group="g", show_output=False)
            store = workspace.get_default_datastore()
            (tmp_path / "data").mkdir()
            (tmp_path / "data" / "big.bin").write_bytes(b"x" * 40 * 2**20)
            with pytest.raises(AzureMLException, match=r"(?i)disk|space"):
                store.upload(str(tmp_path / "data"), show_progress=False)
            listed = workspace._client.call(
                "DatastoreService",
                "ListDatastoreFiles",
                {"name": f"{workspace._resource_name}/datastores/workspaceblobstore"},
            )
            assert not listed.get("files"), "nothing half-written is listed"
            # What was given up has left its room: the emulator works on.
            (tmp_path / "data" / "big.bin").write_bytes(b"x" * 2**20)
            store.upload(str(tmp_path / "data"), show_progress=False)
            run = Experiment(workspace, "e").start_logging(outputs=None, snapshot_directory=None)
            run.log("still", 1)
            run.complete()
            assert run.get_metrics() == {"still": 1}
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


def test_no_emulator_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCALAML_STATE_DIR", str(tmp_path))
    for name in ("LOCALAML_ENDPOINT", "LOCALAML_GRPC_ENDPOINT", "LOCALAML_TOKEN_FILE"):
        monkeypatch.delenv(name, raising=False)
    from azureml.core import Workspace
    from azureml.exceptions import UserErrorException

    started = time.monotonic()
    with pytest.raises(UserErrorException, match="localaml start -d"):
        Workspace.list("s")
    assert time.monotonic() - started < 5
