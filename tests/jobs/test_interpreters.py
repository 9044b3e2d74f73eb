"""The right Python is found, by name first and by asking it second."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from localaml.errors import FailedPrecondition, InvalidArgument
from localaml.jobs.environments.conda import PythonWish, read_conda_dependencies
from localaml.jobs.environments.interpreters import Interpreters
from localaml.jobs.environments.python_of_day import python_of_day

OWN = ".".join(str(part) for part in sys.version_info[:3])


def _wish(text: str) -> PythonWish:
    return read_conda_dependencies({"dependencies": [f"python{text}"]}).python


def _python(path: Path, version: str) -> Path:
    """A program that answers as a Python of this version does, and leaves a trace of having been asked."""
    parts = version.replace(".", ", ")
    path.parent.mkdir(parents=True, exist_ok=True)
    answer = f'["{path}", [{parts}], "CPython", "linux-x86_64"]'
    path.write_text(f"#!/bin/sh\necho asked >> {path}.asked\necho '{answer}'\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "bin").mkdir()
    return {"HOME": str(tmp_path), "PATH": f"{tmp_path}/bin"}


async def test_without_a_wish_it_is_the_emulators_own_outside_of_its_virtual_environment(
    environ: dict[str, str],
) -> None:
    found = await Interpreters([], environ).find(PythonWish())
    assert found.version == OWN
    assert str(found.path).startswith(sys.base_prefix)


async def test_only_those_are_asked_whose_name_fits(environ: dict[str, str], tmp_path: Path) -> None:
    _python(tmp_path / "bin/python3.98", "3.98.1")
    _python(tmp_path / "bin/python3.99", "3.99.1")
    interpreters = Interpreters([], environ)
    for _ in range(2):
        assert (await interpreters.find(_wish("=3.99"))).version == "3.99.1"
    assert not (tmp_path / "bin/python3.98.asked").exists()
    assert (tmp_path / "bin/python3.99.asked").read_text() == "asked\n"


async def test_the_exact_patch_is_preferred_and_another_one_accepted(environ: dict[str, str], tmp_path: Path) -> None:
    for version in ("3.99.1", "3.99.5"):
        _python(tmp_path / ".pyenv/versions" / version / "bin/python3", version)
    interpreters = Interpreters([], environ)
    assert (await interpreters.find(_wish("=3.99.1"))).version == "3.99.1"
    assert (await interpreters.find(_wish("=3.99.2"))).version == "3.99.5"
    assert (await interpreters.find(_wish(">=3.99.2"))).version == "3.99.5"


async def test_pyenvs_uvs_and_named_ones_are_found_and_shims_are_not(environ: dict[str, str], tmp_path: Path) -> None:
    _python(tmp_path / ".pyenv/versions/3.95.0/bin/python3", "3.95.0")
    _python(tmp_path / ".local/share/uv/python/cpython-3.96.2-linux-x86_64-gnu/bin/python3", "3.96.2")
    _python(tmp_path / ".pyenv/shims/python3.97", "3.97.0")
    named = _python(tmp_path / "elsewhere/snake", "3.98.0")
    environ["PATH"] += f":{tmp_path}/.pyenv/shims"
    interpreters = Interpreters([named], environ)
    assert (await interpreters.find(_wish("=3.95"))).version == "3.95.0"
    assert (await interpreters.find(_wish("=3.96"))).version == "3.96.2"
    assert (await interpreters.find(_wish("=3.98"))).path == named
    with pytest.raises(FailedPrecondition, match=r"3\.97.*3\.95\.0, 3\.96\.2, 3\.98\.0") as error:
        await interpreters.find(_wish("=3.97"))
    assert error.value.reason == "PYTHON_NOT_FOUND"


async def test_one_that_does_not_start_is_passed_over(environ: dict[str, str], tmp_path: Path) -> None:
    broken = tmp_path / "bin/python3.99"
    broken.write_text("#!/bin/sh\nexit 1\n")
    broken.chmod(0o755)
    (tmp_path / "bin/python3.98").write_text("not executable")
    interpreters = Interpreters([], environ)
    for minor in ("3.99", "3.98"):
        with pytest.raises(FailedPrecondition):
            await interpreters.find(_wish(f"={minor}"))


async def test_commands_of_user_managed_environments(environ: dict[str, str], tmp_path: Path) -> None:
    interpreters = Interpreters([], environ)
    with pytest.raises(FailedPrecondition, match="'python'"):
        await interpreters.find_command("python")
    python3 = _python(tmp_path / "bin/python3", "3.9.1")
    assert (await interpreters.find_command("python")).path == python3
    assert (await interpreters.find_command(sys.executable)).version == OWN
    with pytest.raises(FailedPrecondition, match="/opt/miniconda/bin/python") as error:
        await interpreters.find_command("/opt/miniconda/bin/python")
    assert error.value.reason == "PYTHON_NOT_FOUND"
    with pytest.raises(InvalidArgument):
        await interpreters.find_command("envs/bin/python")


@pytest.mark.parametrize(
    ("day", "good", "bad"),
    [
        ("2018-12-04", "3.6.15", "3.7.1"),
        ("2019-06-01", "3.7.1", "3.8.0"),
        ("2019-12-31", "3.7.16", "3.8.1"),
        ("2022-01-01", "3.9.1", "3.10.0"),
    ],
)
def test_packages_of_a_past_day_get_a_python_of_that_day(day: str, good: str, bad: str) -> None:
    wish = python_of_day(day)
    assert wish.fits(good)
    assert not wish.fits(bad)
    assert not wish.fits("3.5.9"), "the SDK does not run on it"


def test_no_python_is_wished_for_a_day_that_no_release_was_too_new_for() -> None:
    assert python_of_day("2099-01-01") == python_of_day("no day") == PythonWish()
