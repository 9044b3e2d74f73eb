"""Bytes over signed URLs: what arrives, what is refused, and that nothing half-done stays."""

from __future__ import annotations

import asyncio
import base64
import errno
import hashlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from tests.gateway.http_client import Answer, Client, Served, open_files, serving

from localaml.clock import RealClock
from localaml.domain.models import Run, RunKey, Workspace
from localaml.domain.names import RunName, WorkspaceName
from localaml.domain.states import RunState
from localaml.errors import disk_full
from localaml.gateway.app import Gateway
from localaml.gateway.byte_plane import BytePlane
from localaml.paths import artifact_key, content_key
from localaml.services.tokens import Access, RunTokens, UrlSigner, authenticator
from localaml.storage import disk
from localaml.storage.disk import DiskStore
from localaml.storage.safe_tree import SafeTree
from localaml.store import Store

NOW = datetime(2026, 1, 1, tzinfo=timezone.utc)
RUN = RunKey("ws-id", "exp_1_0123abcd")
DATA = bytes(range(256)) * 8192  # 2 MiB


class Clock(RealClock):
    """The machine's, but the time stands where the test puts it."""

    time = NOW

    def now(self) -> datetime:
        return self.time

    def monotonic(self) -> float:
        return (self.time - NOW).total_seconds()


@dataclass
class Plane:
    store: Store
    objects: DiskStore
    signer: UrlSigner
    clock: Clock
    root: Path
    logs: dict[str, Path] = field(default_factory=dict)
    served: Served | None = None

    def url(self, kind: str, *parts: str, access: Access = "read", **options: str) -> str:
        url, _ = self.signer.sign(kind, parts, access, options)
        split = urlsplit(url)
        return f"{split.path}?{split.query}"

    def files(self) -> list[str]:
        return sorted(str(path.relative_to(self.root)) for path in self.root.rglob("*") if path.is_file())

    def incoming(self) -> list[Path]:
        return list((self.root.parent / "incoming").iterdir())


@pytest.fixture
async def plane(tmp_path: Path) -> AsyncIterator[Plane]:
    clock = Clock()
    store = Store.open(tmp_path / "metadata.sqlite3")
    name = WorkspaceName("sub", "group", "ws")
    store.workspaces.insert(Workspace(name, RUN.workspace_id, NOW))
    store.runs.insert(
        Run(RunName(name, "exp", RUN.run_id), RUN.workspace_id, 0, "azureml.scriptrun", RunState.RUNNING, NOW, True)
    )
    objects = DiskStore(tmp_path / "objects", tmp_path / "incoming")
    signer = UrlSigner(b"k" * 32, lambda: "http://localhost", clock, 60)
    plane = Plane(store, objects, signer, clock, tmp_path / "objects")
    bytes_ = BytePlane(store, objects, signer, clock, lambda run, log: plane.logs.get(log))
    gateway = Gateway(
        {}, authenticator("owner", RunTokens(b""), lambda _: True), bytes_, version="1", is_serving=lambda: True
    )
    async with serving(gateway.handle) as served:
        plane.served = served
        yield plane
    store.close()
    assert plane.incoming() == []


@pytest.fixture
async def client(plane: Plane) -> AsyncIterator[Client]:
    assert plane.served is not None
    client = await plane.served.connect()
    yield client
    client.close()


def reason(answer: Answer) -> tuple[int, str]:
    return answer.status, json.loads(answer.body)["details"][0]["debug"]["reason"]


@pytest.mark.parametrize("path", ["a.txt", "folder/b c/ä ö%25?&=#+.bin", "x" * 200 + "/y"])
async def test_datastore_file(plane: Plane, client: Client, path: str) -> None:
    answer = await client.ask("PUT", plane.url("datastore", "acc", "cont", path, access="write"), DATA)
    assert (answer.status, answer.body) == (201, b"")
    assert plane.files() == [f"acc/cont/{path}"]
    answer = await client.ask("GET", plane.url("datastore", "acc", "cont", path))
    assert (answer.status, answer.body) == (200, DATA)
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["x-content-type-options"] == "nosniff"
    head = await client.ask("HEAD", plane.url("datastore", "acc", "cont", path))
    assert (head.status, head.headers["content-length"], head.headers["accept-ranges"]) == (
        200,
        str(len(DATA)),
        "bytes",
    )
    assert head.headers["etag"] == answer.headers["etag"]


async def test_overwriting_and_empty_files(plane: Plane, client: Client) -> None:
    for data in (DATA, b"", b"x"):
        await client.ask("PUT", plane.url("datastore", "acc", "cont", "f", access="write"), data)
        assert (await client.ask("GET", plane.url("datastore", "acc", "cont", "f"))).body == data


async def test_content(plane: Plane, client: Client) -> None:
    sha256 = hashlib.sha256(DATA).hexdigest()
    answer = await client.ask("PUT", plane.url("content", RUN.workspace_id, sha256, access="write"), DATA)
    assert answer.status == 201
    assert (await plane.objects.stat(content_key(RUN.workspace_id, sha256))).size_bytes == len(DATA)
    assert (await client.ask("GET", plane.url("content", RUN.workspace_id, sha256))).body == DATA


async def test_content_with_another_hash_is_not_kept(plane: Plane, client: Client) -> None:
    sha256 = hashlib.sha256(b"other").hexdigest()
    answer = await client.ask("PUT", plane.url("content", RUN.workspace_id, sha256, access="write"), DATA)
    assert reason(answer) == (400, "CONTENT_HASH_MISMATCH")
    for bad in ("..", "ABC", sha256.upper(), sha256[:-1]):
        answer = await client.ask("PUT", plane.url("content", RUN.workspace_id, bad, access="write"), b"x")
        assert reason(answer) == (400, "INVALID_HASH")
    assert plane.files() == []


async def test_artifact(plane: Plane, client: Client) -> None:
    url = plane.url("artifact", *RUN, "outputs/model.pkl", access="write")
    assert (await client.ask("PUT", url, DATA)).status == 201
    artifact = plane.store.artifacts.find(RUN, "outputs/model.pkl")
    assert artifact is not None
    assert (artifact.size_bytes, artifact.object_key) == (len(DATA), artifact_key(RUN, "outputs/model.pkl"))
    assert (await client.ask("GET", plane.url("artifact", *RUN, "outputs/model.pkl"))).body == DATA
    # It exists now: only a URL that says so replaces it.
    assert reason(await client.ask("PUT", url, b"second")) == (409, "ARTIFACT_EXISTS")
    assert (await client.ask("GET", plane.url("artifact", *RUN, "outputs/model.pkl"))).body == DATA
    url = plane.url("artifact", *RUN, "outputs/model.pkl", access="write", overwrite="1")
    assert (await client.ask("PUT", url, b"second")).status == 201
    assert (await client.ask("GET", plane.url("artifact", *RUN, "outputs/model.pkl"))).body == b"second"


async def test_artifact_that_came_meanwhile(plane: Plane, client: Client) -> None:
    assert plane.served is not None
    url = plane.url("artifact", *RUN, "outputs/x", access="write")
    client.send(f"PUT {url} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 6\r\n\r\nabc".encode())
    await client.writer.drain()
    other = await plane.served.connect()
    assert (await other.ask("PUT", url, b"other")).status == 201
    other.close()
    client.send(b"def")
    assert reason(await client.answer()) == (409, "ARTIFACT_EXISTS")
    assert (await client.ask("GET", plane.url("artifact", *RUN, "outputs/x"))).body == b"other"


async def test_one_of_many_puts_of_a_name_wins(plane: Plane) -> None:
    assert plane.served is not None
    served = plane.served

    async def put(number: int) -> int:
        client = await served.connect()
        answer = await client.ask(
            "PUT", plane.url("artifact", *RUN, "x", access="write"), str(number).encode() * 100_000
        )
        client.close()
        return answer.status

    statuses = await asyncio.gather(*(put(number) for number in range(10)))
    assert sorted(statuses) == [201] + [409] * 9
    winner = str(statuses.index(201))
    assert (plane.root / artifact_key(RUN, "x")).read_text() == winner * 100_000


async def test_artifact_of_a_run_that_is_not_there(plane: Plane, client: Client) -> None:
    url = plane.url("artifact", RUN.workspace_id, "nobody", "x", access="write")
    assert reason(await client.ask("PUT", url, b"x")) == (404, "RUN_NOT_FOUND")
    assert reason(await client.ask("GET", plane.url("artifact", *RUN, "x"))) == (404, "ARTIFACT_NOT_FOUND")
    assert reason(await client.ask("GET", plane.url("datastore", "a", "b", "c"))) == (404, "OBJECT_NOT_FOUND")
    assert plane.files() == []


@pytest.mark.parametrize("sent", [b"", b"abc", DATA])
async def test_put_that_breaks_off_leaves_nothing(plane: Plane, sent: bytes) -> None:
    assert plane.served is not None
    for kind, parts in (
        ("datastore", ("acc", "cont", "f")),
        ("artifact", (*RUN, "f")),
        ("content", (RUN.workspace_id, "0" * 64)),
    ):
        client = await plane.served.connect()
        url = plane.url(kind, *parts, access="write")
        client.send(f"PUT {url} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9999999\r\n\r\n".encode() + sent)
        await client.writer.drain()
        client.writer.write_eof()
        assert await client.is_closed()
        client.close()
    assert plane.files() == []
    assert plane.incoming() == []


async def test_put_without_a_length(plane: Plane, client: Client) -> None:
    url = plane.url("datastore", "acc", "cont", "f", access="write")
    client.send(f"PUT {url} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n".encode())
    assert reason(await client.answer()) == (411, "LENGTH_REQUIRED")


@pytest.mark.parametrize(
    ("header", "start", "end"),
    [
        ("bytes=0-9", 0, 10),
        ("bytes=5-", 5, len(DATA)),
        ("bytes=-7", len(DATA) - 7, len(DATA)),
        ("bytes=-99999999", 0, len(DATA)),
        ("bytes=100-99999999", 100, len(DATA)),
        ("bytes=1000-1999999", 1000, 2_000_000),
    ],
)
async def test_ranges(plane: Plane, client: Client, header: str, start: int, end: int) -> None:
    await client.ask("PUT", plane.url("datastore", "acc", "cont", "f", access="write"), DATA)
    answer = await client.ask("GET", plane.url("datastore", "acc", "cont", "f"), range=header)
    assert answer.status == 206
    assert answer.headers["content-range"] == f"bytes {start}-{end - 1}/{len(DATA)}"
    assert answer.body == DATA[start:end]
    head = await client.ask("HEAD", plane.url("datastore", "acc", "cont", "f"), range=header)
    assert (head.status, head.headers["content-length"]) == (206, str(end - start))


@pytest.mark.parametrize("header", ["bytes=9999999-", "bytes=-0", f"bytes={len(DATA)}-{len(DATA)}"])
async def test_ranges_behind_the_end(plane: Plane, client: Client, header: str) -> None:
    await client.ask("PUT", plane.url("datastore", "acc", "cont", "f", access="write"), DATA)
    answer = await client.ask("GET", plane.url("datastore", "acc", "cont", "f"), range=header)
    assert reason(answer) == (416, "RANGE_NOT_SATISFIABLE")
    assert answer.headers["content-range"] == f"bytes */{len(DATA)}"


@pytest.mark.parametrize("header", ["bytes=0-1,5-6", "bytes=9-5", "lines=1-2", "bytes=", "bytes=-", "bytes=a-b"])
async def test_ranges_that_are_not_understood_get_all(plane: Plane, client: Client, header: str) -> None:
    await client.ask("PUT", plane.url("datastore", "acc", "cont", "f", access="write"), b"0123456789")
    answer = await client.ask("GET", plane.url("datastore", "acc", "cont", "f"), range=header)
    assert (answer.status, answer.body) == (200, b"0123456789")


async def test_range_of_what_changed_meanwhile(plane: Plane, client: Client) -> None:
    url = plane.url("datastore", "acc", "cont", "f")
    await client.ask("PUT", plane.url("datastore", "acc", "cont", "f", access="write"), b"old one")
    etag = (await client.ask("GET", url)).headers["etag"]
    assert (await client.ask("GET", url, range="bytes=4-", if_range=etag)).body == b"one"
    await client.ask("PUT", plane.url("datastore", "acc", "cont", "f", access="write"), b"another")
    answer = await client.ask("GET", url, range="bytes=4-", if_range=etag)
    assert (answer.status, answer.body) == (200, b"another")


@pytest.mark.parametrize(("header", "start", "end"), [("", 0, len(DATA)), ("bytes=5-1500000", 5, 1_500_001)])
async def test_digests(plane: Plane, client: Client, header: str, start: int, end: int) -> None:
    await client.ask("PUT", plane.url("datastore", "acc", "cont", "f", access="write"), DATA)
    url = plane.url("datastore", "acc", "cont", "f")
    more = {"range": header} if header else {}
    head = await client.ask("HEAD", url, want_content_digest="md5=3, sha-256=1", **more)
    assert head.status == (206 if header else 200)
    assert int(head.headers["content-length"]) == end - start
    # (The test's client has all headers in small letters.)
    wanted = base64.b64encode(hashlib.sha256(DATA[start:end]).digest()).decode()
    assert head.headers["content-digest"] == f"sha-256=:{wanted.lower()}:"
    for nothing in ("", "md5=1", "sha-256=0", "sha-2560=1"):
        head = await client.ask("HEAD", url, want_content_digest=nothing, **more)
        assert "content-digest" not in head.headers
    # Working it out takes time: not for those who get the bytes anyway.
    assert "content-digest" not in (await client.ask("GET", url, want_content_digest="sha-256=1", **more)).headers


async def test_url_that_has_expired(plane: Plane, client: Client) -> None:
    url = plane.url("datastore", "acc", "cont", "f", access="write")
    plane.clock.time = NOW + timedelta(seconds=60)
    assert (await client.ask("PUT", url, b"x")).status == 201
    plane.clock.time = NOW + timedelta(seconds=61)
    assert reason(await client.ask("PUT", url, b"x")) == (403, "SIGNED_URL_EXPIRED")


async def test_url_for_the_other_access(plane: Plane, client: Client) -> None:
    read, write = (plane.url("datastore", "acc", "cont", "f", access=access) for access in ("read", "write"))
    assert reason(await client.ask("PUT", read, b"x")) == (403, "SIGNED_URL_WRONG_ACCESS")
    assert reason(await client.ask("GET", write)) == (403, "SIGNED_URL_WRONG_ACCESS")
    answer = await client.ask("HEAD", write)
    assert answer.status == 403
    assert reason(await client.ask("POST", write, b"x")) == (405, "METHOD_NOT_ALLOWED")
    assert reason(await client.ask("PUT", plane.url("log", *RUN, "x", access="write"), b"x"))[0] == 405


async def test_url_that_was_altered(plane: Plane, client: Client) -> None:
    url = plane.url("datastore", "acc", "cont", "f", access="write")
    later = int(NOW.timestamp()) + 999_999
    path, _, query = url.partition("?")
    for bad in (
        url.replace("/f?", "/g?"),
        url.replace("/acc/", "/bcc/"),
        url.replace("/datastore/", "/artifact/"),
        url.replace(f"expires={int(NOW.timestamp()) + 60}", f"expires={later}"),
        url.replace("signature=", "signature=0"),
        url + "&overwrite=1",
        url.partition("&signature")[0],
        path,
        f"{path}/../f?{query}",
        f"{path}?access=write&expires=soon&signature=x",
    ):
        assert reason(await client.ask("PUT", bad, b"x")) == (403, "SIGNED_URL_INVALID"), bad
    assert plane.files() == []
    other = UrlSigner(b"another key", lambda: "http://localhost", plane.clock, 60)
    bad = other.sign("datastore", ("acc", "cont", "f"), "read")[0].removeprefix("http://localhost")
    assert reason(await client.ask("GET", bad)) == (403, "SIGNED_URL_INVALID")


@pytest.mark.parametrize("path", ["../../x", "a/../../x", "/etc/passwd", "a\\b", "a\nb"])
async def test_paths_that_lead_out_are_refused_even_when_signed(plane: Plane, client: Client, path: str) -> None:
    for access, method in (("write", "PUT"), ("read", "GET")):
        answer = await client.ask(method, plane.url("datastore", "acc", "cont", path, access=access))  # type: ignore[arg-type]
        assert reason(answer) == (400, "INVALID_PATH")
        answer = await client.ask(method, plane.url("datastore", "acc", "..", "x", access=access))  # type: ignore[arg-type]
        assert reason(answer) == (400, "INVALID_PATH")


async def test_unknown_paths(plane: Plane, client: Client) -> None:
    for path in ("/bytes/", "/bytes/other/x", "/bytes"):
        assert reason(await client.ask("GET", path)) == (404, "UNKNOWN_PATH")


async def test_link_that_a_job_planted(plane: Plane, client: Client) -> None:
    folder = plane.objects.local_folder("acc/cont/")
    assert folder is not None
    (folder / "passwd").symlink_to("/etc/passwd")
    answer = await client.ask("GET", plane.url("datastore", "acc", "cont", "passwd"))
    assert reason(answer) == (404, "OBJECT_NOT_FOUND")
    assert await plane.objects.list("") == []


async def test_full_disk(plane: Plane, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    open_writer = plane.objects.open_writer

    async def failing(key: str) -> Any:
        writer = await open_writer(key)
        count = 0

        def write_blocking(data: Any) -> None:
            nonlocal count
            count += len(data)
            if count > 1_500_000:
                raise disk_full()

        monkeypatch.setattr(writer, "write_blocking", write_blocking)
        return writer

    monkeypatch.setattr(plane.objects, "open_writer", failing)
    for kind, parts in (
        ("datastore", ("acc", "cont", "f")),
        ("artifact", (*RUN, "f")),
        ("content", (RUN.workspace_id, hashlib.sha256(DATA).hexdigest())),
    ):
        assert plane.served is not None
        one = await plane.served.connect()
        assert reason(await one.ask("PUT", plane.url(kind, *parts, access="write"), DATA)) == (507, "DISK_FULL")
        one.close()
    assert plane.files() == []
    assert plane.incoming() == []


async def test_live_log_then_artifact(plane: Plane, client: Client, tmp_path: Path) -> None:
    live = tmp_path / "80_driver_log.txt"
    live.write_bytes(b"line 1\n")
    name = "azureml-logs/80_driver_log.txt"
    url = plane.url("log", *RUN, name)
    plane.logs[name] = live
    assert (await client.ask("GET", url)).body == b"line 1\n"
    with live.open("ab") as file:
        file.write(b"line 2\n")
    assert (await client.ask("GET", url, range="bytes=7-")).body == b"line 2\n"
    await client.ask("PUT", plane.url("artifact", *RUN, name, access="write"), b"line 1\nline 2\nend\n")
    live.unlink()
    assert (await client.ask("GET", url)).body == b"line 1\nline 2\nend\n"
    live.symlink_to("/etc/passwd")
    assert (await client.ask("GET", url)).body == b"line 1\nline 2\nend\n"
    assert reason(await client.ask("GET", plane.url("log", *RUN, "azureml-logs/other.txt")))[0] == 404


async def test_no_descriptor_is_left(plane: Plane, client: Client) -> None:
    async def round_trip() -> None:
        await client.ask("PUT", plane.url("datastore", "acc", "cont", "f", access="write"), DATA)
        await client.ask("GET", plane.url("datastore", "acc", "cont", "f"))
        await client.ask("HEAD", plane.url("datastore", "acc", "cont", "f"))
        await client.ask("GET", plane.url("datastore", "acc", "cont", "f"), range="bytes=99999999-")
        await client.ask("GET", plane.url("datastore", "acc", "cont", "nothing"))

    await round_trip()
    before = open_files()
    for _ in range(20):
        await round_trip()
    assert open_files() <= before


@pytest.mark.parametrize("at", [0, 1_000_000])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_a_disk_that_cannot_be_read_is_told(
    plane: Plane, client: Client, monkeypatch: pytest.MonkeyPatch, method: str, at: int
) -> None:
    """From a bad block on; a client that was cut off there goes on from there, and is told then."""
    await client.ask("PUT", plane.url("datastore", "acc", "cont", "a", access="write"), DATA)
    read = disk.os.preadv

    def bad(file: int, buffers: list[memoryview], offset: int) -> int:
        if offset >= at:
            raise OSError(errno.EIO, "Input/output error")
        return int(read(file, [buffers[0][: at - offset]], offset))

    monkeypatch.setattr(disk.os, "preadv", bad)
    headers = {"Range": f"bytes={at}-", **({"Want-Content-Digest": "sha-256=1"} if method == "HEAD" else {})}
    answer = await client.ask(method, plane.url("datastore", "acc", "cont", "a"), **headers)
    assert answer.status == 400
    if method == "GET":
        assert reason(answer) == (400, "OBJECT_UNREADABLE") and b"Input/output error" in answer.body
    monkeypatch.undo()
    answer = await client.ask("GET", plane.url("datastore", "acc", "cont", "a"))
    assert (answer.status, answer.body) == (200, DATA)


async def test_a_file_that_may_not_be_read_is_told(
    plane: Plane, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A job of another user can leave one."""
    await client.ask("PUT", plane.url("datastore", "acc", "cont", "a", access="write"), DATA)

    def denied(*_: Any) -> tuple[int, object]:
        raise PermissionError(errno.EACCES, "Permission denied", str(plane.root / "acc/cont/a"))

    monkeypatch.setattr(SafeTree, "open_file", denied)
    answer = await client.ask("GET", plane.url("datastore", "acc", "cont", "a"))
    assert reason(answer) == (400, "OBJECT_UNREADABLE")
    assert b"Permission denied" in answer.body and str(plane.root).encode() not in answer.body
