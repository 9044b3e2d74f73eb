"""What an interpreter says of itself, and what is kept of it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.support.old_pythons import need_python

from localaml.compute.docker.image_facts import PROBE, FactsStore, ImageFacts, ImageInterpreter, read_answer

IMAGE = f"sha256:{'a' * 64}"


def _asked(python: str, scope: str = "all", **environ: str) -> str:
    done = subprocess.run(
        [python, "-c", PROBE, scope],
        env={"PATH": os.environ["PATH"], "LOCALAML_PROBE": PROBE, **environ},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("version", ["2.7", "3.6", "3.7", f"3.{sys.version_info.minor}"])
def test_every_python_answers(version: str, tmp_path: Path) -> None:
    python = need_python(version) if version != f"3.{sys.version_info.minor}" else sys.executable
    facts = read_answer(_asked(python, PATH=str(tmp_path)))
    assert facts is not None
    own = facts.interpreters[0]
    assert own.path == python and own.version.startswith(f"{version}.") and own.implementation == "cpython"
    if sys.platform == "linux":
        assert facts.libc.startswith("glibc") == (facts.glibc is not None)


def test_others_are_found_by_their_names(tmp_path: Path) -> None:
    for name in ("python", "python3", "python3.9", "python3-config", "pythonic"):
        (tmp_path / name).symlink_to(sys.executable)
    broken = tmp_path / "python3.4"
    broken.write_text("#!/bin/sh\nexit 3\n")
    broken.chmod(0o755)
    facts = read_answer(_asked(sys.executable, PATH=str(tmp_path)))
    assert facts is not None
    assert {name: Path(path).name for name, path in facts.names.items()} == {
        name: name for name in ("python", "python3", "python3.4", "python3.9")
    }
    # One interpreter with many names is one; what does not answer is none.
    real = [os.path.realpath(python.path) for python in facts.interpreters]
    assert len(set(real)) == len(real)
    assert not any("python3.4" in python.path for python in facts.interpreters if python.path.startswith(str(tmp_path)))


def test_only_pythons_that_the_scripts_run_on_are_taken_for_them() -> None:
    def made(*versions: str) -> ImageFacts:
        return ImageFacts(tuple(ImageInterpreter(f"/{v}", v, "cpython", "linux-x86_64") for v in versions))

    assert made("2.7.18", "3.6.9").for_scripts() is None
    found = made("2.7.18", "3.7.0", "3.12.1").for_scripts()
    assert found is not None and found.version == "3.7.0"


@pytest.mark.parametrize(
    "output",
    [
        *("", "Segmentation fault", "localaml-facts:", "localaml-facts:[]", "localaml-facts:{}"),
        *('localaml-facts:{"interpreters": []}', 'localaml-facts:{"interpreters": [["python", "3", "", ""]]}'),
        *('localaml-facts:{"interpreters": 1}', 'localaml-facts:{"interpreters": [[1, 2, 3, 4]], "names": 3}'),
    ],
)
def test_what_is_no_answer_is_none(output: str) -> None:
    assert read_answer(output) is None


def test_what_is_printed_before_the_answer_does_not_matter() -> None:
    assert read_answer("welcome!\n" + _asked(sys.executable, "one")) is not None


def test_facts_are_kept_over_restarts(tmp_path: Path) -> None:
    python = ImageInterpreter("/usr/bin/python3", "3.11.2", "cpython", "linux-x86_64")
    facts = ImageFacts((python,), "glibc 2.36", {"python3": python.path}).with_other("/nowhere", None)
    FactsStore(tmp_path).put(IMAGE, facts)
    assert FactsStore(tmp_path).get(IMAGE) == facts
    assert [file.name for file in tmp_path.iterdir()] == [f"{'a' * 64}.json"]


@pytest.mark.parametrize(
    "content", ["", "{", "[]", '{"format": 0}', '{"format": 1}', '{"format": 1, "interpreters": 3}']
)
def test_a_damaged_file_is_as_good_as_none(content: str, tmp_path: Path) -> None:
    (tmp_path / f"{'a' * 64}.json").write_text(content)
    assert FactsStore(tmp_path).get(IMAGE) is None
