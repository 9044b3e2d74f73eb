"""What uv in a container gets to see of this machine."""

from __future__ import annotations

from pathlib import Path

from localaml.compute.docker.helpers import user_of_files
from localaml.jobs.environments.container_uv import certificates, local_files


def test_files_and_folders_that_settings_name_are_found(tmp_path: Path) -> None:
    wheels, constraints, index = tmp_path / "wheels", tmp_path / "constraints.txt", tmp_path / "pypi" / "simple"
    wheels.mkdir()
    index.mkdir(parents=True)
    constraints.touch()
    lines = [
        f"--find-links {wheels}",
        f"--extra-index-url file://{index}",
        str(constraints),
        f"--config-file={constraints}",
        "--index-url https://example.com/simple",
        f"--find-links {tmp_path}/missing",
        "--find-links relative/folder",
    ]
    # The files of an index lie beside its pages.
    assert local_files(lines) == [wheels, index.parent, constraints]


def test_folders_in_which_images_have_their_own_are_not_hidden() -> None:
    assert local_files(["/", "/usr", "/etc", "/tmp", "file:///usr", "file:///", "/var"]) == []
    assert local_files(["file:///usr/bin"]) == [Path("/usr/bin")]


def test_addresses_may_have_blanks_in_them(tmp_path: Path) -> None:
    folder = tmp_path / "my wheels" / "simple"
    folder.mkdir(parents=True)
    assert local_files([f"--index-url {folder.as_uri()}"]) == [folder.parent]


def test_certificates_are_those_that_were_named(tmp_path: Path) -> None:
    bundle = tmp_path / "ca.pem"
    bundle.touch()
    assert certificates({"SSL_CERT_FILE": str(bundle)}) == str(bundle)
    assert certificates({"SSL_CERT_FILE": str(tmp_path / "missing")}) != str(tmp_path / "missing")


def test_files_belong_to_the_emulators_user_whatever_the_engine_makes_of_users() -> None:
    assert user_of_files({"SecurityOptions": ["name=seccomp,profile=default"]}, 1000, 100) == ("1000:100", "")
    assert user_of_files({"SecurityOptions": ["name=seccomp", "name=rootless"]}, 1000, 100) == ("0:0", "")
    assert user_of_files({"SecurityOptions": ["name=userns"]}, 1000, 100) == ("1000:100", "host")
    assert user_of_files({}, 0, 0) == ("0:0", "")
