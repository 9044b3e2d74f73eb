"""What a killed emulator had begun in the object store: the notes on it are followed before anybody is served."""

from __future__ import annotations

import hashlib

import pytest
from tests.jobs.conftest import NOW, RunFiles

from localaml.domain.models import Artifact, RunKey
from localaml.errors import FailedPrecondition
from localaml.gateway.artifact_reader import open_artifact
from localaml.jobs.storage_check import check_storage
from localaml.jobs.unfinished_writes import settle_unfinished
from localaml.paths import artifact_key, artifact_of, content_key, model_prefix


async def _put(files: RunFiles, key: str, data: bytes) -> None:
    writer = await files.objects.open_writer(key)
    await writer.write(data)
    await writer.commit()


def _record(files: RunFiles, path: str, data: bytes) -> Artifact:
    sha256 = hashlib.sha256(data).hexdigest()
    row = Artifact(files.key, path, len(data), NOW, artifact_key(files.key, path), sha256)
    files.store.artifacts.put(row)
    return row


async def test_what_no_record_owns_goes_and_what_was_replaced_is_noted(files: RunFiles) -> None:
    new, replaced = (artifact_key(files.key, f"outputs/{name}") for name in ("new", "replaced"))
    _record(files, "outputs/replaced", b"before")
    upload, gone = model_prefix("wid", "an-upload"), content_key("gone", "").rstrip("/") + "/"
    keys = {new: b"unanswered", replaced: b"after", upload + "m": b"model", gone + "ab/abcd": b"of nobody"}
    for key, data in keys.items():
        await _put(files, key, data)
    files.store.unfinished.note([new, replaced, upload, gone])
    assert await settle_unfinished(files.store, files.objects) == 4
    assert [info.key for info in await files.objects.list("")] == [replaced]
    row = files.store.artifacts.find(files.key, "outputs/replaced")
    assert row is not None and (row.size_bytes, row.sha256) == (5, hashlib.sha256(b"after").hexdigest())
    assert files.store.unfinished.list() == []
    assert (await check_storage(files.store, files.objects, repair=False)).count == 0


async def test_a_changed_artifact_is_named_and_not_given_out(files: RunFiles) -> None:
    for name, size in (("small", 1000), ("longer", 1000)):
        _record(files, f"outputs/{name}", b"a" * size)
        await _put(files, artifact_key(files.key, f"outputs/{name}"), b"a" * size)
        reader, sha256 = await open_artifact(files.store, files.objects, files.key, f"outputs/{name}")
        reader.close()
        assert sha256 == hashlib.sha256(b"a" * size).hexdigest()
    folder = files.objects.local_folder(artifact_key(files.key, "outputs"))
    assert folder is not None
    (folder / "small").write_bytes(b"b" * 1000)
    (folder / "longer").write_bytes(b"a" * 1001)
    for name in ("small", "longer"):
        with pytest.raises(FailedPrecondition) as caught:
            await open_artifact(files.store, files.objects, files.key, f"outputs/{name}")
        assert caught.value.reason == "ARTIFACT_CHANGED"
    findings = await check_storage(files.store, files.objects, repair=False)
    assert findings.changed_artifacts == [artifact_key(files.key, "outputs/small")]
    assert findings.wrong_sizes == [artifact_key(files.key, "outputs/longer")]


def test_the_run_and_the_path_of_an_artifact_are_read_from_its_key() -> None:
    key = RunKey("w-1", "run_2")
    assert artifact_of(artifact_key(key, "outputs/a/b")) == (key, "outputs/a/b")
    for other in (content_key("w", "abc"), "localaml/azureml-blobstore-w/data", "_models/w/id/dcid.x/y/z"):
        assert artifact_of(other) is None
