"""The emulator under a virtual clock: what follows it, and what does not."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from tests.support.submitting import Submit

from localaml.cli.failure import CliError
from localaml.testing import assert_completed, count_calls, wait_for_state
from localaml.testing.sessions import EmulatorSession
from localaml.testing.time import EmulatorClock

Cluster = Callable[..., Any]
SLEEPS = "import time; time.sleep(600)"


def _times(run: Any) -> dict[str, datetime]:
    return {
        change["state"]: datetime.fromisoformat(change["time"].replace("Z", "+00:00"))
        for change in run.get_detailed_status()["details"]
    }


def _node_states(cluster: Any) -> list[str]:
    return [node["nodeState"] for node in cluster.list_nodes()]


class TestWhatFollowsTheClock:
    def test_idle_nodes_go_after_their_time_and_not_before(
        self, amlcompute: Cluster, submit: Submit, clock: EmulatorClock
    ) -> None:
        cluster = amlcompute(max_nodes=2, idle_seconds_before_scaledown=1800)
        assert_completed(submit("pass", cluster))
        clock.advance(minutes=29, seconds=59)
        assert _node_states(cluster) == ["idle"]
        clock.advance(1)
        assert _node_states(cluster) == []

    def test_a_run_takes_no_time_unless_time_is_told_to_pass(self, submit: Submit, clock: EmulatorClock) -> None:
        begin = clock.now
        run = submit("import time; time.sleep(0.05)")
        assert_completed(run)
        assert set(_times(run).values()) == {begin}

    def test_the_limit_of_a_run(self, submit: Submit, clock: EmulatorClock) -> None:
        run = submit(SLEEPS, max_run_duration_seconds=3600)
        wait_for_state(run, "Running")
        begin = clock.now
        clock.advance(3599)
        assert run.get_status() == "Running"
        clock.advance(minutes=10)
        # The clock stood still while the process was ended and its files were taken.
        assert run.get_status() == "Failed"
        assert _times(run)["Failed"] == begin + timedelta(hours=1)

    def test_one_thing_after_the_other_each_at_its_time(
        self, amlcompute: Cluster, submit: Submit, clock: EmulatorClock
    ) -> None:
        """The first run is ended at its limit, the second gets its node and is ended, the node goes."""
        cluster = amlcompute(max_nodes=1, idle_seconds_before_scaledown=120)
        begin = clock.now
        first, second = (submit(SLEEPS, cluster, max_run_duration_seconds=seconds) for seconds in (60, 30))
        wait_for_state(first, "Running")
        clock.advance(60)
        assert (_times(first)["Failed"] - begin).total_seconds() == 60
        wait_for_state(second, "Running")
        clock.advance(30 + 119)
        assert (_times(second)["Preparing"] - begin).total_seconds() == 60
        assert (_times(second)["Failed"] - begin).total_seconds() == 90
        assert _node_states(cluster) == ["idle"]
        clock.advance(1)
        assert _node_states(cluster) == []

    def test_signed_urls_expire(self, submit: Submit, clock: EmulatorClock) -> None:
        run = submit("print('hello')")
        assert_completed(run)
        url = run.get_details()["logFiles"]["azureml-logs/80_driver_log.txt"]
        with urllib.request.urlopen(url) as answer:
            assert answer.read() == b"hello\n"
        clock.advance(hours=2)
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(url)
        assert caught.value.code == 403
        assert "SIGNED_URL_EXPIRED" in caught.value.read().decode()
        caught.value.close()


class TestWhatDoesNot:
    @pytest.mark.localaml(cancel_grace_seconds=0.3)
    def test_processes_get_their_real_seconds_and_no_more(self, submit: Submit, clock: EmulatorClock) -> None:
        """The grace before SIGKILL passes by itself, though the clock stands still."""
        run = submit(
            "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
            "print('ready', flush=True)\n"
            "time.sleep(60)"
        )
        _until_logged(run, "ready")
        began = time.monotonic()
        run.cancel()
        wait_for_state(run, "Canceled", 30)
        assert time.monotonic() - began >= 0.3

    def test_logs_are_taken_while_a_run_goes_on(self, submit: Submit, clock: EmulatorClock) -> None:
        run = submit("import time; open('logs/a.txt', 'w').write('x'); time.sleep(60)")
        deadline = time.monotonic() + 20
        while "logs/a.txt" not in run.get_file_names():
            assert time.monotonic() < deadline, "the folder logs/ was not looked at"
        run.cancel()


def _until_logged(run: Any, text: str) -> None:
    deadline = time.monotonic() + 20
    while not any(text in log for log in run.get_details_with_logs()["logFiles"].values()):
        assert time.monotonic() < deadline, f"{text!r} was not logged"


@pytest.mark.localaml(latency="cloud")
class TestLatency:
    def test_nodes_and_runs_take_the_clouds_minutes(
        self, amlcompute: Cluster, submit: Submit, clock: EmulatorClock
    ) -> None:
        cluster = amlcompute(max_nodes=1)
        run = submit("pass", cluster)
        clock.advance(9)
        assert (run.get_status(), _node_states(cluster)) == ("Queued", [])
        clock.advance(1)
        assert (run.get_status(), _node_states(cluster)) == ("Queued", ["preparing"])
        clock.advance(minutes=4, seconds=59)
        assert (run.get_status(), _node_states(cluster)) == ("Queued", ["preparing"])
        clock.advance(1)
        assert_completed(run)
        again = submit("pass", cluster)
        clock.advance(10)
        assert_completed(again)

    def test_a_cluster_of_the_runs_own_is_provisioned(self, submit: Submit, clock: EmulatorClock) -> None:
        run = submit("pass", "amlcompute")
        assert run.get_status() == "Provisioning"
        clock.advance(minutes=5)
        assert run.get_status() == "Provisioning"
        clock.advance(10)
        assert_completed(run)

    def test_the_first_run_in_an_environment_waits_for_its_image(
        self, amlcompute: Cluster, submit: Submit, clock: EmulatorClock
    ) -> None:
        cluster = amlcompute(max_nodes=1, min_nodes=1, wait=False)
        clock.advance(minutes=5)
        assert _node_states(cluster) == ["idle"]
        first = submit("pass", cluster, managed=True)
        clock.advance(10)
        clock.settle()
        assert first.get_status() == "Preparing"
        clock.advance(minutes=4, seconds=59)
        assert first.get_status() == "Preparing"
        clock.advance(1)
        assert_completed(first)
        second = submit("pass", cluster, managed=True)
        clock.advance(10)
        assert_completed(second)

    def test_a_wait_can_be_cut_short(self, amlcompute: Cluster, submit: Submit, clock: EmulatorClock) -> None:
        cluster = amlcompute(max_nodes=1)
        queued = submit("pass", cluster)
        clock.advance(60)
        queued.cancel()
        assert queued.get_status() == "Canceled"
        waiting = submit("pass", cluster, managed=True)
        clock.advance(minutes=6)
        assert waiting.get_status() == "Preparing"
        waiting.cancel()
        wait_for_state(waiting, "Canceled")

    def test_a_cluster_whose_machines_are_on_their_way_can_be_deleted(
        self, amlcompute: Cluster, clock: EmulatorClock
    ) -> None:
        cluster = amlcompute(min_nodes=2, max_nodes=2, wait=False)
        clock.advance(60)
        assert _node_states(cluster) == ["preparing"] * 2
        cluster.delete()

    def test_local_has_no_delays(self, submit: Submit, clock: EmulatorClock) -> None:
        assert_completed(submit("pass"))

    @pytest.mark.localaml(own=True)
    def test_a_kill_changes_no_time(
        self, localaml_emulator: EmulatorSession, amlcompute: Cluster, submit: Submit, clock: EmulatorClock
    ) -> None:
        cluster = amlcompute(max_nodes=1)
        run = submit("pass", cluster)
        clock.advance(minutes=3)
        before = clock.now
        localaml_emulator.restart()
        assert clock.now == before
        assert (run.get_status(), _node_states(cluster)) == ("Queued", ["preparing"])
        clock.advance(minutes=2, seconds=9)
        assert _node_states(cluster) == ["preparing"]
        clock.advance(1)
        assert_completed(run)


class TestFromOutside:
    def test_the_command_line(self, localaml_emulator: EmulatorSession, clock: EmulatorClock) -> None:
        def localaml(*words: str) -> subprocess.CompletedProcess[str]:
            command = [sys.executable, "-m", "localaml.cli", "clock", *words, "--state-dir"]
            return subprocess.run(
                [*command, str(localaml_emulator.state_dir)], capture_output=True, text=True, check=False
            )

        before = clock.now
        assert "timer(s) were due" in localaml("advance", "1h30m").stdout
        assert clock.now == before + timedelta(minutes=90)
        shown = json.loads(localaml("show", "-o", "json").stdout)
        assert shown["kind"] == "virtual"
        assert localaml("show").stdout.startswith("Clock")
        refused = localaml("advance", "soon")
        assert (refused.returncode, "'soon' is no duration" in refused.stderr) == (2, True)

    def test_a_real_clock_is_not_advanced(self, localaml_emulator: EmulatorSession) -> None:
        with pytest.raises(CliError, match=r"clock is real: it cannot be advanced.*--clock virtual"):
            localaml_emulator.clock.advance(1)

    @pytest.mark.localaml(clock="scaled", clock_scale=6000.0)
    def test_a_scaled_clock_goes_by_itself(
        self, localaml_emulator: EmulatorSession, amlcompute: Cluster, submit: Submit
    ) -> None:
        cluster = amlcompute(max_nodes=1, idle_seconds_before_scaledown=1200)
        assert_completed(submit("pass", cluster))
        deadline = time.monotonic() + 20
        while _node_states(cluster):
            assert time.monotonic() < deadline
        assert localaml_emulator.clock.kind == "scaled"

    def test_calls_are_counted_over_both_transports(
        self, workspace: Any, monkeypatch: pytest.MonkeyPatch, localaml_emulator: EmulatorSession
    ) -> None:
        from azureml.core import Experiment

        endpoint = json.loads((localaml_emulator.state_dir / "endpoint.json").read_text())
        token = (localaml_emulator.state_dir / "token").read_text()
        request = urllib.request.Request(
            endpoint["http_address"] + "/localaml.v1.WorkspaceService/ListWorkspaces",
            data=b"{}",
            headers={"Content-Type": "application/json", "Authorization": f"Bearer {token}"},
        )
        with count_calls() as calls:
            list(Experiment(workspace, "none").get_runs())
            urllib.request.urlopen(request).close()
            assert calls["RunService/ListRuns"] == 1
            urllib.request.urlopen(request).close()
        urllib.request.urlopen(request).close()
        assert calls["WorkspaceService/ListWorkspaces"] == 2
        assert calls["RunService/CancelRun"] == 0
