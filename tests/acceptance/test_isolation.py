"""Emulators do not notice each other, nor do submits that come at the same time; nothing is left when they stop."""

from __future__ import annotations

import asyncio
import gc
import os
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
from tests.support.emulator_process import EmulatorProcess, processes_of
from tests.support.waiting import wait_until

from localaml.server import Emulator
from localaml.settings import Settings


@contextmanager
def sdk_for(address: str, token_file: Path) -> Iterator[None]:
    """Points the SDK to one emulator."""
    names = {"LOCALAML_ENDPOINT": address, "LOCALAML_TOKEN_FILE": str(token_file)}
    before = {name: os.environ.get(name) for name in [*names, "LOCALAML_GRPC_ENDPOINT"]}
    os.environ.update(names)
    os.environ.pop("LOCALAML_GRPC_ENDPOINT", None)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _workspace_with_run(label: str, source: Path) -> Any:
    from azureml.core import Experiment, Workspace
    from azureml.train.estimator import Estimator

    workspace = Workspace.create("same-name", subscription_id="s", resource_group="g", show_output=False)
    script = source / f"{label}.py"
    script.write_text(f"from azureml.core import Run\nRun.get_context().log('label', {label!r})\n")
    estimator = Estimator(source_directory=str(source), entry_script=script.name, compute_target="local")
    run = Experiment(workspace, "e").submit(estimator)
    run.wait_for_completion()
    return workspace, run


async def test_two_emulators_in_one_process(tmp_path: Path, cache_dir: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    one = Settings(tmp_path / "one", cache_dir)
    two = Settings(tmp_path / "two", cache_dir)
    async with Emulator(one) as first, Emulator(two) as second:
        assert first.http_address != second.http_address
        results = []
        for emulator, settings, label in ((first, one, "first"), (second, two, "second")):
            with sdk_for(emulator.http_address, settings.state_dir / "token"):
                results.append(await asyncio.to_thread(_workspace_with_run, label, source))
        for (workspace, run), label in zip(results, ("first", "second"), strict=True):
            assert await asyncio.to_thread(run.get_metrics) == {"label": label}
            runs = await asyncio.to_thread(lambda w=workspace: list(w.experiments["e"].get_runs()))
            assert [found.id for found in runs] == [run.id]
        # What one of them gives away is worth nothing at the other.
        with sdk_for(second.http_address, one.state_dir / "token"):
            from azureml.core import Workspace
            from azureml.exceptions import AzureMLException

            with pytest.raises(AzureMLException, match="token"):
                await asyncio.to_thread(Workspace.list, "s")
    assert not processes_of(one.state_dir) and not processes_of(two.state_dir)


def test_eight_submits_at_the_same_time(tmp_path: Path, cache_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "train.py").write_text(
        "import sys\nfrom azureml.core import Run\nrun = Run.get_context()\n"
        "run.log('number', int(sys.argv[1]))\nopen('outputs/number.txt', 'w').write(sys.argv[1])\n"
    )
    with EmulatorProcess(tmp_path / "state", cache_dir) as emulator:
        for name, value in emulator.variables().items():
            monkeypatch.setenv(name, value)
        from azureml.core import Experiment, Workspace
        from azureml.core.compute import AmlCompute, ComputeTarget
        from azureml.train.estimator import Estimator

        workspace = Workspace.create("parallel", subscription_id="s", resource_group="g", show_output=False)
        settings = AmlCompute.provisioning_configuration("STANDARD_D2_V2", max_nodes=4)
        target = ComputeTarget.create(workspace, "cpu-cluster", settings)
        runs: dict[int, Any] = {}
        problems: list[BaseException] = []

        def submit(number: int) -> None:
            try:
                estimator = Estimator(
                    source_directory=str(source),
                    entry_script="train.py",
                    script_params={str(number): ""},
                    compute_target=target,
                )
                runs[number] = Experiment(workspace, "parallel").submit(estimator)
                runs[number].wait_for_completion()
            except BaseException as error:
                problems.append(error)

        threads = [threading.Thread(target=submit, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(100)
        assert not problems
        assert sorted(runs) == list(range(8))
        assert len({run.id for run in runs.values()}) == 8
        assert sorted(run.number for run in runs.values()) == list(range(1, 9))
        for number, run in runs.items():
            assert run.get_metrics() == {"number": number}
            path = tmp_path / f"{number}.txt"
            run.download_file("outputs/number.txt", str(path))
            assert path.read_text() == str(number)


async def test_nothing_is_left_behind(tmp_path: Path, cache_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No process, thread, file descriptor or temporary folder, after a run that itself leaves a process behind."""
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    monkeypatch.setenv("TMPDIR", str(temporary))
    source = tmp_path / "source"
    source.mkdir()
    (source / "leaver.py").write_text(
        "import subprocess\nsubprocess.Popen(['sleep', '600'], start_new_session=True)\nprint('gone', flush=True)\n"
    )

    def work() -> None:
        from azureml.core import Experiment, Workspace
        from azureml.train.estimator import Estimator

        workspace = Workspace.create("leaks", subscription_id="s", resource_group="g", show_output=False)
        estimator = Estimator(source_directory=str(source), entry_script="leaver.py", compute_target="local")
        run = Experiment(workspace, "e").submit(estimator)
        run.wait_for_completion()
        assert run.get_status() == "Completed"

    async def once(number: int) -> None:
        settings = Settings(tmp_path / f"state{number}", cache_dir)
        async with Emulator(settings) as emulator:
            with sdk_for(emulator.http_address, settings.state_dir / "token"):
                await asyncio.to_thread(work)
        wait_until(lambda: not processes_of(settings.state_dir), 10, "the end of all processes")
        assert not any((settings.state_dir / "runs").glob("*/*")), "run folders go with their runs"

    process = psutil.Process()
    await once(0)  # imports, thread pools and the like come once
    before = process.num_fds(), {thread.name for thread in threading.enumerate()}
    for number in range(1, 4):
        await once(number)
    gc.collect()  # the SDK's clients of emulators that are gone go with the last object that used them
    after = process.num_fds(), {thread.name for thread in threading.enumerate()}
    assert after[0] <= before[0]
    assert {name for name in after[1] - before[1] if "asyncio" not in name} == set()
    assert list(temporary.iterdir()) == []
