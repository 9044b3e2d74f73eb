"""One suite over every object store."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from localaml.errors import FailedPrecondition, InvalidArgument, NotFound
from localaml.storage.azure_blob import AzureBlobStore
from localaml.storage.disk import DiskStore
from localaml.storage.memory import MemoryStore
from localaml.storage.object_store import ObjectStore
from localaml.storage.remote import RemoteStore
from localaml.storage.s3 import S3Store


@pytest.fixture(params=["disk", "memory", "s3", "azure"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ObjectStore]:
    if request.param == "disk":
        yield DiskStore(tmp_path / "objects", tmp_path / "incoming")
    elif request.param == "memory":
        yield MemoryStore()
    else:
        made: RemoteStore
        if request.param == "s3":
            made = S3Store(request.getfixturevalue("s3_account"))
        else:
            made = AzureBlobStore(request.getfixturevalue("azure_account"))
        yield made
        made.close()


async def put(store: ObjectStore, key: str, data: bytes = b"x") -> None:
    writer = await store.open_writer(key)
    await writer.write(data)
    await writer.commit()


async def get(store: ObjectStore, key: str, start: int = 0, end: int | None = None) -> bytes:
    return b"".join([chunk async for chunk in store.read(key, start, end)])


async def keys(store: ObjectStore, prefix: str, start_after: str = "", limit: int = 1000) -> list[str]:
    return [info.key for info in await store.list(prefix, start_after, limit)]


@pytest.mark.parametrize("size", [0, 1, 1024 * 1024, 2 * 1024 * 1024 + 3])
async def test_round_trip(store: ObjectStore, size: int) -> None:
    data = bytes(index * 7 % 251 for index in range(size))
    await put(store, "a/b/c.bin", data)
    assert await get(store, "a/b/c.bin") == data
    info = await store.stat("a/b/c.bin")
    assert (info.key, info.size_bytes) == ("a/b/c.bin", size)
    assert info.modified_at.tzinfo is not None


async def test_chunks_are_at_most_one_mebibyte(store: ObjectStore) -> None:
    await put(store, "a", b"x" * 2_500_000)
    assert [len(chunk) async for chunk in store.read("a")] == [1048576, 1048576, 402848]


@pytest.mark.parametrize(
    ("start", "end", "wanted"),
    [
        (0, None, b"0123456789"),
        (3, None, b"3456789"),
        (3, 5, b"34"),
        (8, 99, b"89"),
        (10, None, b""),
        (50, 60, b""),
        (4, 4, b""),
    ],
)
async def test_read_a_part(store: ObjectStore, start: int, end: int | None, wanted: bytes) -> None:
    await put(store, "a", b"0123456789")
    assert await get(store, "a", start, end) == wanted


async def test_write_in_parts_and_from_a_thread(store: ObjectStore) -> None:
    writer = await store.open_writer("a")
    await writer.write(b"one ")
    writer.write_blocking(memoryview(bytearray(b"two ")))
    await writer.write(bytearray(b"three"))
    info = await writer.commit()
    assert info.size_bytes == 13
    assert await get(store, "a") == b"one two three"


async def test_nothing_is_visible_before_commit_nor_after_discard(store: ObjectStore) -> None:
    writer = await store.open_writer("a/b")
    await writer.write(b"half")
    assert await keys(store, "") == []
    with pytest.raises(NotFound):
        await store.stat("a/b")
    await writer.discard()
    assert await keys(store, "") == []


async def test_commit_replaces_and_discard_keeps_the_old(store: ObjectStore) -> None:
    await put(store, "a", b"old")
    writer = await store.open_writer("a")
    await writer.write(b"never")
    await writer.discard()
    assert await get(store, "a") == b"old"
    await put(store, "a", b"new")
    assert await get(store, "a") == b"new"


async def test_discard_after_commit_does_nothing(store: ObjectStore) -> None:
    writer = await store.open_writer("a")
    await writer.write(b"kept")
    await writer.commit()
    await writer.discard()
    assert await get(store, "a") == b"kept"


async def test_a_reader_keeps_its_bytes(store: ObjectStore) -> None:
    await put(store, "a", b"first")
    reader = await store.open_reader("a")
    await put(store, "a", b"other")
    buffer = bytearray(100)
    assert reader.info.size_bytes == 5
    newer = await store.open_reader("a")
    assert newer.version != reader.version
    newer.close()
    assert bytes(buffer[: reader.read_into(memoryview(buffer), 1)]) == b"irst"
    assert reader.read_into(memoryview(buffer), 5) == 0
    reader.close()
    reader.close()


async def test_missing(store: ObjectStore) -> None:
    await put(store, "a/b")
    for key in ("nothing", "a", "a/b/c", "a/c"):
        for call in (store.stat, store.open_reader):
            with pytest.raises(NotFound) as caught:
                await call(key)
            assert caught.value.reason == "OBJECT_NOT_FOUND"
        with pytest.raises(NotFound):
            await get(store, key)
        await store.delete(key)
    assert await keys(store, "") == ["a/b"]


async def test_many_are_looked_up_at_once(store: ObjectStore) -> None:
    there = [f"acc/con/d/{number:02}" for number in range(30)] + ["acc/con/d-/x", "acc/con/e/y", "acc/other/z"]
    for key in there:
        await put(store, key, key.encode())
    missing = ["acc/con/d/0", "acc/con/d/100", "acc/con/d", "acc/con/d/05/x", "acc/con/zz", "acc/none/x"]
    for wanted in ([], there[3:5], missing, there[10:20], there + missing, (there + missing)[::-1]):
        found = await store.stat_many(wanted)
        assert {key: info.size_bytes for key, info in found.items()} == {
            key: len(key) for key in wanted if key in there
        }
        assert all(info.key == key for key, info in found.items())
    with pytest.raises(InvalidArgument):
        await store.stat_many([*there, "../a"])


async def test_many_are_looked_up_at_once_whatever_their_order(store: ObjectStore) -> None:
    # UTF-16, by which Azure lists, has the emoji first; Python the wide letters.
    wanted = [f"localaml/my-container/{letter}{number}" for letter in ("\U0001f600", "\uff21") for number in range(5)]
    for key in wanted:
        await put(store, key, b"x")
    assert (await store.stat_many(wanted)).keys() == set(wanted)


@pytest.mark.parametrize(
    "key",
    ["", "/a", "a//b", "./a", "../a", "a/../b", "a/..", "a\\b", "a\nb", "a\0", "a/", "x" * 300, "a\ufffe", "\uffff"],
)
async def test_bad_keys(store: ObjectStore, key: str) -> None:
    for call in (store.stat, store.open_reader, store.open_writer, store.delete):
        with pytest.raises(InvalidArgument) as caught:
            await call(key)
        assert caught.value.reason == "INVALID_PATH"


async def test_a_key_cannot_be_a_file_and_a_folder(store: ObjectStore) -> None:
    await put(store, "a/b")
    for key in ("a", "a/b/c"):
        writer = await store.open_writer(key)
        await writer.write(b"y")
        with pytest.raises(FailedPrecondition) as caught:
            await writer.commit()
        assert caught.value.reason == "OBJECT_PATH_CONFLICT"
        assert key in str(caught.value)
        await writer.discard()
    assert await keys(store, "") == ["a/b"]


async def test_list_order_prefix_and_pages(store: ObjectStore) -> None:
    names = ["a/x", "a-b", "a.txt", "a/y/z", "a0", "ab/c", "ä/ö", "a/y.txt", "b", "Z"]
    for name in names:
        await put(store, name)
    wanted = sorted(names)
    assert await keys(store, "") == wanted
    for prefix in ("a", "a/", "a/y", "a/y/", "ä/", "ab/c", "nothing", "a/nothing/x", "/", "a//", "../"):
        assert await keys(store, prefix) == [name for name in wanted if name.startswith(prefix)], prefix
    for limit in (1, 2, 3):
        seen: list[str] = []
        while page := await keys(store, "", seen[-1] if seen else "", limit):
            assert len(page) <= limit
            seen += page
        assert seen == wanted
    assert await keys(store, "a", "a/y") == ["a/y.txt", "a/y/z", "a0", "ab/c"]
    assert await keys(store, "a/", "b") == []
    assert await keys(store, "", "", 0) == []


async def test_put_file_and_get_file(store: ObjectStore, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"content" * 300_000)
    info = await store.put_file("d/copied", source)
    assert info.size_bytes == 2_100_000 and source.exists()
    await store.put_file("d/moved", source, move=True)
    assert not source.exists()
    for key in ("d/copied", "d/moved"):
        target = tmp_path / "target"
        await store.get_file(key, target)
        assert target.read_bytes() == b"content" * 300_000
    with pytest.raises(NotFound):
        await store.get_file("d/other", tmp_path / "other")
    assert not (tmp_path / "other").exists()


async def test_delete(store: ObjectStore) -> None:
    await put(store, "a/b")
    await put(store, "a/c")
    await store.delete("a/b")
    await store.delete("a/b")
    assert await keys(store, "") == ["a/c"]


async def test_delete_prefix(store: ObjectStore) -> None:
    for key in ("a/b/1", "a/b/2/3", "a/bc", "a/d", "e"):
        await put(store, key)
    assert await store.delete_prefix("nothing/") == 0
    assert await store.delete_prefix("a/b/") == 2
    assert await keys(store, "") == ["a/bc", "a/d", "e"]
    assert await store.delete_prefix("a/b") == 1
    assert await store.delete_prefix("a/b/c/") == 0
    assert await store.delete_prefix("e/") == 0
    assert await keys(store, "") == ["a/d", "e"]
    await put(store, "a/b/1")
    assert await keys(store, "a/b") == ["a/b/1"]


async def test_a_copy_is_an_object_of_its_own(store: ObjectStore) -> None:
    await put(store, "acc/con/a", b"first")
    info = await store.copy("acc/con/a", "_models/ws/b/a")
    assert (info.key, info.size_bytes) == ("_models/ws/b/a", 5)
    folder = store.local_folder("acc/con")
    if folder is not None:
        # As a job does that has the datastore mounted: in place.
        (folder / "a").write_bytes(b"other")
    await put(store, "acc/con/a", b"second")
    assert await get(store, "_models/ws/b/a") == b"first"
    await store.copy("acc/con/a", "_models/ws/b/a")
    assert await get(store, "_models/ws/b/a") == b"second"
    with pytest.raises(NotFound):
        await store.copy("acc/con/missing", "_models/ws/b/c")
    with pytest.raises(InvalidArgument):
        await store.copy("acc/con/a", "../b")
    assert await keys(store, "_models/") == ["_models/ws/b/a"]


_STRANGE = [
    *("é.txt", "e\u0301.txt", "Case.txt", "case.txt", "a%2Fb", "a%2fb", "a/b", "q?x=1", "h#frag", "sp ace", " lead"),
    *("trail ", "dot.", "dots..", "...", "plus+plus", "amp&amp;", "lt<gt>", "quote'\"", "semi;colon", "comma,", "eq="),
    *("star*", "😀.txt", "\uffee.txt", "\u200b", "\u202e", "\x85nel", "\u2028sep", "~", "$", "@", "[x]", "{y}", "|"),
    *("^", "`", "%", "%%", "%41", "c:d", "\xa0nbsp", "中文/文件.bin", "d/.hidden/..x", "-", "--", "con", "\U0010ffff"),
    *("x" * 250, "/".join(["d" * 250] * 3)),
]


async def test_strange_names_are_names(store: ObjectStore) -> None:
    """No two of them are one, each comes back as it is, and listings have all of them, in any pages."""
    prefix = "localaml/my-container/"
    for name in _STRANGE:
        await put(store, prefix + name, name.encode())
    for name in _STRANGE:
        assert await get(store, prefix + name) == name.encode()
    wanted = sorted(prefix + name for name in _STRANGE)
    if isinstance(store, AzureBlobStore):
        wanted.sort(key=lambda key: key.encode("utf-16-be"))  # which is Azure's order
    assert await keys(store, prefix) == wanted
    for limit in (1, 7):
        seen: list[str] = []
        while page := await keys(store, prefix, seen[-1] if seen else "", limit):
            seen += page
        assert seen == wanted
    assert (await store.stat_many(wanted)).keys() == set(wanted)
    assert await store.delete_prefix(prefix) == len(wanted)
    assert await keys(store, prefix) == []
