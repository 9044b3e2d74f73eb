"""State in one file, resets, seeds, and the history."""

from __future__ import annotations

import base64
import gzip
import io
import json
import os
import sqlite3
import sys
import tarfile
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from tests.cli.command_line import CommandLine

from azureml.core import Datastore, Environment, Experiment, ScriptRunConfig, Workspace
from azureml.core.compute import AmlCompute, ComputeTarget
from localaml.cli.failure import CliError
from localaml.testing import emulator
from localaml_proto.admin.v1 import admin_pb2, event_pb2, state_pb2


@pytest.fixture(scope="module")
def own() -> Iterator[Any]:
    """An emulator whose whole state may be replaced."""
    with emulator() as running:
        yield running


@pytest.fixture(autouse=True)
def empty(own: Any) -> None:
    own.client.call(own.client.admin.Reset, admin_pb2.ResetRequest())


def save(own: Any, path: Path, **more: Any) -> state_pb2.SaveStateResponse:
    request = state_pb2.SaveStateRequest(path=str(path), **more)
    return own.client.call(own.client.state.SaveState, request)


def load(own: Any, path: Path) -> state_pb2.LoadStateResponse:
    return own.client.call(own.client.state.LoadState, state_pb2.LoadStateRequest(path=str(path)))


def make(name: str) -> Workspace:
    return Workspace.create(name, subscription_id="s", resource_group="g", show_output=False)


def perform(workspace: Workspace, folder: Path, text: str, target: Any = "local") -> Any:
    folder.mkdir(exist_ok=True)
    (folder / "train.py").write_text(text)
    config = ScriptRunConfig(str(folder), "train.py", compute_target=target)
    config.run_config.environment.python.user_managed_dependencies = True
    config.run_config.environment.python.interpreter_path = sys.executable
    return Experiment(workspace, "exp").submit(config)


@pytest.fixture
def archive(own: Any, tmp_path: Path) -> Path:
    """A saved state: a workspace with a run, a cluster with a node, and data."""
    workspace = make("saved")
    run = perform(workspace, tmp_path / "src", "open('outputs/model', 'w').write('m' * 100_000)")
    run.wait_for_completion(show_output=False)
    configuration = AmlCompute.provisioning_configuration("STANDARD_D2_V2", min_nodes=1, max_nodes=1)
    ComputeTarget.create(workspace, "cpu", configuration).wait_for_completion()
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a b ü").write_text("data")
    workspace.get_default_datastore().upload(str(tmp_path / "data"), "d", show_progress=False)
    path = tmp_path / "state.localaml"
    answer = save(own, path)
    assert answer.object_count >= 4 and answer.archive_bytes == path.stat().st_size
    assert path.stat().st_mode & 0o077 == 0
    return path


def test_what_was_saved_is_there_after_loading(own: Any, archive: Path, tmp_path: Path) -> None:
    own.client.call(own.client.admin.Reset, admin_pb2.ResetRequest())
    other = make("other")
    other.get_default_datastore().upload(str(tmp_path / "data"), "d", show_progress=False)
    load(own, archive)
    assert list(Workspace.list("s")) == ["saved"]
    workspace = Workspace.get("saved", subscription_id="s", resource_group="g")
    [run] = Experiment(workspace, "exp").get_runs()
    assert run.get_status() == "Completed"
    run.download_file("outputs/model", str(tmp_path / "model"))
    assert (tmp_path / "model").stat().st_size == 100_000
    assert workspace.get_default_datastore().download(str(tmp_path / "down"), "d", show_progress=False) == 1
    assert (tmp_path / "down" / "d" / "a b ü").read_text() == "data"
    cluster = workspace.compute_targets["cpu"]
    cluster.wait_for_completion(min_node_count=1)
    again = perform(workspace, tmp_path / "src", "print('x')", cluster)
    again.wait_for_completion(show_output=False)
    assert again.get_status() == "Completed"
    own.restart()
    assert list(Workspace.list("s")) == ["saved"]


def test_not_while_runs_are_active(own: Any, archive: Path, tmp_path: Path) -> None:
    workspace = Workspace.get("saved", subscription_id="s", resource_group="g")
    run = perform(workspace, tmp_path / "src", "import time; time.sleep(600)")
    with pytest.raises(CliError, match=f"while runs are active.*{run.id}"):
        save(own, tmp_path / "other")
    with pytest.raises(CliError, match="while runs are active"):
        load(own, archive)
    assert not (tmp_path / "other").exists()
    run.cancel()
    run.wait_for_completion(show_output=False, raise_on_error=False)
    save(own, tmp_path / "other")


def test_files_are_not_replaced_unless_asked(own: Any, archive: Path) -> None:
    with pytest.raises(CliError, match="exists already"):
        save(own, archive)
    save(own, archive, overwrite=True)
    for path in ("relative", "/nowhere/at/all/x"):
        with pytest.raises(CliError):
            save(own, Path(path))
    assert [entry.name for entry in archive.parent.iterdir() if entry.name.startswith(".")] == []


# -- hostile and damaged archives ---------------------------------------------------------------------------------


Change = Callable[[tarfile.TarInfo, bytes], "list[tuple[tarfile.TarInfo, bytes]]"]


def rewrite(source: Path, target: Path, change: Change, more: tuple[tuple[tarfile.TarInfo, bytes], ...] = ()) -> None:
    with tarfile.open(source, "r:gz") as old, tarfile.open(target, "w:gz") as new:
        items = []
        for member in old:
            file = old.extractfile(member)
            assert file is not None
            items += change(member, file.read())
        for member, data in (*items, *more):
            member.size = len(data)
            new.addfile(member, io.BytesIO(data))


def named(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type, made.linkname = kind, link
    return made


def keep(member: tarfile.TarInfo, data: bytes) -> list[tuple[tarfile.TarInfo, bytes]]:
    return [(member, data)]


def manifest(**changes: Any) -> Change:
    def change(member: tarfile.TarInfo, data: bytes) -> list[tuple[tarfile.TarInfo, bytes]]:
        if member.name == "manifest.json":
            data = json.dumps({**json.loads(data), **changes}).encode()
        return [(member, data)]

    return change


def records(folder: Path, *statements: str) -> Change:
    def change(member: tarfile.TarInfo, data: bytes) -> list[tuple[tarfile.TarInfo, bytes]]:
        if member.name == "metadata.sqlite3":
            file = folder / "changed.sqlite3"
            file.write_bytes(data)
            with closing(sqlite3.connect(file, isolation_level=None)) as database:
                for statement in statements:
                    database.execute(statement)
                database.execute("VACUUM")
            data = file.read_bytes()
        return [(member, data)]

    return change


def drop(name: str) -> Change:
    return lambda member, data: [] if member.name.startswith(name) else [(member, data)]


@pytest.mark.parametrize(
    ("change", "more"),
    [
        (keep, ((named("objects/../../evil"), b"x"),)),
        (keep, ((named("/etc/evil"), b"x"),)),
        (keep, ((named("objects/link", tarfile.SYMTYPE, "/etc/passwd"), b""),)),
        (keep, ((named("objects/link", tarfile.LNKTYPE, "manifest.json"), b""),)),
        (keep, ((named("objects/device", tarfile.CHRTYPE), b""),)),
        (keep, ((named("objects/localaml/elsewhere/x"), b"x"),)),
        (keep, ((named("something"), b"x"),)),
        (manifest(object_count=0, object_bytes=0), ()),
        (manifest(object_count=10**9, object_bytes=10**6), ()),
        (manifest(object_count=-1), ()),
        (manifest(format="1"), ()),
        (manifest(unknown=1), ()),
        (drop("manifest.json"), ()),
        (drop("metadata.sqlite3"), ()),
        (drop("objects/"), ()),
    ],
)
def test_hostile_archives_change_nothing(
    own: Any, archive: Path, change: Change, more: tuple[tuple[tarfile.TarInfo, bytes], ...]
) -> None:
    bad = archive.with_name("bad")
    if more:
        # Not found out by counting already.
        count = sum(len(data) for _, data in more)
        with tarfile.open(archive, "r:gz") as old:
            said = json.load(old.extractfile("manifest.json"))  # type: ignore[arg-type]
        change = manifest(object_count=said["object_count"] + len(more), object_bytes=said["object_bytes"] + count)
    rewrite(archive, bad, change, more)
    with pytest.raises(CliError, match=r"no whole archive|no record owns"):
        load(own, bad)
    assert list(Workspace.list("s")) == ["saved"]
    assert sorted(entry.name for entry in own.state_dir.iterdir() if entry.name.startswith("load-")) == []


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE workspaces SET workspace_id = '../../../evil'",
        "UPDATE runs SET run_id = '../evil'",
        "UPDATE nodes SET node_id = '../evil'",
        "UPDATE clusters SET name = '..'",
        "UPDATE artifacts SET object_key = '../../x'",
        "UPDATE datastores SET container_name = '../..'",
        "CREATE TRIGGER t AFTER DELETE ON workspaces BEGIN DELETE FROM runs; END",
        "CREATE TABLE more (x)",
        "DROP TABLE events",
        "INSERT INTO faults VALUES (1, 0, 'crash', '{}', 0, 0, 1)",
        "INSERT INTO unfinished VALUES ('localaml/')",
        # What could be stored, and never be read again.
        "UPDATE runs SET definition = X'ff'",
        "UPDATE runs SET tags = '[1]'",
        "UPDATE runs SET state = 'Bogus'",
        "UPDATE clusters SET provisioning_state = 'Bogus'",
        "UPDATE snapshots SET entries = '{'",
    ],
)
def test_hostile_records_change_nothing(own: Any, archive: Path, tmp_path: Path, statement: str) -> None:
    bad = archive.with_name("bad")
    rewrite(archive, bad, records(tmp_path, statement))
    with tarfile.open(bad, "r:gz") as changed:
        size = changed.getmember("metadata.sqlite3").size
    rewrite(bad, bad.with_name("worse"), manifest(metadata_bytes=size))
    with pytest.raises(CliError, match="no whole archive"):
        load(own, bad.with_name("worse"))
    assert list(Workspace.list("s")) == ["saved"]


def test_newer_archives_are_told_by_their_version(own: Any, archive: Path) -> None:
    bad = archive.with_name("bad")
    rewrite(archive, bad, manifest(format=2, version="9.9"))
    with pytest.raises(CliError, match=r"newer LocalAML \(9.9"):
        load(own, bad)


def test_files_that_are_something_else(own: Any, archive: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad"
    for content in (b"", b"hello", gzip.compress(b"hello"), archive.read_bytes()[:-30], archive.read_bytes()[:500]):
        bad.write_bytes(content)
        with pytest.raises(CliError, match="no whole archive"):
            load(own, bad)
    with pytest.raises(CliError, match="cannot be read"):
        load(own, tmp_path / "missing")
    huge = tmp_path / "huge"
    header = tarfile.TarInfo("x")
    header.type, header.size = tarfile.XHDTYPE, (1 << 33) - 512
    with gzip.open(huge, "wb") as file:
        file.write(header.tobuf(tarfile.USTAR_FORMAT))
        file.write(b"0" * 1_000_000)
    with pytest.raises(CliError, match="no whole archive"):
        load(own, huge)
    assert list(Workspace.list("s")) == ["saved"]


@pytest.mark.parametrize("kind", ["pipe", "folder", "device"])
def test_what_is_no_file_is_refused_at_once(own: Any, tmp_path: Path, kind: str) -> None:
    path = Path("/dev/zero")
    if kind == "pipe":
        os.mkfifo(path := tmp_path / "pipe")
    elif kind == "folder":
        (path := tmp_path / "folder").mkdir()
    with pytest.raises(CliError, match="no plain file"):
        load(own, path)
    with pytest.raises(CliError, match="no plain file"):
        save(own, path, overwrite=True)


def test_a_saved_state_has_no_credentials(own: Any, tmp_path: Path) -> None:
    workspace = make("saved")
    secrets = {name: f"{name}-0123456789" for name in ("key", "sas", "variable", "environment", "user", "index")}
    Datastore.register_azure_blob_container(
        workspace, "lake", "container", "account", account_key=base64.b64encode(secrets["key"].encode()).decode()
    )
    Datastore.register_azure_blob_container(workspace, "sas", "container", "other", sas_token=f"sig={secrets['sas']}")
    environment = Environment("registered")
    environment.environment_variables = {"TOKEN": secrets["environment"]}
    environment.python.conda_dependencies.set_pip_option(
        f"--extra-index-url https://{secrets['user']}:{secrets['index']}@example.invalid/simple"
    )
    environment.register(workspace)
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "train.py").write_text("print('x')")
    config = ScriptRunConfig(str(tmp_path / "src"), "train.py", compute_target="local")
    config.run_config.environment.python.user_managed_dependencies = True
    config.run_config.environment.python.interpreter_path = sys.executable
    config.run_config.environment_variables = {"TOKEN": secrets["variable"]}
    Experiment(workspace, "exp").submit(config).wait_for_completion(show_output=False)
    save(own, tmp_path / "state")
    with tarfile.open(tmp_path / "state", "r:gz") as tar:
        file = tar.extractfile("metadata.sqlite3")
        assert file is not None
        records = file.read()
    # The names are there, so this is the place to look at.
    assert records.count(b"TOKEN") >= 2 and b"example.invalid" in records
    for name, value in secrets.items():
        assert value.encode() not in records, name
        assert base64.b64encode(value.encode()) not in records, name
    load(own, tmp_path / "state")
    workspace = Workspace.get("saved", subscription_id="s", resource_group="g")
    assert {"lake", "sas"} <= set(workspace.datastores)
    [run] = Experiment(workspace, "exp").get_runs()
    assert run.get_status() == "Completed"


# -- reset, seeds, history ----------------------------------------------------------------------------------------


def test_one_workspace_is_emptied_and_the_other_stays(own: Any, tmp_path: Path) -> None:
    first, second = make("first"), make("second")
    for workspace in (first, second):
        Experiment(workspace, "exp").start_logging(snapshot_directory=None).complete()
    run = perform(first, tmp_path / "src", "import time; time.sleep(600)")
    request = admin_pb2.ResetRequest(workspace=first._resource_name)
    assert own.client.call(own.client.admin.Reset, request).canceled_run_count == 1
    emptied = Workspace.get("first", subscription_id="s", resource_group="g")
    assert emptied.experiments == {} and set(second.experiments) == {"exp"}
    assert emptied.get_default_datastore().name == "workspaceblobstore"
    events = own.client.call(own.client.events.ListEvents, event_pb2.ListEventsRequest()).events
    assert run.id not in {event.run_id for event in events}


def test_ids_repeat_with_a_seed_and_go_on_after_a_restart(tmp_path: Path) -> None:
    def ids() -> list[str]:
        with emulator(seed=7, clock="virtual", clock_start="2026-01-01T00:00:00Z") as own:
            workspace = make("ws")
            found = []
            for _ in range(2):
                run = Experiment(workspace, "exp").start_logging(snapshot_directory=None)
                run.complete()
                found.append(run.id)
                configuration = AmlCompute.provisioning_configuration("STANDARD_D2_V2", min_nodes=1, max_nodes=1)
                cluster = ComputeTarget.create(workspace, f"cpu-{len(found)}", configuration)
                cluster.wait_for_completion()
                found += [node["nodeId"] for node in cluster.list_nodes()]
                own.restart()
            assert len(set(found)) == 4
            return found

    first = ids()
    assert first[0].startswith("exp_1767225600_")
    assert ids() == first


def test_the_history_is_one_stream_with_faults_and_causes(own: Any, tmp_path: Path) -> None:
    from localaml.testing.faults import Faults

    client = own.client
    workspace = make("ws")
    known = client.call(client.events.ListEvents, event_pb2.ListEventsRequest()).events
    after = max((event.sequence for event in known), default=0)
    watch = client.stream(client.events.WatchEvents, event_pb2.WatchEventsRequest(after=after))
    configuration = AmlCompute.provisioning_configuration("STANDARD_D2_V2", max_nodes=1, vm_priority="lowpriority")
    cluster = ComputeTarget.create(workspace, "cpu", configuration)
    first = next(watch)
    assert (first.kind, first.subject, first.cause) == ("cluster", "cpu", "created")
    Faults(own).add("node-evicted", cluster="cpu")
    run = perform(workspace, tmp_path / "src", "print('x')", cluster)
    run.wait_for_completion(show_output=False)
    told = []
    for event in watch:
        told.append(event)
        if event.kind == "run" and event.new_state == "Completed":
            break
    watch.close()
    assert [event.sequence for event in told] == sorted({event.sequence for event in told})
    states = [event.new_state for event in told if event.kind == "run"]
    assert states == [
        "Queued", "Preparing", "Starting", "Running", "Queued", "Preparing", "Starting", "Running", "Finalizing",
        "Completed",
    ]  # fmt: skip
    order = [(event.kind, event.new_state) for event in told]
    struck = order.index(("fault", "struck"))
    assert order.index(("node", "preempted")) > struck
    assert "fault f" in next(event.cause for event in told if event.new_state == "preempted")
    assert next(event for event in told if event.new_state == "struck").run_id == run.id
    request = event_pb2.ListEventsRequest(filter=event_pb2.EventFilter(run_id=run.id), limit=3)
    few = client.call(client.events.ListEvents, request).events
    assert len(few) == 3 and any(event.new_state == "Completed" for event in few)
    with pytest.raises(CliError, match="no kind of event"):
        request = event_pb2.ListEventsRequest(filter=event_pb2.EventFilter(kind="x"))
        client.call(client.events.ListEvents, request)


def test_the_command_line(running: CommandLine, tmp_path: Path) -> None:
    said = running.succeed("fault", "add", "throttle", "--method", "RunService/*", "--retry-after", "1", "--count", "2")
    assert "Added the fault f1 (throttle)" in said
    assert running.json("fault", "list")[0]["kind"] == "throttle"
    assert "earthquake" in running.fail("fault", "add", "earthquake")
    assert "partition" in running.fail("fault", "add", "partition")
    assert "Removed 1 fault" in running.succeed("fault", "clear")
    assert running.json("fault", "list") == []
    running.succeed("compute", "create", "cpu", "--max-nodes", "3")
    events = running.succeed("events", "--cluster", "cpu")
    assert "cluster cpu" in events and "created" in events
    assert "standardDv2Family" in running.succeed("compute", "quota")
    assert running.json("compute", "quota", "standarddv2family", "3")[0]["coreLimit"] == 3
    assert "ClusterMinNodesExceedCoreQuota" in running.fail("compute", "resize", "cpu", "--min-nodes", "2")
    file = tmp_path / "state"
    assert "Saved the state" in running.succeed("state", "save", str(file))
    assert "exists already" in running.fail("state", "save", str(file))
    running.succeed("reset", "--yes")
    running.succeed("init")
    assert running.json("compute", "list") == []
    assert "Loaded the state" in running.succeed("state", "load", str(file))
    assert running.json("compute", "list")[0]["name"].endswith("/cpu")


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CommandLine]:
    command_line = CommandLine(tmp_path_factory.mktemp("home"))
    command_line.succeed("start", "-d")
    command_line.succeed("init")
    yield command_line
    command_line.succeed("stop", "--cancel-runs")
