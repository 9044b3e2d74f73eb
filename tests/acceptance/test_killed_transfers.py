"""Client and emulator are killed at any moment while datastores are filled and read; then the same is done again."""

from __future__ import annotations

import hashlib
import random
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from tests.acceptance.test_object_stores import AWS
from tests.cli.command_line import CommandLine
from tests.support.emulator_process import EmulatorProcess

from localaml.storage.moto_cloud import MotoCloud
from localaml.storage.s3_client import S3Account

KILLS = 3
CLIENT = """
import sys
from azureml.core import Workspace
store = Workspace.get("killed", subscription_id="s", resource_group="g").get_default_datastore()
print("go", flush=True)
exec(sys.argv[1])
"""


def tree(folder: Path) -> dict[str, str]:
    """SHA-256 by path; what is on its way under a hidden name is left out."""
    files = [path for path in folder.rglob("*") if path.is_file() and path.suffix != ".part"]
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


class Scene:
    """An emulator that is killed, and its clients, in processes of their own."""

    def __init__(self, emulator: EmulatorProcess, cloud: MotoCloud | None, folder: Path) -> None:
        from azureml.core import Workspace

        self.emulator = emulator
        self.workspace = Workspace.create("killed", subscription_id="s", resource_group="g", show_output=False)
        self.container = str(self.workspace.get_default_datastore().container_name)
        self._account = cloud and S3Account(cloud.endpoint, access_key="test", secret_key="test")
        self.source = folder / "source"
        (self.source / "sub").mkdir(parents=True)
        self.random = random.Random(20261123)
        for number in range(60):
            size = self.random.choice([0, 10, 1000, 100_000])
            (self.source / f"sub/{number:02}.bin").write_bytes(self.random.randbytes(size))
        (self.source / "big.bin").write_bytes(self.random.randbytes(9_000_000))

    def there(self, prefix: str) -> dict[str, str]:
        """What is in the datastore, past the emulator."""
        if self._account is None:
            return tree(self.emulator.state_dir / "objects/localaml" / self.container / prefix)
        client = self._account.client()
        found = {}
        with suppress(client.exceptions.NoSuchBucket):
            for each in client.list_objects_v2(Bucket=self.container, Prefix=prefix + "/").get("Contents", ()):
                body = client.get_object(Bucket=self.container, Key=each["Key"])["Body"].read()
                found[each["Key"][len(prefix) + 1 :]] = hashlib.sha256(body).hexdigest()
        client.close()
        return found

    def unfinished(self) -> int:
        """What was begun and is of no use."""
        if self._account is None:
            return len(list((self.emulator.state_dir / "incoming").iterdir()))
        client = self._account.client()
        count = len(client.list_multipart_uploads(Bucket=self.container).get("Uploads", ()))
        client.close()
        return count

    def repair(self, folder: Path) -> None:
        """Runs `localaml storage fsck --repair`."""
        state = str(self.emulator.state_dir)
        CommandLine(folder).succeed("storage", "fsck", "--repair", "--state-dir", state, **AWS)

    def start(self, code: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", CLIENT, code], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        assert process.stdout is not None and process.stdout.readline() == "go\n"
        return process

    def finish(self, process: subprocess.Popen[str]) -> None:
        told, _ = process.communicate(timeout=60)
        assert process.returncode == 0, told + self.emulator.log()

    def run_for(self, process: subprocess.Popen[str]) -> None:
        """Waits for a random part of what it takes."""
        with suppress(subprocess.TimeoutExpired):
            process.wait(self.random.uniform(0, 0.4))


@pytest.fixture(params=["disk", "s3"])
def scene(
    request: pytest.FixtureRequest, tmp_path: Path, cache_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Scene]:
    cloud = MotoCloud(0, 1 << 30) if request.param == "s3" else None
    storage = {"cloud": "s3", "s3_endpoint": cloud.endpoint} if cloud is not None else {}
    try:
        with EmulatorProcess(tmp_path / "state", cache_dir, AWS, storage=storage) as emulator:
            for name, value in emulator.variables().items():
                monkeypatch.setenv(name, value)
            yield Scene(emulator, cloud, tmp_path)
    finally:
        if cloud is not None:
            cloud.close()


def test_what_was_killed_in_the_middle_is_done_right_the_next_time(scene: Scene, tmp_path: Path) -> None:
    wanted = tree(scene.source)
    uploads = {number: f"up{number}" for number in range(KILLS)}

    def upload(number: int) -> str:
        return f"store.upload({str(scene.source)!r}, {uploads[number]!r}, overwrite=True, show_progress=False)"

    def download(number: int) -> str:
        return f"store.download({str(tmp_path / f'down{number}')!r}, 'up0', overwrite=True, show_progress=False)"

    def arrived(number: int) -> dict[str, str]:
        return tree(tmp_path / f"down{number}/up0")

    for transfer, there in ((upload, lambda number: scene.there(uploads[number])), (download, arrived)):
        for number in range(KILLS):
            client = scene.start(transfer(number))
            scene.run_for(client)
            client.kill()
            client.communicate()
            assert there(number).items() <= wanted.items(), "half of a file is there"
            client = scene.start(transfer(number))
            scene.run_for(client)
            scene.emulator.kill()
            assert there(number).items() <= wanted.items(), "half of a file is there"
            scene.emulator.start()
            # The client waits for it, at the address that it has then.
            scene.finish(client)
            assert there(number) == wanted
            scene.finish(scene.start(transfer(number)))
            assert there(number) == wanted
    assert [path for path in tmp_path.glob("down*/**/*") if path.suffix == ".part"] == []
    assert "Traceback" not in scene.emulator.log()
    scene.emulator.stop()
    # On S3 the parts that a killed emulator began stay until then.
    scene.repair(tmp_path)
    assert scene.unfinished() == 0
