"""Environments are built once, by the real uv, and are whole or not there. Two of the tests ask the real index."""

from __future__ import annotations

import asyncio
import fcntl
import io
import os
import subprocess
import sys
import tarfile
import time
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from localaml.clock import RealClock
from localaml.domain.job import PythonEnvironmentSpec
from localaml.errors import FailedPrecondition, InvalidArgument
from localaml.jobs.environments.builder import MARKER, UvEnvironmentBuilder
from localaml.jobs.environments.contract import PreparedEnvironment
from localaml.jobs.environments.folder_lock import FolderLock
from localaml.jobs.environments.interpreters import Interpreters
from localaml.jobs.environments.uv_tool import failure_reason
from localaml.settings import EnvironmentSettings


def make_wheel(folder: Path, name: str, version: str, requires: tuple[str, ...] = ()) -> None:
    """A wheel with one module, which knows its version."""
    info = f"{name}-{version}.dist-info"
    metadata = [
        f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}",
        *(f"Requires-Dist: {word}" for word in requires),
    ]
    folder.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as wheel:
        wheel.writestr(f"{name}.py", f"version = {version!r}\n")
        wheel.writestr(f"{info}/METADATA", "\n".join(metadata) + "\n")
        wheel.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr(f"{info}/RECORD", f"{name}.py,,\n{info}/METADATA,,\n{info}/WHEEL,,\n{info}/RECORD,,\n")


# Waits for ever when the file `SLOW_BUILD` names is there to be filled, so that a test can catch it in the act.
_SLOW_BACKEND = """
import os, sys, time, zipfile
def build_wheel(folder, config_settings=None, metadata_directory=None):
    trace = os.environ.get("SLOW_BUILD")
    if trace:
        with open(trace + ".partial", "w") as file:
            file.write(str(os.getpid()))
        os.rename(trace + ".partial", trace)
        time.sleep(600)
    name = "slow-1.0-py3-none-any.whl"
    with zipfile.ZipFile(os.path.join(folder, name), "w") as wheel:
        wheel.writestr("slow.py", "")
        wheel.writestr("slow-1.0.dist-info/METADATA", "Metadata-Version: 2.2\\nName: slow\\nVersion: 1.0\\n")
        wheel.writestr("slow-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        wheel.writestr("slow-1.0.dist-info/RECORD", "slow.py,,\\n")
    return name
"""


def make_slow_sdist(folder: Path) -> None:
    """A source distribution whose versions are known at once and whose build may take for ever."""
    files = {
        "PKG-INFO": "Metadata-Version: 2.2\nName: slow\nVersion: 1.0\n",
        "pyproject.toml": '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
        '[project]\nname = "slow"\nversion = "1.0"\n',
        "backend.py": _SLOW_BACKEND,
    }
    folder.mkdir(parents=True, exist_ok=True)
    with tarfile.open(folder / "slow-1.0.tar.gz", "w:gz") as archive:
        for name, text in files.items():
            entry = tarfile.TarInfo(f"slow-1.0/{name}")
            entry.size = len(text.encode())
            archive.addfile(entry, io.BytesIO(text.encode()))


class Bench:
    """A cache folder and a folder of wheels that is the only index."""

    def __init__(self, folder: Path) -> None:
        self.cache, self.wheels = folder / "cache", folder / "wheels"
        self.log: list[str] = []
        make_wheel(self.wheels, "tiny", "1.0")
        make_wheel(self.wheels, "tiny", "2.0")
        make_wheel(self.wheels, "needy", "1.0", ("tiny", "azureml-core>=1.0"))
        self.environ = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "UV_"))}
        self.environ |= {"PIP_CONFIG_FILE": "/dev/null", "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(self.wheels)}

    def builder(self, environ: Mapping[str, str] = {}, **settings: Any) -> UvEnvironmentBuilder:
        return UvEnvironmentBuilder(
            self.cache, EnvironmentSettings(**settings), RealClock(), environ={**self.environ, **environ}
        )

    async def prepare(self, *dependencies: Any, builder: UvEnvironmentBuilder | None = None) -> PreparedEnvironment:
        spec = PythonEnvironmentSpec(conda_dependencies={"dependencies": list(dependencies)})
        return await (builder or self.builder()).prepare(spec, mpi=False, log=self.log.append)

    def environments(self) -> list[Path]:
        return sorted((self.cache / "environments").glob("*"))


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def _run(environment: PreparedEnvironment, code: str, **variables: str) -> str:
    done = subprocess.run(
        [str(environment.python), "-c", code],
        env={"PATH": os.environ["PATH"], **environment.variables, **variables},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


# -- building -------------------------------------------------------------------------------------------------------


async def test_an_environment_has_what_was_asked_for_and_nothing_of_the_emulators(bench: Bench) -> None:
    environment = await bench.prepare("tiny=1")
    assert environment.built
    assert _run(environment, "import tiny; print(tiny.version)") == "1.0"
    assert _run(environment, "import importlib.util as u; print([u.find_spec(n) for n in ('grpc', 'localaml')])") == (
        "[None, None]"
    )
    assert environment.python_version == sys.version_info[:2]
    assert environment.bin_dir == environment.python.parent
    assert any("tiny==1.0" in line for line in bench.log)


async def test_an_empty_spec_gives_a_bare_environment(bench: Bench) -> None:
    environment = await bench.prepare()
    assert environment.built
    assert _run(environment, "import sys; print(sys.prefix != sys.base_prefix)") == "True"


async def test_the_second_time_nothing_is_built_and_no_process_is_started(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    builder = bench.builder()
    first = await bench.prepare("tiny", builder=builder)
    bench.log.clear()

    def start(*command: object, **_: object) -> None:
        raise AssertionError(f"{command} was started")

    monkeypatch.setattr(subprocess, "Popen", start)  # asyncio's processes are made by it, too
    again = await bench.prepare("tiny", builder=builder)
    assert not again.built
    assert again.python == first.python
    assert not (await bench.prepare("tiny")).built, "another emulator on the same cache"
    assert bench.log == []


async def test_specs_with_the_same_packages_share_an_environment(bench: Bench) -> None:
    first = await bench.prepare("tiny=2")
    second = await bench.prepare({"pip": ["tiny>1"]})
    assert first.python == second.python
    assert not second.built
    assert len(bench.environments()) == 1


async def test_versions_are_frozen_once_for_a_spec(bench: Bench) -> None:
    await bench.prepare("tiny")
    make_wheel(bench.wheels, "tiny", "3.0")
    assert _run(await bench.prepare("tiny"), "import tiny; print(tiny.version)") == "2.0"
    assert _run(await bench.prepare("tiny>=1"), "import tiny; print(tiny.version)") == "3.0"


async def test_azure_mls_packages_are_not_installed_also_when_another_package_wants_them(bench: Bench) -> None:
    environment = await bench.prepare({"pip": ["needy", "azureml-defaults"]})
    assert _run(environment, "import needy, tiny, importlib.util as u; print(u.find_spec('azureml'))") == "None"
    assert any("azureml-defaults: served by LocalAML's own SDK" in line for line in bench.log)


async def test_a_constraints_file_counts_and_changes_the_question(bench: Bench, tmp_path: Path) -> None:
    file = tmp_path / "constraints.txt"
    for version in ("1.0", "2.0"):
        file.write_text(f"tiny=={version}\n")
        environment = await bench.prepare("tiny", builder=bench.builder(constraints_file=file))
        assert _run(environment, "import tiny; print(tiny.version)") == version
    file.unlink()
    with pytest.raises(FailedPrecondition) as error:
        await bench.prepare("tiny", builder=bench.builder(constraints_file=file))
    assert error.value.reason == "CONSTRAINTS_FILE_MISSING"


async def test_the_variables_of_an_environment_file_are_handed_on(bench: Bench) -> None:
    spec = PythonEnvironmentSpec(conda_dependencies={"variables": {"MODE": "x"}})
    assert (await bench.builder().prepare(spec, mpi=False, log=bench.log.append)).variables == {"MODE": "x"}


async def test_every_python_of_this_machine_gets_environments(bench: Bench) -> None:
    found = await Interpreters([], os.environ).all()
    for minor in sorted({interpreter.minor for interpreter in found}):
        environment = await bench.prepare(f"python={minor[0]}.{minor[1]}", "tiny=1")
        assert environment.python_version == minor
        assert _run(environment, "import sys, tiny; print(sys.version_info[:2])") == str(minor)


# -- when it does not work ------------------------------------------------------------------------------------------


async def test_what_does_not_exist_is_told_with_the_resolvers_reason(bench: Bench) -> None:
    with pytest.raises(FailedPrecondition, match="nosuchpackage") as error:
        await bench.prepare("nosuchpackage")
    assert error.value.reason == "ENVIRONMENT_BUILD_FAILED"
    assert any("nosuchpackage" in line for line in bench.log)
    with pytest.raises(FailedPrecondition, match=r"tiny==1\.0.*tiny==2\.0|tiny==2\.0.*tiny==1\.0"):
        await bench.prepare("tiny==1.0", {"pip": ["tiny==2.0"]})
    assert bench.environments() == []


async def test_what_was_never_there_cannot_be_had_offline(bench: Bench) -> None:
    builder = bench.builder(
        {"PIP_NO_INDEX": "", "PIP_FIND_LINKS": "", "PIP_INDEX_URL": "https://index.invalid/simple"}, offline=True
    )
    with pytest.raises(FailedPrecondition, match="offline") as error:
        await bench.prepare("tiny", builder=builder)
    assert error.value.reason == "ENVIRONMENT_BUILD_FAILED"


async def test_passwords_of_an_index_are_in_no_log_and_no_message(bench: Bench) -> None:
    environ = {"PIP_NO_INDEX": "", "PIP_INDEX_URL": "http://me:pa55word@127.0.0.1:9/simple", "UV_HTTP_RETRIES": "0"}
    with pytest.raises(FailedPrecondition) as error:
        await bench.prepare("nosuchpackage", builder=bench.builder(environ))
    assert "127.0.0.1:9" in error.value.message
    assert "pa55word" not in error.value.message + "".join(bench.log)


async def test_an_environment_that_was_never_finished_is_built_anew(bench: Bench) -> None:
    environment = await bench.prepare("tiny")
    folder = environment.bin_dir.parent
    (folder / MARKER).unlink()
    (folder / "half").touch()
    again = await bench.prepare("tiny")
    assert again.built
    assert not (folder / "half").exists()
    assert (folder / MARKER).exists()


async def test_an_environment_whose_python_is_gone_is_built_anew(bench: Bench) -> None:
    builder = bench.builder()
    environment = await bench.prepare("tiny", builder=builder)
    environment.python.unlink()
    environment.python.symlink_to("/nowhere/python")
    assert (await bench.prepare("tiny", builder=builder)).built
    assert _run(environment, "import tiny; print(tiny.version)") == "2.0"


async def test_a_cancelled_build_leaves_no_process_and_no_folder(bench: Bench, tmp_path: Path) -> None:
    make_slow_sdist(bench.wheels)
    trace = tmp_path / "trace"
    builder = bench.builder({"SLOW_BUILD": str(trace)})
    task = asyncio.create_task(bench.prepare("slow", builder=builder))
    deadline = time.monotonic() + 60
    while not trace.exists():
        assert not task.done(), task.exception()
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)
    process = int(trace.read_text())
    assert len(bench.environments()) == 1
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert bench.environments() == []
    assert list((bench.cache / "tmp").iterdir()) == []
    while _is_alive(process):
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)
    assert (await bench.prepare("slow")).built


def _is_alive(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


async def test_bad_specs_are_refused_before_anything_is_started(bench: Bench) -> None:
    with pytest.raises(InvalidArgument) as error:
        await bench.prepare("cudatoolkit=10")
    assert error.value.reason == "ENVIRONMENT_INVALID"
    assert not bench.cache.exists()


async def test_a_python_that_is_not_there_is_told_with_those_that_are(bench: Bench) -> None:
    with pytest.raises(FailedPrecondition, match=f"found: .*{sys.version_info[0]}.{sys.version_info[1]}") as error:
        await bench.prepare("python=3.99")
    assert error.value.reason == "PYTHON_NOT_FOUND"


# -- several at a time ----------------------------------------------------------------------------------------------


async def test_two_emulators_build_one_environment_once(bench: Bench) -> None:
    results = await asyncio.gather(*(bench.prepare("tiny", builder=bench.builder()) for _ in range(4)))
    assert [result.built for result in results].count(True) == 1
    assert len({result.python for result in results}) == 1
    assert _run(results[0], "import tiny; print(tiny.version)") == "2.0"


async def test_a_lock_held_elsewhere_is_waited_for_and_waiting_can_be_cancelled(tmp_path: Path) -> None:
    path = tmp_path / "locks" / "key"
    async with FolderLock(path):
        waiting = asyncio.create_task(_lock_and_release(path))
        cancelled = asyncio.create_task(_lock_and_release(path))
        await asyncio.sleep(0)
        cancelled.cancel()
        with pytest.raises(asyncio.CancelledError):
            await cancelled
        assert not waiting.done()
    await asyncio.wait_for(waiting, 10)
    await asyncio.wait_for(_lock_and_release(path), 10)


async def _lock_and_release(path: Path) -> None:
    async with FolderLock(path) as lock:
        other = os.open(path, os.O_RDWR)
        try:
            with pytest.raises(BlockingIOError):
                fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
        finally:
            os.close(other)
        assert lock.fileno >= 0


# -- user managed ---------------------------------------------------------------------------------------------------


async def test_a_user_managed_interpreter_is_taken_as_it_is(bench: Bench) -> None:
    spec = PythonEnvironmentSpec(
        user_managed=True, interpreter=sys.executable, conda_dependencies={"dependencies": ["x"]}
    )
    environment = await bench.builder().prepare(spec, mpi=False, log=bench.log.append)
    assert environment.python == Path(sys.executable)
    assert not environment.built
    assert not bench.environments()


# -- with the real index --------------------------------------------------------------------------------------------


async def test_a_package_of_the_real_index_and_again_offline(tmp_path: Path) -> None:
    log: list[str] = []
    spec = PythonEnvironmentSpec(conda_dependencies={"dependencies": ["six==1.16.0"]})
    builder = UvEnvironmentBuilder(tmp_path, EnvironmentSettings(exclude_newer="2022-01-01"), RealClock())
    environment = await builder.prepare(spec, mpi=False, log=log.append)
    assert _run(environment, "import six; print(six.__version__)") == "1.16.0"
    (environment.bin_dir.parent / MARKER).unlink()
    offline = UvEnvironmentBuilder(tmp_path, EnvironmentSettings(exclude_newer="2022-01-01", offline=True), RealClock())
    assert (await offline.prepare(spec, mpi=False, log=log.append)).built
    assert _run(environment, "import six; print(six.__version__)") == "1.16.0"


async def test_mpi4py_finds_the_open_mpi_beside_the_emulator(tmp_path: Path) -> None:
    builder = UvEnvironmentBuilder(tmp_path, EnvironmentSettings(), RealClock())
    environment = await builder.prepare(PythonEnvironmentSpec(), mpi=True, log=lambda line: None)
    assert environment.open_mpi_prefix is not None
    assert (environment.open_mpi_prefix / "bin" / "mpirun").is_file()
    assert not list(environment.bin_dir.glob("mpi*")), "there is none inside"
    code = "from mpi4py import MPI; print(MPI.COMM_WORLD.Get_size(), MPI.Get_library_version())"
    answer = _run(environment, code, OMPI_MCA_pml="ob1", OMPI_MCA_btl="self")
    assert answer.startswith("1 Open MPI v4.")


# -- words ----------------------------------------------------------------------------------------------------------


def test_the_reason_of_a_failure_is_uvs_without_its_drawing() -> None:
    lines = [
        "Using Python 3.11.7 environment at: x",
        "  × No solution found when resolving dependencies:",
        "  ╰─▶ Because foo was not found and you require foo,",
        "      we can conclude that your requirements are unsatisfiable.",
    ]
    assert failure_reason(lines) == (
        "No solution found when resolving dependencies: Because foo was not found and you require foo, "
        "we can conclude that your requirements are unsatisfiable."
    )
    assert len(failure_reason(["error: " + "x" * 10_000])) < 1600
