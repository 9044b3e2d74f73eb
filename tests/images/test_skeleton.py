"""What the skeleton image is made of. No engine is needed."""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest

from localaml.errors import FailedPrecondition
from localaml.images.skeleton import skeleton_tar


@pytest.fixture
def system(tmp_path: Path) -> Path:
    """A small system whose programs lie in /usr."""
    root = tmp_path / "root"
    (root / "usr/bin").mkdir(parents=True)
    (root / "bin").symlink_to("usr/bin")
    (root / "lib64").symlink_to("usr/lib64")
    etc = root / "etc"
    (etc / "ssl/private").mkdir(parents=True)
    (etc / "ssl/private").chmod(0o700)
    (etc / "ssl/private/key.pem").write_text("secret")
    (etc / "ssl/openssl.cnf").write_text("settings")
    (etc / "ssl/own.key").write_text("secret")
    (etc / "ssl/own.key").chmod(0o600)
    (etc / "passwd").write_text("root:x:0:0::/root:/bin/sh\n")
    (etc / "shadow").write_text("secret")
    (etc / "alternatives").mkdir()
    (etc / "alternatives/awk").symlink_to("/usr/bin/mawk")
    return root


def _members(root: Path) -> dict[str, tarfile.TarInfo]:
    with tarfile.open(fileobj=skeleton_tar(root)[0]) as tar:
        return {member.name: member for member in tar.getmembers()}


def test_programs_are_reached_by_the_links_of_the_machine(system: Path) -> None:
    members = _members(system)
    assert members["bin"].linkname == "usr/bin"
    assert members["lib64"].linkname == "usr/lib64"
    assert members["usr"].isdir()
    assert members["etc/alternatives/awk"].linkname == "/usr/bin/mawk"
    assert "sbin" not in members
    assert members["tmp"].mode == 0o1777


def test_nothing_of_etc_that_not_everybody_may_read(system: Path) -> None:
    members = _members(system)
    assert {"etc/passwd", "etc/ssl", "etc/ssl/openssl.cnf"} <= members.keys()
    assert not [name for name in members if "private" in name or "own.key" in name or "shadow" in name]
    with tarfile.open(fileobj=skeleton_tar(system)[0]) as tar:
        assert b"secret" not in b"".join(tar.extractfile(member).read() for member in tar if member.isfile())  # type: ignore[union-attr]


def test_the_same_system_gives_the_same_image_and_another_one_another(system: Path) -> None:
    first = skeleton_tar(system)[1]
    (system / "etc/passwd").touch()
    assert skeleton_tar(system)[1] == first
    (system / "etc/passwd").write_text("root:x:0:0::/root:/bin/bash\n")
    assert skeleton_tar(system)[1] != first


def test_names_are_unique(system: Path) -> None:
    """The engine refuses a tar with a name in it twice."""
    with tarfile.open(fileobj=skeleton_tar(system)[0]) as tar:
        names = tar.getnames()
    assert len(names) == len(set(names))


def test_a_machine_with_programs_outside_usr_cannot_be_shown(system: Path) -> None:
    (system / "sbin").mkdir()
    with pytest.raises(FailedPrecondition) as caught:
        skeleton_tar(system)
    assert caught.value.reason == "HOST_FILESYSTEM_UNSUPPORTED"
    assert "/sbin" in caught.value.message


def test_this_machine_makes_less_than_a_megabyte() -> None:
    assert len(skeleton_tar(Path("/"))[0].getvalue()) < 1024**2
