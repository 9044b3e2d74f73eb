"""Signed URLs that somebody altered, kept, or uses for something else: they open nothing, and change nothing."""

from __future__ import annotations

import hashlib
import itertools
from dataclasses import dataclass
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

import pytest

from campaigns.attacks.clients import http_request, rpc
from campaigns.attacks.scene import EXP, STORE, WS, Scene

SECRET = b"what was there"
KINDS = ("datastore", "artifact", "model", "content")
_numbers = itertools.count()


@dataclass(frozen=True)
class Urls:
    """Targets of one object: to read it, and to write (over) it."""

    read: str
    write: str


def _target(url: str) -> str:
    place = urlsplit(url)
    return f"{place.path}?{place.query}"


def _urls(scene: Scene, kind: str, token: str) -> Urls:
    """URLs that a caller got, of an object that is there (a content cannot be had by name: its URL is to write)."""
    number = next(_numbers)
    if kind == "datastore":
        path = f"data/file-{number}.bin"
        assert scene.upload(path, SECRET).status == 201
        asked = {"name": STORE, "paths": [path]}
        write = scene.ask("DatastoreService/CreateDatastoreUploadUrls", {**asked, "overwrite": True}, token)
        read = scene.ask("DatastoreService/CreateDatastoreDownloadUrls", asked, token)
    elif kind == "artifact":
        path = f"outputs/file-{number}.bin"
        scene.artifact("own", path, SECRET)
        asked = {"parent": f"{EXP}/runs/own", "paths": [path]}
        write = scene.ask("ArtifactService/CreateArtifactUploadUrls", {**asked, "overwrite": True}, token)
        read = scene.ask("ArtifactService/CreateArtifactDownloadUrls", asked, token)
    elif kind == "model":
        scene.artifact("own", f"outputs/model-{number}", SECRET)
        model = {"parent": WS, "modelName": f"model{number}", "runId": "own", "runPath": f"outputs/model-{number}"}
        scene.ask("ModelService/RegisterModel", model)
        read = scene.ask("ModelService/CreateModelDownloadUrls", {"name": f"{WS}/models/model{number}"}, token)
        upload = f"00000000-0000-0000-0000-{number:012}"
        write = scene.ask(
            "ModelService/CreateModelUploadUrls", {"parent": WS, "uploadId": upload, "paths": ["m"]}, token
        )
    else:
        data = f"{number}".encode()
        entry = {"path": "x", "sha256": hashlib.sha256(data).hexdigest(), "sizeBytes": len(data)}
        made = scene.ask("SnapshotService/CreateSnapshot", {"parent": WS, "entries": [entry]}, token)
        return Urls("", _target(made["missing"][0]["url"]))
    return Urls(_target(read["urls"][0]["url"]), _target(write["urls"][0]["url"]))


def _altered(target: str) -> dict[str, str]:
    """The same URL with one part changed."""
    path, _, query = target.partition("?")
    values = dict(parse_qsl(query))
    signature = values["signature"]

    def with_values(**changes: str) -> str:
        return f"{path}?{urlencode({**values, **changes})}"

    def without(name: str) -> str:
        return f"{path}?{urlencode({key: value for key, value in values.items() if key != name})}"

    other = {"read": "write", "write": "read"}[values["access"]]
    first = "1" if signature[0] != "1" else "2"
    parts = path.split("/")
    changes = {
        "no query": path,
        "access": with_values(access=other),
        "access in capitals": with_values(access=values["access"].upper()),
        "both accesses": f"{target}&access={other}",
        "the other access first": f"{path}?access={other}&{query}",
        "later": with_values(expires=str(int(values["expires"]) + 10_000)),
        "for ever": with_values(expires="9" * 30),
        "no time": with_values(expires=""),
        "a time of other digits": with_values(expires="".join(chr(0x0660 + int(each)) for each in values["expires"])),
        "a longer time": with_values(expires=values["expires"] + "0"),
        "a padded time": with_values(expires="0" + values["expires"]),
        "cut signature": with_values(signature=signature[:-1]),
        "half a signature": with_values(signature=signature[:32]),
        "no signature": with_values(signature=""),
        "longer signature": with_values(signature=signature + "0"),
        "signature in capitals": with_values(signature=signature.upper())
        if signature.upper() != signature
        else with_values(signature="0"),
        "signature of wide digits": with_values(signature="".join(chr(ord(each) + 0xFEE0) for each in signature)),
        "another signature": with_values(signature=first + signature[1:]),
        "two signatures": f"{with_values(signature=first + signature[1:])}&signature={signature}x",
        "signature with a NUL": f"{target}%00",
        "a surrogate": with_values() + "%ed%a0%80",
        "may overwrite": f"{target}&overwrite=1" if "overwrite" not in values else without("overwrite"),
        "overwrites twice": f"{target}&overwrite=2",
        "another run's": f"{target}&run=x/y" if "run" not in values else without("run"),
        "one option more": f"{target}&x=",
        "another file": f"{path}x?{query}",
        "a file below": f"{path}/x?{query}",
        "the folder": f"{'/'.join(parts[:-1])}?{query}",
        "a slash at the end": f"{path}/?{query}",
        "two slashes": f"{'/'.join(parts[:-1])}//{parts[-1]}?{query}",
        "a dot": f"{'/'.join(parts[:-1])}/./{parts[-1]}?{query}",
        "up and down": f"{'/'.join(parts[:-1])}/x/../{parts[-1]}?{query}",
        "encoded up and down": f"{'/'.join(parts[:-1])}/x/%2e%2e/{parts[-1]}?{query}",
        "twice encoded": f"{'/'.join(parts[:-1])}%252F{quote(parts[-1])}?{query}",
        "a backslash": f"{'/'.join(parts[:-1])}%5C{parts[-1]}?{query}",
        "a NUL": f"{path}%00?{query}",
        "another case": f"{'/'.join(parts[:-1])}/{parts[-1].swapcase()}?{query}",
        "a question mark": f"{path}%3F{query}",
        "a fragment": f"{path}%23?{query}",
        **{
            f"as {kind}": f"/bytes/{kind}/{'/'.join(parts[3:])}?{query}"
            for kind in (*KINDS, "log", "nothing")
            if kind != parts[2]
        },
        "another workspace's": f"/bytes/{parts[2]}/x{'/'.join(parts[3:])}?{query}",
    }
    assert all(change != target for change in changes.values())
    # Where a name has no letters its case cannot be another.
    return {name: change for name, change in changes.items() if change.partition("?")[0] != path or change != target}


@pytest.mark.parametrize("whose", ["owner", "run"])
@pytest.mark.parametrize("kind", KINDS)
def test_no_part_can_be_altered(scene: Scene, kind: str, whose: str) -> None:
    urls = _urls(scene, kind, scene.owner if whose == "owner" else scene.token())
    before = scene.contents()
    for target in filter(None, (urls.read, urls.write)):
        for name, changed in _altered(target).items():
            if changed == target:
                continue
            for method, body in (("GET", None), ("PUT", b"forged")):
                answer = http_request(scene.http, method, changed, body)
                assert answer.status in (400, 403, 404, 405), (name, method, answer)
                assert SECRET not in answer.body, (name, method)
    assert scene.contents() == before


@pytest.mark.parametrize("kind", KINDS[:3])
def test_each_access_is_only_its_own(scene: Scene, kind: str) -> None:
    urls = _urls(scene, kind, scene.token())
    before = scene.contents()
    assert http_request(scene.http, "PUT", urls.read, b"forged").reason == "SIGNED_URL_WRONG_ACCESS"
    for method in ("GET", "HEAD"):
        assert http_request(scene.http, method, urls.write).status == 403
    for method in ("DELETE", "POST", "PATCH", "OPTIONS", "TRACE", "PROPFIND", "COPY", "MOVE"):
        for target in (urls.read, urls.write):
            assert http_request(scene.http, method, target, b"").status >= 400, method
    assert scene.contents() == before
    # As given, they are good.
    assert http_request(scene.http, "GET", urls.read).body == SECRET
    assert http_request(scene.http, "PUT", urls.write, b"new").status == 201


@pytest.mark.parametrize("kind", KINDS)
def test_those_of_another_emulator_open_nothing(scene: Scene, other_scene: Scene, kind: str) -> None:
    urls = _urls(other_scene, kind, other_scene.owner)
    before = scene.contents()
    for target, method, body in ((urls.read, "GET", None), (urls.write, "PUT", b"forged")):
        if target:
            assert http_request(scene.http, method, target, body).reason == "SIGNED_URL_INVALID"
    assert scene.contents() == before


@pytest.mark.parametrize("kind", KINDS)
def test_they_end(other_scene: Scene, kind: str) -> None:
    urls = _urls(other_scene, kind, other_scene.owner)
    before = other_scene.contents()
    assert rpc(other_scene.http, "localaml.admin.v1.AdminService/AdvanceClock", {"seconds": 3601}, other_scene.owner).ok
    for target, method, body in ((urls.read, "GET", None), (urls.write, "PUT", b"x")):
        if target:
            assert http_request(other_scene.http, method, target, body).reason == "SIGNED_URL_EXPIRED"
    assert other_scene.contents() == before


@pytest.mark.parametrize("kind", ["datastore", "model", "content"])
def test_those_of_a_run_end_with_it(scene: Scene, kind: str) -> None:
    """A token dies with its run, and so does what it was exchanged for."""
    run_id = scene.run()
    urls = _urls(scene, kind, scene.token(run_id))
    if urls.read:
        assert http_request(scene.http, "GET", urls.read).body == SECRET
    scene.ask("RunService/CompleteRun", {"name": f"{EXP}/runs/{run_id}"})
    before = scene.contents()
    for target, method, body in ((urls.read, "GET", None), (urls.write, "PUT", b"late")):
        if target:
            answer = http_request(scene.http, method, target, body)
            assert answer.reason == "SIGNED_URL_EXPIRED", (method, answer)
    assert scene.contents() == before


def test_an_artifact_is_replaced_only_where_that_was_asked_for(scene: Scene) -> None:
    path = f"outputs/once-{next(_numbers)}"
    asked = {"parent": f"{EXP}/runs/own", "paths": [path]}
    made = scene.ask("ArtifactService/CreateArtifactUploadUrls", asked, scene.token())
    assert scene.transfer(made["urls"][0]["url"], "PUT", b"first").status == 201
    assert scene.transfer(made["urls"][0]["url"], "PUT", b"second").reason == "ARTIFACT_EXISTS"
    read = scene.ask("ArtifactService/CreateArtifactDownloadUrls", asked)
    assert scene.transfer(read["urls"][0]["url"]).body == b"first"


def test_contents_are_what_their_name_says(scene: Scene) -> None:
    urls = _urls(scene, "content", scene.token())
    before = scene.contents()
    assert http_request(scene.http, "PUT", urls.write, b"forged").reason == "CONTENT_HASH_MISMATCH"
    assert scene.contents() == before
