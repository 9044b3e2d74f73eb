"""Stores that stop for 20 seconds, in the middle of everything that can be under way: S3 (moto) and Azure (Azurite).

One outage for both, side by side, so that its 20 seconds (of real time: a store's clients retry by the machine's clock)
are waited for once. Shorter faults of every kind are in `tests/storage/test_store_faults.py`.
"""

from __future__ import annotations

import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from tests.acceptance.test_object_stores import AWS, Scene
from tests.storage.faulty_proxy import FaultyProxy
from tests.support.azurite import REQUIRED, Azurite, azurite_program, find_azurite
from tests.support.emulator_process import EmulatorProcess
from tests.support.waiting import wait_until

from localaml.storage.azure_blob import AZURITE_ACCOUNT, AZURITE_KEY, AzureAccount
from localaml.storage.moto_cloud import MotoCloud
from localaml.storage.s3_client import S3Account

OUTAGE_SECONDS = 20.0
SIZE = 24_000_000
# Leaves much to be sent at its end: on a mount, and in outputs.
TRAIN = f"""
import os, sys
results = sys.argv[2]
for folder, name, letter in ((results, "result.bin", b"r"), ("outputs", "model.bin", b"m")):
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, name), "wb") as file:
        file.write(letter * {SIZE})
"""


class Store:
    """A store in a cloud behind a proxy, with an emulator that uses it, and what is under way there."""

    def __init__(
        self, name: str, endpoint: str, tmp_path: Path, cache_dir: Path, stack: ExitStack, patch: pytest.MonkeyPatch
    ) -> None:
        self.name = name
        self.folder = tmp_path / name
        self.folder.mkdir()
        self._endpoint = endpoint
        self.proxy = stack.enter_context(FaultyProxy(endpoint))
        if name == "s3":
            storage = {"cloud": "s3", "s3_endpoint": self.proxy.url}
        else:
            storage = {"cloud": "azurite", "azure_endpoint": f"{self.proxy.url}/{AZURITE_ACCOUNT}"}
        self.emulator = stack.enter_context(EmulatorProcess(self.folder / "state", cache_dir, AWS, storage=storage))
        self.scene = Scene(self.emulator, self.folder, patch)
        self.content = os.urandom(SIZE)
        (self.folder / "up").mkdir()
        (self.folder / "up/big.bin").write_bytes(self.content)
        self.scene.datastore.upload(str(self.folder / "up"), "before", show_progress=False)
        self.events: list[str] = []

    def submit(self) -> None:
        """A run; from now on everything is so slow that it takes long."""
        self.proxy.rate = 1_000_000.0
        self._sent, self._received = self.proxy.sent, self.proxy.received
        self.run = self.scene.submit(TRAIN, self.scene.mount("results"))

    def begin(self, threads: ThreadPoolExecutor) -> None:
        """The run is about to end; an upload and a download begin."""
        wait_until(lambda: self.run.get_status() == "Finalizing", 60, "the job's end", self.emulator.log)
        self.upload = threads.submit(
            lambda: self.scene.datastore.upload(str(self.folder / "up"), "during", show_progress=False)
        )
        self.download = threads.submit(
            lambda: self.scene.datastore.download(str(self.folder / "down"), "before", show_progress=False)
        )

    def is_busy(self) -> bool:
        """Whether bytes are on their way in both directions."""
        return self.proxy.sent > self._sent + 4_000_000 and self.proxy.received > self._received + 2_000_000

    def present(self) -> dict[str, int]:
        """What is in the bucket, as a client sees it that does not go through the proxy."""
        container = self.scene.container
        if self.name == "s3":
            client = S3Account(self._endpoint, access_key="test", secret_key="test").client()
            found = client.list_objects_v2(Bucket=container).get("Contents", ())
            client.close()
            return {each["Key"]: each["Size"] for each in found}
        azure = AzureAccount(self._endpoint, AZURITE_ACCOUNT, AZURITE_KEY).client()
        with azure, azure.get_container_client(container) as blobs:
            return {each.name: each.size for each in blobs.list_blobs()}

    def check_nothing_is_half_there(self) -> None:
        for name, size in self.present().items():
            if name.endswith(".bin"):
                assert size == SIZE, (self.name, name)
        assert "during/big.bin" not in self.present(), f"{self.name}: the upload was too quick for this test"

    def check_the_end(self) -> None:
        self.upload.result(timeout=120)
        assert self.download.result(timeout=120) == 1
        assert (self.folder / "down/before/big.bin").read_bytes() == self.content
        self.run.wait_for_completion(raise_on_error=False)
        details = self.run.get_details()
        assert details["status"] == "Completed", (self.name, details, self.emulator.log())
        assert "outputs/model.bin" in self.run.get_file_names()
        self.run.download_file("outputs/model.bin", str(self.folder / "model.bin"))
        assert (self.folder / "model.bin").read_bytes() == b"m" * SIZE
        store = self.scene.datastore
        assert store.download(str(self.folder / "after"), "results", show_progress=False) == 1
        assert (self.folder / "after/results/result.bin").read_bytes() == b"r" * SIZE
        assert store.download(str(self.folder / "after"), "during", show_progress=False) == 1
        assert (self.folder / "after/during/big.bin").read_bytes() == self.content


def test_stores_that_stop_for_20_real_seconds_while_a_run_ends_and_data_travel(
    tmp_path: Path, cache_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # S3 is looked at in any case.
    program = azurite_program() if os.environ.get("LOCALAML_TEST_AZURITE") == REQUIRED else find_azurite()[0]
    with ExitStack() as stack:
        threads = stack.enter_context(ThreadPoolExecutor(4))
        moto = MotoCloud(0, 1 << 30)
        stack.callback(moto.close)
        stores = [Store("s3", moto.endpoint, tmp_path, cache_dir, stack, monkeypatch)]
        if program is not None:
            (tmp_path / "azurite").mkdir()
            azurite = stack.enter_context(Azurite(program, tmp_path / "azurite"))
            stores.append(Store("azure", azurite.endpoint, tmp_path, cache_dir, stack, monkeypatch))
        for store in stores:
            store.submit()
        for store in stores:
            store.begin(threads)
        for store in stores:
            wait_until(store.is_busy, 60, f"transfers of {store.name}", store.emulator.log)
        for store in stores:
            store.proxy.stop()
        begun = time.monotonic()
        over = threading.Event()
        for store in stores:
            store.check_nothing_is_half_there()
            # It waits: neither has failed, nor gone on as if nothing were.
        assert not over.wait(OUTAGE_SECONDS - (time.monotonic() - begun))
        for store in stores:
            assert store.run.get_status() == "Finalizing", store.name
            assert not store.upload.done() and not store.download.done(), store.name
            store.check_nothing_is_half_there()
        for store in stores:
            # It comes back as servers do: first with errors, then slowly.
            store.proxy.rate, store.proxy.delay = None, 0.1
            store.proxy.error_status, store.proxy.errors = 503, 6
            store.proxy.start()
        for store in stores:
            store.check_the_end()
            assert store.proxy.errors == 0
    if program is None:
        pytest.skip(f"S3 is right; Azure was left out: {find_azurite()[1]}")


def test_a_store_that_stops_for_longer_than_the_patience_fails_transfers_with_a_clear_error(
    tmp_path: Path, cache_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Transfers of a client; runs: `test_object_stores`."""
    from azureml._localaml import client as client_module
    from azureml.exceptions import AzureMLException

    monkeypatch.setattr(client_module, "RETRY_SECONDS", 0.5)
    moto = MotoCloud(0, 1 << 30)
    with ExitStack() as stack:
        stack.callback(moto.close)
        proxy = stack.enter_context(FaultyProxy(moto.endpoint))
        storage = {"cloud": "s3", "s3_endpoint": proxy.url, "store_patience_seconds": 1.0}
        emulator = stack.enter_context(EmulatorProcess(tmp_path / "state", cache_dir, AWS, storage=storage))
        scene = Scene(emulator, tmp_path, monkeypatch)
        scene.upload()
        proxy.stop()
        calls: list[Any] = [
            lambda: scene.datastore.upload(str(tmp_path / "data"), "other", show_progress=False),
            lambda: scene.datastore.download(str(tmp_path / "down"), show_progress=False),
        ]
        for call in calls:
            with pytest.raises(AzureMLException, match="did not answer properly for 1 seconds"):
                call()
        proxy.start()
        assert scene.datastore.download(str(tmp_path / "down"), show_progress=False) == 2
        assert not (tmp_path / "down/other").exists()
