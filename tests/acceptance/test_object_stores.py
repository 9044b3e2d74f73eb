"""The main job with its data in a mock cloud: one node, Open MPI, and a foreign client that looks into the bucket."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.storage.faulty_proxy import FaultyProxy
from tests.support.azurite import Azurite, azurite_program
from tests.support.emulator_process import EmulatorProcess, processes_of
from tests.support.waiting import wait_until

from localaml.storage.azure_blob import AZURITE_ACCOUNT, AZURITE_KEY, AzureAccount
from localaml.storage.azure_clouds import AZURITE_COMMAND, check_reachable
from localaml.storage.moto_cloud import MotoCloud
from localaml.storage.s3_client import S3Account

# Reads a mount, writes to it and to outputs; each rank under its own name.
TRAIN = """
import hashlib, os, sys, time
data, results = sys.argv[2], sys.argv[4]
rank = os.environ.get("OMPI_COMM_WORLD_RANK", "0")
content = open(os.path.join(data, "train", "numbers.bin"), "rb").read()
os.makedirs("outputs", exist_ok=True)
with open("outputs/model-%s.bin" % rank, "wb") as file:
    file.write(content[::-1])
os.makedirs(os.path.join(results, "sums"), exist_ok=True)
with open(os.path.join(results, "sums", rank + ".txt"), "w") as file:
    file.write(hashlib.sha256(content).hexdigest())
if rank == "0":
    # The nodes of a run share the mount: the others must have read before it changes.
    size, deadline = int(os.environ.get("OMPI_COMM_WORLD_SIZE", "1")), time.time() + 60
    while len(os.listdir(os.path.join(results, "sums"))) < size:
        if time.time() > deadline:
            sys.exit("another rank has not read")
        time.sleep(0.01)
    open(os.path.join(data, "train", "numbers.bin"), "ab").write(b"more")
    os.remove(os.path.join(data, "train", "old.txt"))
print("rank", rank, "is done", flush=True)
"""
# The job's own boto3 meets the same cloud, with no more than its variables.
BOTO = """
import boto3, os
client = boto3.client("s3")
names = [bucket["Name"] for bucket in client.list_buckets()["Buckets"]]
container = [name for name in names if name.startswith("azureml-blobstore-")][0]
client.put_object(Bucket=container, Key="from/boto3.txt", Body=b"by the job's own client")
client.create_bucket(Bucket="made-by-the-job")
client.put_object(Bucket="made-by-the-job", Key="result.bin", Body=bytes(range(256)) * 1000)
"""
# Writes to the mount, and to outputs, while the test lets the store go.
WAITING = """
import os, sys, time
results, gates = sys.argv[2], sys.argv[4]
os.makedirs(results, exist_ok=True)
with open(os.path.join(results, "result.bin"), "wb") as file:
    file.write(b"r" * 20_000_000)
os.makedirs("outputs", exist_ok=True)
with open("outputs/model.bin", "wb") as file:
    file.write(b"m" * 20_000_000)
open(os.path.join(gates, "written"), "w").close()
deadline = time.time() + 60
while not os.path.exists(os.path.join(gates, "go")):
    if time.time() > deadline:
        sys.exit("the gate never opened")
    time.sleep(0.01)
"""


class Scene:
    """A workspace with a cluster, on an emulator whose objects are in a cloud."""

    def __init__(self, emulator: EmulatorProcess, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.emulator = emulator
        self.folder = folder
        for name, value in emulator.variables().items():
            monkeypatch.setenv(name, value)
        from azureml.core import Experiment, Workspace
        from azureml.core.compute import AmlCompute, ComputeTarget

        self.workspace = Workspace.create("stores", subscription_id="s", resource_group="g", show_output=False)
        settings = AmlCompute.provisioning_configuration("STANDARD_D2_V2", min_nodes=2, max_nodes=2)
        self.target = ComputeTarget.create(self.workspace, "cpu-cluster", settings)
        self.experiment = Experiment(self.workspace, "stores")
        self.datastore = self.workspace.get_default_datastore()
        self.numbers = bytes(range(256)) * 5000

    @property
    def container(self) -> str:
        return str(self.datastore.container_name)

    def upload(self) -> None:
        source = self.folder / "data"
        source.mkdir()
        (source / "numbers.bin").write_bytes(self.numbers)
        (source / "old.txt").write_text("to be removed")
        self.datastore.upload(str(source), target_path="data/train", show_progress=False)

    def submit(self, text: str, *arguments: Any, **more: Any) -> Any:
        from azureml.train.estimator import Estimator

        source = self.folder / f"source{len(list(self.folder.iterdir()))}"
        source.mkdir()
        (source / "train.py").write_text(text)
        estimator = Estimator(
            source_directory=str(source),
            script_params={f"--argument-{number}": each for number, each in enumerate(arguments)},
            compute_target=self.target,
            entry_script="train.py",
            user_managed=True,
            **more,
        )
        estimator.run_config.environment.python.interpreter_path = sys.executable
        return self.experiment.submit(estimator)

    def mount(self, path: str) -> Any:
        return self.datastore.path(path).as_mount()


def check_completed(run: Any) -> None:
    run.wait_for_completion(raise_on_error=False)
    details = run.get_details()
    assert details["status"] == "Completed", details


# What nodes are: mounts of a store elsewhere are the same in both.
on_both_runtimes = pytest.mark.parametrize(
    "scene", ["process", pytest.param("docker", marks=pytest.mark.docker)], indirect=True
)


@pytest.fixture
def scene(
    request: pytest.FixtureRequest, tmp_path: Path, cache_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Scene]:
    settings: dict[str, Any] = {}
    if getattr(request, "param", "process") == "docker":
        image = request.getfixturevalue("host_filesystem_image")
        settings = {"compute": "docker", "docker": {"base_image": image}}
    emulator = EmulatorProcess(tmp_path / "state", cache_dir, storage={"cloud": "moto"}, **settings).start()
    try:
        yield Scene(emulator, tmp_path, monkeypatch)
    finally:
        emulator.stop()
        for pid in processes_of(emulator.state_dir):
            os.kill(pid, signal.SIGKILL)
    if settings:
        engine = request.getfixturevalue("docker_engine")
        label = f"localaml.state-dir={emulator.state_dir}"
        assert not engine.containers.list(all=True, filters={"label": label})
        assert not engine.networks.list(filters={"label": label})


def account_of(emulator: EmulatorProcess) -> S3Account:
    """The mock cloud, as a client outside of the emulator sees it."""
    record = json.loads((emulator.state_dir / "cloud.json").read_text())
    return S3Account(record["endpoint"], access_key="test", secret_key="test")


@on_both_runtimes
@pytest.mark.parametrize("nodes", [1, 2])
def test_the_main_job_over_moto(scene: Scene, nodes: int, tmp_path: Path) -> None:
    scene.upload()
    more = {"node_count": 2, "process_count_per_node": 1, "distributed_backend": "mpi"} if nodes == 2 else {}
    run = scene.submit(TRAIN, scene.mount("data"), scene.mount("results"), **more)
    check_completed(run)

    names = run.get_file_names()
    for rank in range(nodes):
        name = f"outputs/model-{rank}.bin"
        assert name in names
        run.download_file(name, str(tmp_path / f"model-{rank}.bin"))
        assert (tmp_path / f"model-{rank}.bin").read_bytes() == scene.numbers[::-1]
    logs = "".join(run.get_details_with_logs()["logFiles"].values())
    assert all(f"rank {rank} is done" in logs for rank in range(nodes))

    # A client that knows nothing of LocalAML, byte for byte.
    client = account_of(scene.emulator).client()
    keys = [found["Key"] for found in client.list_objects_v2(Bucket=scene.container)["Contents"]]
    for rank in range(nodes):
        key = f"azureml/ExperimentRun/dcid.{run.id}/outputs/model-{rank}.bin"
        assert key in keys
        assert client.get_object(Bucket=scene.container, Key=key)["Body"].read() == scene.numbers[::-1]
        assert f"results/sums/{rank}.txt" in keys
    # What the job appended and removed on its mount.
    body = client.get_object(Bucket=scene.container, Key="data/train/numbers.bin")["Body"].read()
    assert body == scene.numbers + b"more"
    assert "data/train/old.txt" not in keys
    # And the other way round.
    client.put_object(Bucket=scene.container, Key="outside/hello.txt", Body=b"from outside")
    client.close()
    assert scene.datastore.download(str(tmp_path / "down"), prefix="outside", show_progress=False) == 1
    assert (tmp_path / "down/outside/hello.txt").read_bytes() == b"from outside"


@on_both_runtimes
def test_a_jobs_own_boto3_meets_the_same_cloud(scene: Scene, tmp_path: Path) -> None:
    scene.upload()
    check_completed(scene.submit(BOTO))
    assert scene.datastore.download(str(tmp_path / "down"), prefix="from", show_progress=False) == 1
    assert (tmp_path / "down/from/boto3.txt").read_bytes() == b"by the job's own client"
    # A client outside finds it as well, and what the job put into a bucket of its own.
    client = account_of(scene.emulator).client()
    body = client.get_object(Bucket=scene.container, Key="from/boto3.txt")["Body"].read()
    assert body == b"by the job's own client"
    body = client.get_object(Bucket="made-by-the-job", Key="result.bin")["Body"].read()
    assert body == bytes(range(256)) * 1000
    client.close()


def test_everything_goes_when_the_emulator_stops(scene: Scene) -> None:
    scene.upload()
    check_completed(scene.submit("print(1)"))
    account = account_of(scene.emulator)
    scene.emulator.stop()
    with pytest.raises(Exception, match="Could not connect"):
        account.client().list_buckets()
    # It starts again, and works: what pointed to nothing is gone.
    scene.emulator.start()
    check_completed(scene.submit("print(1)"))


@pytest.fixture
def cloud() -> Iterator[MotoCloud]:
    """A cloud outside of the emulator."""
    made = MotoCloud(0, 1024 * 1024 * 1024)
    yield made
    made.close()


AWS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}


def test_the_store_stops_while_a_job_works_and_the_run_ends_right(
    cloud: MotoCloud, tmp_path: Path, cache_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with FaultyProxy(cloud.endpoint) as proxy:
        storage = {"cloud": "s3", "s3_endpoint": proxy.url}
        with EmulatorProcess(tmp_path / "state", cache_dir, AWS, storage=storage) as emulator:
            scene = Scene(emulator, tmp_path, monkeypatch)
            gates = tmp_path / "gates"
            gates.mkdir()
            run = scene.submit(WAITING, scene.mount("results"), str(gates))
            wait_until((gates / "written").exists, 60, "the job", emulator.log)
            # In the middle of what comes up at the end.
            proxy.cut_upload_after = 5_000_000
            (gates / "go").touch()
            wait_until(lambda: proxy.cut_upload_after is None, 30, "the upload", emulator.log)
            proxy.stop()
            before = proxy.connections
            wait_until(lambda: run.get_status() == "Finalizing", 30, "the run to wait", emulator.log)
            # Nothing that is half there is shown.
            assert "outputs/model.bin" not in run.get_file_names()
            proxy.start()
            check_completed(run)
            assert proxy.connections > before
            client = S3Account(cloud.endpoint, access_key="test", secret_key="test").client()
            key = f"azureml/ExperimentRun/dcid.{run.id}/outputs/model.bin"
            assert client.get_object(Bucket=scene.container, Key=key)["Body"].read() == b"m" * 20_000_000
            body = client.get_object(Bucket=scene.container, Key="results/result.bin")["Body"].read()
            assert body == b"r" * 20_000_000
            client.close()


def test_a_store_that_stays_away_fails_the_run_and_says_so(
    cloud: MotoCloud, tmp_path: Path, cache_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with FaultyProxy(cloud.endpoint) as proxy:
        storage = {"cloud": "s3", "s3_endpoint": proxy.url, "store_patience_seconds": 1.0}
        with EmulatorProcess(tmp_path / "state", cache_dir, AWS, storage=storage) as emulator:
            scene = Scene(emulator, tmp_path, monkeypatch)
            gates = tmp_path / "gates"
            gates.mkdir()
            run = scene.submit(WAITING, scene.mount("results"), str(gates))
            wait_until((gates / "written").exists, 60, "the job", emulator.log)
            proxy.stop()
            (gates / "go").touch()
            run.wait_for_completion(raise_on_error=False)
            details = run.get_details()
            assert details["status"] == "Failed"
            assert "object store could not" in str(details["error"])
            proxy.start()
            assert "outputs/model.bin" not in run.get_file_names()
            check_completed(scene.submit("print(1)"))


# -- starting ----------------------------------------------------------------------------------------------------------


def start_error(tmp_path: Path, environment: dict[str, str], **storage: Any) -> str:
    """What an emulator says that does not start."""
    emulator = EmulatorProcess(tmp_path / "state", tmp_path / "cache", environment, storage=storage)
    with pytest.raises(AssertionError) as caught:
        emulator.start()
    return str(caught.value)


def test_localstack_is_found_by_its_conventions(
    cloud: MotoCloud, tmp_path: Path, cache_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that speaks LocalStack's address conventions: host and edge port in LOCALSTACK_HOST."""
    environment = {"LOCALSTACK_HOST": f"localhost:{cloud.port}", "AWS_ENDPOINT_URL": ""}
    with EmulatorProcess(tmp_path / "state", cache_dir, environment, storage={"cloud": "localstack"}) as emulator:
        scene = Scene(emulator, tmp_path, monkeypatch)
        scene.upload()
        client = S3Account(cloud.endpoint, access_key="test", secret_key="test").client()
        body = client.get_object(Bucket=scene.container, Key="data/train/numbers.bin")["Body"].read()
        assert body == scene.numbers
        client.close()


def test_no_localstack_is_told_with_what_to_do(tmp_path: Path) -> None:
    text = start_error(tmp_path, {"LOCALSTACK_HOST": "localhost:1", "AWS_ENDPOINT_URL": ""}, cloud="localstack")
    assert "No S3 answers properly at http://localhost:1" in text
    assert "LOCALSTACK_AUTH_TOKEN" in text and "--cloud moto" in text


def test_a_localstack_that_wants_a_token_is_told(cloud: MotoCloud, tmp_path: Path) -> None:
    with FaultyProxy(cloud.endpoint) as proxy:
        proxy.errors, proxy.error_status = 100, 500
        proxy.error_code = "InternalFailure"
        proxy.error_message = "The license activation failed: LocalStack requires an account to run."
        environment = {"LOCALSTACK_HOST": proxy.url.removeprefix("http://"), "AWS_ENDPOINT_URL": ""}
        assert "LocalStack wants a token" in start_error(tmp_path, environment, cloud="localstack")


def test_a_state_folder_belongs_to_its_cloud(
    cloud: MotoCloud, tmp_path: Path, cache_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = {"cloud": "s3", "s3_endpoint": cloud.endpoint}
    with EmulatorProcess(tmp_path / "state", cache_dir, AWS, storage=storage) as emulator:
        Scene(emulator, tmp_path, monkeypatch)
    assert "CLOUD" not in start_error(tmp_path, {}, cloud="disk")
    assert f"are in the cloud s3 at {cloud.endpoint}, not in disk" in start_error(tmp_path, {}, cloud="disk")
    assert "not in s3 at http://127.0.0.1" in start_error(tmp_path, AWS, cloud="s3", s3_endpoint=other_name(cloud))


def other_name(cloud: MotoCloud) -> str:
    """The same cloud under another address."""
    return cloud.endpoint + "/"


# -- Azure ------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def azurite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Azurite]:
    with Azurite(azurite_program(), tmp_path_factory.mktemp("azurite")) as running:
        yield running


@pytest.mark.parametrize("nodes", [1, 2])
def test_the_main_job_over_azurite(
    azurite: Azurite, tmp_path: Path, cache_dir: Path, monkeypatch: pytest.MonkeyPatch, nodes: int
) -> None:
    storage = {"cloud": "azurite", "azure_endpoint": azurite.endpoint}
    with EmulatorProcess(tmp_path / "state", cache_dir, storage=storage) as emulator:
        scene = Scene(emulator, tmp_path, monkeypatch)
        scene.upload()
        more = {"node_count": 2, "process_count_per_node": 1, "distributed_backend": "mpi"} if nodes == 2 else {}
        run = scene.submit(TRAIN, scene.mount("data"), scene.mount("results"), **more)
        check_completed(run)
        run.download_file("outputs/model-0.bin", str(tmp_path / "model.bin"))
        assert (tmp_path / "model.bin").read_bytes() == scene.numbers[::-1]
        with AzureAccount(azurite.endpoint, AZURITE_ACCOUNT, AZURITE_KEY).client() as client:
            for rank in range(nodes):
                name = f"azureml/ExperimentRun/dcid.{run.id}/outputs/model-{rank}.bin"
                with client.get_blob_client(scene.container, name) as blob:
                    assert blob.download_blob().readall() == scene.numbers[::-1]
            with client.get_blob_client(scene.container, "data/train/numbers.bin") as blob:
                assert blob.download_blob().readall() == scene.numbers + b"more"


def test_a_registered_container_of_a_reachable_account_is_a_datastore_of_its_own(
    azurite: Azurite, tmp_path: Path, cache_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beside the default store, which is files on disk."""
    with EmulatorProcess(tmp_path / "state", cache_dir) as emulator:
        scene = Scene(emulator, tmp_path, monkeypatch)
        from azureml.core import Datastore

        account = AzureAccount(azurite.endpoint, AZURITE_ACCOUNT, AZURITE_KEY)
        scene.datastore = Datastore.register_azure_blob_container(
            scene.workspace,
            "reachable",
            "my-container",
            AZURITE_ACCOUNT,
            account_key=AZURITE_KEY,
            protocol="http",
            endpoint=f"127.0.0.1:{azurite.port}/{AZURITE_ACCOUNT}",
        )
        scene.upload()
        run = scene.submit(TRAIN, scene.mount("data"), scene.mount("results"))
        check_completed(run)
        with account.client() as client, client.get_container_client("my-container") as container:
            assert [blob.name for blob in container.list_blobs()] == ["data/train/numbers.bin", "results/sums/0.txt"]
            body = container.download_blob("data/train/numbers.bin").readall()
            assert body == scene.numbers + b"more"
            container.upload_blob("outside/hello.txt", b"from outside")
        assert scene.datastore.download(str(tmp_path / "down"), prefix="outside", show_progress=False) == 1
        # Artifacts stay in the default store.
        artifacts = tmp_path / "state/objects/localaml" / scene.workspace.get_default_datastore().container_name
        assert (artifacts / f"azureml/ExperimentRun/dcid.{run.id}/outputs/model-0.bin").is_file()
        # What is in the account is not the emulator's to remove.
        scene.workspace.delete()
        with account.client() as client, client.get_container_client("my-container") as container:
            assert container.download_blob("outside/hello.txt").readall() == b"from outside"
            for blob in list(container.list_blobs()):
                container.delete_blob(blob.name)


def test_the_documented_command_starts_an_azurite_that_serves(tmp_path: Path) -> None:
    """The newest of the npm registry, beside the newest client."""
    azurite_program()  # skips, or fails where it is required
    document = (Path(__file__).parents[2] / "docs/storage.md").read_text(encoding="utf-8")
    assert f"`{AZURITE_COMMAND}`" in document
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    log = tmp_path / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*AZURITE_COMMAND.split(), "--blobPort", str(port), "--location", str(tmp_path)],
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        wait_until(lambda: b"successfully listens" in log.read_bytes() or process.poll() is not None, 100, "Azurite")
        account = AzureAccount(f"http://127.0.0.1:{port}/{AZURITE_ACCOUNT}", AZURITE_ACCOUNT, AZURITE_KEY)
        check_reachable(account, "")
        with account.client() as client, client.create_container("new") as container:
            container.upload_blob("a/b", b"bytes", overwrite=False)
            assert container.download_blob("a/b").readall() == b"bytes"
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(20)


def test_no_azurite_is_told_with_what_to_do(tmp_path: Path) -> None:
    text = start_error(tmp_path, {}, cloud="azurite", azure_endpoint="http://127.0.0.1:1/devstoreaccount1")
    assert "No blob service answers properly at http://127.0.0.1:1/devstoreaccount1" in text
    assert "--disableTelemetry" in text
    text = start_error(tmp_path, {"AZURE_STORAGE_CONNECTION_STRING": ""}, cloud="azure")
    assert "AZURE_STORAGE_CONNECTION_STRING: set it" in text
