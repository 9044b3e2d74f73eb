"""Runs: submitting, performing, watching, listing, steering."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from tests.services.harness import EXPERIMENT, GROUP, WORKSPACE, Emulated

from localaml.errors import AlreadyExists, FailedPrecondition, InvalidArgument, NotFound, Unimplemented
from localaml_proto.v1 import experiment_pb2, resources_pb2, run_pb2

R = run_pb2


async def _get(emulator: Emulated, name: str) -> run_pb2.Run:
    run: run_pb2.Run = await emulator.call("RunService/GetRun", run_pb2.GetRunRequest(name=name))
    return run


async def test_a_submitted_run_goes_to_its_end(emulator: Emulated) -> None:
    await emulator.cluster()
    run = await emulator.submit({"target": "cpu"}, tags={"a": "b"}, properties={"p": "q"})
    assert run.name == f"{EXPERIMENT}/runs/{run.run_id}"
    experiment, seconds, random = run.run_id.rsplit("_", 2)
    assert (experiment, len(random)) == ("exp", 8) and seconds.isdigit()
    assert (run.number, run.run_type, run.target, run.submitted) == (1, "azureml.scriptrun", "cpu", True)
    assert run.state in (R.RUN_STATE_QUEUED, R.RUN_STATE_PREPARING)
    assert dict(run.tags) == {"a": "b"}
    snapshot_id = await emulator.snapshot()
    assert dict(run.properties) == {"azureml.runsource": "experiment", "ContentSnapshotId": snapshot_id, "p": "q"}
    assert (run.root_run_id, run.parent_run_id, run.definition.script) == (run.run_id, "", "train.py")

    running = await emulator.until(run, R.RUN_STATE_RUNNING)
    assert running.HasField("start_time") and not running.HasField("end_time")
    emulator.runtime.jobs[run.run_id].end(3)
    failed = await emulator.until(run, R.RUN_STATE_FAILED)
    assert failed.error.code == "USER_SCRIPT_FAILED"
    assert failed.HasField("end_time")
    assert failed.state_changes[0].state == R.RUN_STATE_NOT_STARTED


async def test_submits_are_idempotent(emulator: Emulated) -> None:
    first = await emulator.submit(request_id="q", run_id="r")
    assert (await emulator.submit(request_id="q")).run_id == "r"
    assert (await emulator.submit(run_id="r")).number == first.number
    for changes in (
        {"definition": {"arguments": ["x"]}},
        {"parent": f"{WORKSPACE}/experiments/other"},
        {"parent_run_id": "r"},
    ):
        with pytest.raises(AlreadyExists) as caught:
            await emulator.submit(run_id="r", **changes)
        assert caught.value.reason == "RUN_EXISTS"
    assert (await emulator.submit()).number == 2


@pytest.mark.parametrize(
    ("reason", "kind", "definition", "request_values"),
    [
        ("COMPUTE_TARGET_NOT_FOUND", NotFound, {"target": "nope"}, {}),
        ("NODE_COUNT_TOO_LARGE", InvalidArgument, {"target": "cpu", "nodeCount": 5, "communicator": "Mpi"}, {}),
        ("VM_SIZE_REQUIRED", InvalidArgument, {"target": "amlcompute"}, {}),
        ("DISTRIBUTED_BACKEND_NOT_SUPPORTED", Unimplemented, {"communicator": "ParallelTask"}, {}),
        (
            "PATH_ON_COMPUTE_NOT_ALLOWED",
            InvalidArgument,
            {"dataReferences": {"d": {"dataStoreName": "workspaceblobstore", "pathOnCompute": "/tmp/dataset"}}},
            {},
        ),
        ("INVALID_NAME", InvalidArgument, {}, {"run_id": "a/b"}),
        ("INVALID_NAME", InvalidArgument, {}, {"run_id": "x" * 300}),
        ("PARENT_RUN_NOT_FOUND", NotFound, {}, {"parent_run_id": "nope"}),
        ("INVALID_LABEL", InvalidArgument, {}, {"tags": {"": "x"}}),
        ("INVALID_LABEL", InvalidArgument, {}, {"properties": {"a\nb": "x"}}),
    ],
)
async def test_a_refused_submit_leaves_nothing(
    emulator: Emulated, reason: str, kind: type[Exception], definition: dict[str, Any], request_values: dict[str, Any]
) -> None:
    await emulator.cluster()
    with pytest.raises(kind) as caught:
        await emulator.submit(definition, **request_values)
    assert caught.value.reason == reason  # type: ignore[attr-defined]
    workspace_id = await emulator.workspace_id()
    assert emulator.store.experiments.list(workspace_id) == []
    assert emulator.store.runs.list_active() == []


async def test_bad_parents(emulator: Emulated) -> None:
    for parent in (
        f"{WORKSPACE}/experiments/-",
        f"{WORKSPACE}/experiments/a%b",
        f"{WORKSPACE}/experiments/{'x' * 300}",
    ):
        with pytest.raises(InvalidArgument):
            await emulator.submit(parent=parent)
    with pytest.raises(NotFound) as caught:
        await emulator.submit(parent=f"{GROUP}/workspaces/missing/experiments/e")
    assert caught.value.reason == "WORKSPACE_NOT_FOUND"


async def test_the_longest_experiment_name_gives_a_good_run_id(emulator: Emulated) -> None:
    run = await emulator.submit(parent=f"{WORKSPACE}/experiments/{'e' * 256}")
    assert (await _get(emulator, run.name)).name == run.name


async def test_a_cluster_of_its_own(emulator: Emulated) -> None:
    run = await emulator.submit({"target": "amlcompute", "amlcompute": {"vmSize": "STANDARD_D2_V2"}})
    assert run.target.startswith("amlc-")
    await emulator.until(run, R.RUN_STATE_RUNNING)
    emulator.runtime.jobs[run.run_id].end()
    await emulator.until(run, R.RUN_STATE_COMPLETED)


async def test_warnings_are_on_the_run(emulator: Emulated) -> None:
    run = await emulator.submit({"environment": {"docker": {"baseImage": "me/image"}}})
    assert [warning.code for warning in run.warnings] == ["DOCKER_SETTINGS_IGNORED"]


async def test_runs_that_callers_perform(emulator: Emulated) -> None:
    run = await emulator.create_run("own", display_name="My run", run_type="t", tags={"a": "b"}, request_id="q")
    assert (run.state, run.submitted, run.display_name, run.run_type) == (R.RUN_STATE_RUNNING, False, "My run", "t")
    assert run.HasField("start_time")
    assert (await emulator.create_run("another", request_id="q")).run_id == "own"
    with pytest.raises(AlreadyExists):
        await emulator.create_run("own")
    child = await emulator.create_run("", parent_run_id="own")
    grandchild = await emulator.create_run("grandchild", parent_run_id=child.run_id)
    assert (child.root_run_id, grandchild.root_run_id, child.number) == ("own", "own", 2)

    completed = await emulator.call("RunService/CompleteRun", R.CompleteRunRequest(name=run.name))
    assert completed.state == R.RUN_STATE_COMPLETED
    again = await emulator.call("RunService/CompleteRun", R.CompleteRunRequest(name=run.name))
    assert again == completed
    with pytest.raises(FailedPrecondition, match="cannot be canceled any more"):
        await emulator.call("RunService/CancelRun", R.CancelRunRequest(name=run.name))
    failed = await emulator.call("RunService/FailRun", R.FailRunRequest(name=run.name))
    assert (failed.state, failed.error.code, failed.end_time) == (R.RUN_STATE_FAILED, "UserError", completed.end_time)
    failed = await emulator.call(
        "RunService/FailRun",
        R.FailRunRequest(name=child.name, error=resources_pb2.ErrorDetail(code="Mine", message="gone wrong")),
    )
    assert (failed.state, failed.error.message) == (R.RUN_STATE_FAILED, "gone wrong")
    failed = await emulator.call("RunService/FailRun", R.FailRunRequest(name=grandchild.name))
    assert failed.error.code == "UserError"


async def test_names_of_runs(emulator: Emulated) -> None:
    await emulator.create_run("r")
    assert (await _get(emulator, f"{WORKSPACE}/experiments/-/runs/r")).name == f"{EXPERIMENT}/runs/r"
    upper = WORKSPACE.replace("group", "GROUP").replace("/ws", "/WS")
    assert (await _get(emulator, f"{upper}/experiments/exp/runs/r")).name == f"{EXPERIMENT}/runs/r"
    for name in (f"{WORKSPACE}/experiments/other/runs/r", f"{EXPERIMENT}/runs/missing"):
        with pytest.raises(NotFound) as caught:
            await _get(emulator, name)
        assert caught.value.reason == "RUN_NOT_FOUND"


async def test_updates(emulator: Emulated) -> None:
    run = await emulator.create_run("r", tags={"keep": "1", "change": "1", "drop": "1"}, properties={"p": "1"})

    async def update(**values: Any) -> run_pb2.Run:
        answer: run_pb2.Run = await emulator.call("RunService/UpdateRun", R.UpdateRunRequest(name=run.name, **values))
        return answer

    changed = await update(set_tags={"change": "2", "new": ""}, remove_tags=["drop", "never-there"])
    assert dict(changed.tags) == {"keep": "1", "change": "2", "new": ""}
    assert dict((await update(add_properties={"p": "1", "q": "2"})).properties) == {"p": "1", "q": "2"}
    with pytest.raises(FailedPrecondition, match="'p'") as caught:
        await update(add_properties={"n": "1", "p": "other"}, display_name="not taken")
    assert caught.value.reason == "PROPERTY_IMMUTABLE"
    changed = await update(description="d")
    assert (changed.display_name, changed.description, dict(changed.properties)) == ("", "d", {"p": "1", "q": "2"})
    assert (await update(display_name="")).description == "d"
    await emulator.call("RunService/CompleteRun", R.CompleteRunRequest(name=run.name))
    assert dict((await update(set_tags={"after": "end"})).tags)["after"] == "end"


async def test_a_watcher_sees_each_change_and_the_end(emulator: Emulated) -> None:
    run = await emulator.create_run("r")
    seen: list[run_pb2.Run] = []
    first = asyncio.Event()

    async def watch() -> None:
        async for message in emulator.stream("RunService/WatchRun", R.WatchRunRequest(name=run.name)):
            seen.append(message)
            first.set()

    watcher = asyncio.ensure_future(watch())
    await asyncio.wait_for(first.wait(), 5)
    await emulator.call("RunService/UpdateRun", R.UpdateRunRequest(name=run.name, set_tags={"a": "1"}))
    # No turn of the loop between these two: the watcher may miss the first, never the last.
    await emulator.call("RunService/UpdateRun", R.UpdateRunRequest(name=run.name, set_tags={"a": "2"}))
    await emulator.call("RunService/CompleteRun", R.CompleteRunRequest(name=run.name))
    await asyncio.wait_for(watcher, 5)
    assert seen[0].state == R.RUN_STATE_RUNNING and not seen[0].tags
    assert seen[-1].state == R.RUN_STATE_COMPLETED and dict(seen[-1].tags) == {"a": "2"}
    again = [message async for message in emulator.stream("RunService/WatchRun", R.WatchRunRequest(name=run.name))]
    assert [message.state for message in again] == [R.RUN_STATE_COMPLETED]


async def test_a_watcher_is_told_when_the_workspace_goes(emulator: Emulated) -> None:
    run = await emulator.create_run("r")
    stream = emulator.stream("RunService/WatchRun", R.WatchRunRequest(name=run.name))
    await anext(stream)
    emulator.store.workspaces.delete(await emulator.workspace_id())
    with pytest.raises(NotFound):
        await asyncio.wait_for(anext(stream), 5)


async def test_cancel(emulator: Emulated) -> None:
    run = await emulator.submit()
    await emulator.until(run, R.RUN_STATE_RUNNING)
    canceling = await emulator.call("RunService/CancelRun", R.CancelRunRequest(name=run.name))
    assert canceling.state == R.RUN_STATE_CANCEL_REQUESTED
    await emulator.until(run, R.RUN_STATE_CANCELED)
    with pytest.raises(FailedPrecondition):
        await emulator.call("RunService/CancelRun", R.CancelRunRequest(name=run.name))


async def test_lists_and_pages(emulator: Emulated) -> None:
    for number in range(5):
        await emulator.create_run(f"r{number}", tags={"even": str(number % 2 == 0)}, run_type="t")
    await emulator.create_run("child", parent_run_id="r0")
    await emulator.create_run("grandchild", parent_run_id="child")
    await emulator.create_run("elsewhere", parent=f"{WORKSPACE}/experiments/other")

    async def listed(size: int = 0, **values: Any) -> list[str]:
        names: list[str] = []
        token = ""
        while True:
            page = resources_pb2.PageRequest(page_size=size, page_token=token)
            request = R.ListRunsRequest(**{"parent": EXPERIMENT, **values}, page=page)
            answer = await emulator.call("RunService/ListRuns", request)
            assert len(answer.runs) <= (size or 1000)
            names += [run.run_id for run in answer.runs]
            token = answer.next_page_token
            if not token:
                return names

    newest_first = ["r4", "r3", "r2", "r1", "r0"]
    for size in (0, 1, 2, 5, 6):
        assert await listed(size) == newest_first
    assert await listed(include_children=True) == ["grandchild", "child", *newest_first]
    assert await listed(parent_run_id="r0") == ["child"]
    assert await listed(parent_run_id="r0", recursive=True) == ["grandchild", "child"]
    assert await listed(tags={"even": "True"}) == ["r4", "r2", "r0"]
    assert await listed(parent=f"{WORKSPACE}/experiments/-") == ["elsewhere", *newest_first]
    assert await listed(state=R.RUN_STATE_COMPLETED) == []
    assert await listed(run_type="t", state=R.RUN_STATE_RUNNING) == newest_first
    for page, reason in (
        (resources_pb2.PageRequest(page_size=-1), "INVALID_PAGE_SIZE"),
        (resources_pb2.PageRequest(page_token="!!"), "INVALID_PAGE_TOKEN"),
        (resources_pb2.PageRequest(page_token="eA"), "INVALID_PAGE_TOKEN"),
    ):
        with pytest.raises(InvalidArgument) as caught:
            await emulator.call("RunService/ListRuns", R.ListRunsRequest(parent=EXPERIMENT, page=page))
        assert caught.value.reason == reason
    with pytest.raises(InvalidArgument):
        await emulator.call("RunService/ListRuns", R.ListRunsRequest(parent=EXPERIMENT, state=99))  # type: ignore[arg-type]


async def test_no_answer_is_longer_than_a_message_may_be(emulator: Emulated) -> None:
    for number in range(8):
        await emulator.create_run(f"r{number}", properties={str(n): "x" * 30_000 for n in range(30)})
    names: list[str] = []
    token, pages = "", 0
    while token or not pages:
        request = R.ListRunsRequest(parent=EXPERIMENT, page=resources_pb2.PageRequest(page_token=token))
        answer = await emulator.call("RunService/ListRuns", request)
        assert answer.ByteSize() < 4_000_000
        names += [run.run_id for run in answer.runs]
        token, pages = answer.next_page_token, pages + 1
    assert names == [f"r{number}" for number in reversed(range(8))]
    assert pages > 1


async def test_experiments(emulator: Emulated) -> None:
    async def call(method: str, request: Any) -> Any:
        return await emulator.call(f"ExperimentService/{method}", request)

    made = await call("CreateExperiment", experiment_pb2.CreateExperimentRequest(parent=WORKSPACE, experiment_name="a"))
    again = await call(
        "CreateExperiment", experiment_pb2.CreateExperimentRequest(parent=WORKSPACE, experiment_name="a")
    )
    assert made == again and made.name == f"{WORKSPACE}/experiments/a" and len(made.experiment_id) == 36
    for name in ("", "a/b", "..", "x" * 300, "-a"):
        with pytest.raises(InvalidArgument):
            await call(
                "CreateExperiment", experiment_pb2.CreateExperimentRequest(parent=WORKSPACE, experiment_name=name)
            )
    await emulator.create_run("r")

    changed = await call(
        "UpdateExperiment",
        experiment_pb2.UpdateExperimentRequest(name=made.name, description="d", set_tags={"t": "1"}, archived=True),
    )
    assert changed.description == "d" and changed.HasField("archive_time")

    async def listed(**values: Any) -> list[str]:
        answer = await call("ListExperiments", experiment_pb2.ListExperimentsRequest(parent=WORKSPACE, **values))
        return [each.name.rpartition("/")[2] for each in answer.experiments]

    assert await listed() == ["exp"]
    assert await listed(view=experiment_pb2.EXPERIMENT_VIEW_ARCHIVED_ONLY) == ["a"]
    assert await listed(view=experiment_pb2.EXPERIMENT_VIEW_ALL) == ["a", "exp"]
    assert await listed(view=experiment_pb2.EXPERIMENT_VIEW_ALL, tags={"t": ""}) == ["a"]
    changed = await call("UpdateExperiment", experiment_pb2.UpdateExperimentRequest(name=made.name, archived=False))
    assert not changed.HasField("archive_time") and changed.description == "d"

    with pytest.raises(FailedPrecondition) as caught:
        await call("DeleteExperiment", experiment_pb2.DeleteExperimentRequest(name=EXPERIMENT))
    assert caught.value.reason == "EXPERIMENT_HAS_RUNS"
    await call("DeleteExperiment", experiment_pb2.DeleteExperimentRequest(name=made.name))
    with pytest.raises(NotFound):
        await call("GetExperiment", experiment_pb2.GetExperimentRequest(name=made.name))
    with pytest.raises(InvalidArgument):
        await call("GetExperiment", experiment_pb2.GetExperimentRequest(name=f"{WORKSPACE}/experiments/-"))


async def test_tags_do_not_grow_beyond_what_an_answer_can_hold(emulator: Emulated) -> None:
    """Each update is small enough; together they would not be."""
    run = await emulator.create_run("growing")
    text = "x" * 30_000
    for number in range(34):
        request = R.UpdateRunRequest(name=run.name, set_tags={str(number): text})
        await emulator.call("RunService/UpdateRun", request)
    with pytest.raises(InvalidArgument) as caught:
        await emulator.call("RunService/UpdateRun", R.UpdateRunRequest(name=run.name, set_tags={"more": text}))
    assert caught.value.reason == "INVALID_LABEL"
    # What is there can still be replaced.
    await emulator.call("RunService/UpdateRun", R.UpdateRunRequest(name=run.name, set_tags={"0": "short"}))
