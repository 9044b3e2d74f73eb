"""Faults of calls and of transfers: each happens, and nothing is left of it after `clear`."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from azureml._localaml import client as client_module
from azureml.core import Experiment
from azureml.exceptions import AzureMLException, UserErrorException
from localaml.cli.failure import CliError
from localaml.testing import count_calls


@pytest.fixture(params=["grpc", "http"])
def transport(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, workspace: Any) -> str:
    """Each test goes over gRPC and over HTTP."""
    monkeypatch.setenv("LOCALAML_TRANSPORT", request.param)
    monkeypatch.setattr(client_module, "RETRY_SECONDS", 0.3)
    workspace._client.close()
    return str(request.param)


def test_an_error_of_any_code(transport: str, workspace: Any, faults: Any) -> None:
    faults.add(
        "error", method="WorkspaceService/GetWorkspace", code="failed_precondition", reason="MINE", message="So."
    )
    with pytest.raises(AzureMLException, match="So") as caught:
        workspace._client.call("WorkspaceService", "GetWorkspace", {"name": workspace._resource_name})
    assert (caught.value.reason, caught.value.grpc_code) == ("MINE", "FAILED_PRECONDITION")
    assert list(Experiment.list(workspace)) == [], "other methods work"
    [fault] = faults.list()
    assert fault.struck == fault.seen == 1
    assert faults.clear() == 1
    assert workspace._client.call("WorkspaceService", "GetWorkspace", {"name": workspace._resource_name})
    assert faults.list() == []


def test_what_was_unavailable_for_a_moment_is_asked_for_again(transport: str, workspace: Any, faults: Any) -> None:
    faults.add("error", method="WorkspaceService/*", count=2)
    with count_calls() as calls:
        assert workspace.get_details()["name"] == workspace.name
    assert calls["WorkspaceService/GetWorkspace"] == 3
    [fault] = faults.list()
    assert fault.used_up


def test_what_stays_unavailable_is_told(transport: str, workspace: Any, faults: Any) -> None:
    faults.add("error", method="WorkspaceService/*")
    with pytest.raises(AzureMLException, match="on purpose"):
        workspace.get_details()
    faults.clear()
    workspace.get_details()


def test_a_delay(transport: str, workspace: Any, faults: Any) -> None:
    workspace.get_details()
    faults.add("delay", method="WorkspaceService/*", delay_seconds=0.3, count=1)
    begin = time.monotonic()
    workspace.get_details()
    assert time.monotonic() - begin >= 0.3
    begin = time.monotonic()
    faults.clear()
    workspace.get_details()
    assert time.monotonic() - begin < 0.3


def test_throttling_is_waited_out(transport: str, workspace: Any, faults: Any) -> None:
    faults.add("throttle", method="WorkspaceService/GetWorkspace", retry_after_seconds=0.2, count=2)
    begin = time.monotonic()
    with count_calls() as calls:
        workspace.get_details()
    assert 0.4 <= time.monotonic() - begin < 3
    assert calls["WorkspaceService/GetWorkspace"] == 3
    faults.clear()


def test_an_answer_that_is_lost_does_the_call_once(transport: str, workspace: Any, faults: Any) -> None:
    """The call is performed, its answer is lost, the SDK repeats it under the same request id."""
    faults.add("drop", method="RunService/CreateRun", count=1)
    experiment = Experiment(workspace, "exp")
    with count_calls() as calls:
        run = experiment.start_logging(snapshot_directory=None)
    assert calls["RunService/CreateRun"] == 2
    assert [each.id for each in experiment.get_runs()] == [run.id]
    run.complete()
    faults.clear()


def test_a_stream_that_breaks_off_is_taken_up_again(transport: str, workspace: Any, faults: Any, submit: Any) -> None:
    faults.add("drop", method="RunService/WatchRun", after=1, count=2)
    faults.add("drop", method="RunService/ReadRunLog", after=0, count=1)
    run = submit("print('hello')")
    run.wait_for_completion(show_output=False)
    assert run.get_status() == "Completed"
    struck = [fault.struck for fault in faults.list()]
    assert struck[0] >= 1
    faults.clear()


def test_a_run_is_a_target(transport: str, workspace: Any, faults: Any) -> None:
    experiment = Experiment(workspace, "exp")
    first, second = (experiment.start_logging(snapshot_directory=None) for _ in range(2))
    faults.add("error", method="RunService/*", run=first.id, code="INTERNAL")
    with pytest.raises(AzureMLException):
        first.get_status()
    assert second.get_status() == "Running"
    faults.clear()
    assert first.get_status() == "Running"
    first.complete()
    second.complete()


class TestBytes:
    """Uploads and downloads over signed URLs."""

    def test_429_in_the_middle_of_an_upload(self, workspace: Any, faults: Any, tmp_path: Path) -> None:
        for number in range(5):
            (tmp_path / f"f{number}").write_text(str(number))
        faults.add("throttle", method="bytes/PUT/datastore", retry_after_seconds=0.2, skip=2, count=1)
        store = workspace.get_default_datastore()
        begin = time.monotonic()
        store.upload(str(tmp_path), "x", show_progress=False)
        assert time.monotonic() - begin >= 0.2
        [fault] = faults.list()
        assert (fault.struck, fault.seen) == (1, 3)
        assert store.download(str(tmp_path / "down"), "x", show_progress=False) == 5
        faults.clear()

    @pytest.mark.parametrize("code", ["INTERNAL", "UNAVAILABLE"])
    def test_500_and_503_are_passed_over(self, workspace: Any, faults: Any, tmp_path: Path, code: str) -> None:
        (tmp_path / "a").write_text("a")
        faults.add("error", method="bytes/*/datastore", code=code, every=2)
        store = workspace.get_default_datastore()
        store.upload(str(tmp_path), "x", show_progress=False)
        store.download(str(tmp_path / "down"), "x", show_progress=False)
        store.download(str(tmp_path / "down2"), "x", show_progress=False)
        [fault] = faults.list()
        assert fault.struck >= 1
        faults.clear()

    def test_a_500_that_stays_is_told(
        self, workspace: Any, faults: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(client_module, "RETRY_SECONDS", 0.3)
        (tmp_path / "a").write_text("a")
        faults.add("error", method="bytes/PUT/*", code="INTERNAL")
        store = workspace.get_default_datastore()
        with pytest.raises(AzureMLException, match="on purpose"):
            store.upload(str(tmp_path), "x", show_progress=False)
        faults.clear()
        store.upload(str(tmp_path), "x", show_progress=False)

    @pytest.mark.parametrize("size", [10, 3 * 1024 * 1024])
    @pytest.mark.parametrize("after", [None, 1])
    def test_a_connection_that_is_dropped_half_way(
        self, workspace: Any, faults: Any, tmp_path: Path, size: int, after: int | None
    ) -> None:
        content = bytes(range(256)) * (size // 256 + 1)
        source = tmp_path / "up"
        source.mkdir()
        (source / "a").write_bytes(content)
        faults.add("drop", method="bytes/PUT/*", count=1, after=after)
        faults.add("drop", method="bytes/GET/*", count=2, after=after)
        store = workspace.get_default_datastore()
        store.upload(str(source), "x", show_progress=False)
        store.download(str(tmp_path / "down"), "x", show_progress=False)
        assert (tmp_path / "down" / "x" / "a").read_bytes() == content
        assert [fault.struck for fault in faults.list()] == [1, 2]
        faults.clear()

    def test_a_full_disk(self, workspace: Any, faults: Any, tmp_path: Path) -> None:
        (tmp_path / "a").write_text("a")
        faults.add("disk-full", store="workspaceblobstore")
        store = workspace.get_default_datastore()
        with pytest.raises(AzureMLException, match="no room") as caught:
            store.upload(str(tmp_path), "x", show_progress=False)
        assert caught.value.reason == "DISK_FULL"
        workspace.datastores["workspacefilestore"].upload(str(tmp_path), "x", show_progress=False)
        faults.clear()
        store.upload(str(tmp_path), "x", show_progress=False)

    def test_a_datastore_that_cannot_be_reached(
        self, workspace: Any, faults: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(client_module, "RETRY_SECONDS", 0.2)
        (tmp_path / "a").write_text("a")
        store = workspace.get_default_datastore()
        store.upload(str(tmp_path), "x", show_progress=False)
        faults.add("datastore-unreachable", store="workspaceblob*")
        with pytest.raises(AzureMLException, match="cannot be reached") as caught:
            store.download(str(tmp_path / "down"), "x", show_progress=False)
        assert caught.value.reason == "DATASTORE_UNREACHABLE"
        faults.clear()
        assert store.download(str(tmp_path / "down"), "x", show_progress=False) == 1


class TestRules:
    """What cannot be is refused by name."""

    def test_partition(self, faults: Any) -> None:
        for target in ({"cluster": "cpu"}, {}):
            with pytest.raises(CliError, match="network partition"):
                faults.add("partition", **target)

    @pytest.mark.parametrize(
        ("kind", "details", "said"),
        [
            ("earthquake", {}, "no.* kind|not a kind"),
            ("error", {"cluster": "cpu"}, "not about a cluster"),
            ("delay", {}, "delay_seconds"),
            ("error", {"notice_seconds": 3.0}, "notice_seconds"),
            ("crash", {"point": "nowhere"}, "submit-committed"),
            ("error", {"probability": 7.0}, "probability"),
        ],
    )
    def test_what_means_nothing(self, faults: Any, kind: str, details: dict[str, Any], said: str) -> None:
        with pytest.raises(CliError, match=said):
            faults.add(kind, **details)
        assert faults.list() == []

    def test_an_unknown_detail_is_a_type_error(self, faults: Any) -> None:
        with pytest.raises(TypeError, match="colour"):
            faults.add("error", colour="red")

    def test_an_unknown_id(self, faults: Any) -> None:
        with pytest.raises(CliError, match="f999"):
            faults.clear("f999")

    def test_the_services_of_the_admin_are_exempt(self, workspace: Any, faults: Any) -> None:
        faults.add("error", code="INTERNAL")
        assert len(faults.list()) == 1
        with pytest.raises((AzureMLException, UserErrorException)):
            workspace.get_details()
        faults.clear()
        workspace.get_details()
