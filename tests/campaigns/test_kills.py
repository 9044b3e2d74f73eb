"""The short form of `scripts/campaign kills`; and that its comparison sees what is lost, wrong or left."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest
from campaigns.calls import Caller, Lost, Refused
from campaigns.kills.campaign import Options, drain, perform
from campaigns.kills.checks import Finding
from campaigns.kills.checks.records import compare
from campaigns.kills.checks.runs import fits
from campaigns.kills.ledger import Journal, Ledger
from campaigns.kills.resources import ResourceWork
from campaigns.kills.scene import Scene
from campaigns.kills.submits import SubmitWork
from campaigns.waiting import wait_until

from azureml._localaml.errors import ServiceError

pytestmark = pytest.mark.timeout(300)


@pytest.mark.slow
def test_nothing_is_lost_and_nothing_is_left(tmp_path: Path) -> None:
    """The short form of the campaign."""
    findings = perform(Options(kills=8, seconds=25, seed=11, clients=3, drain_seconds=120, folder=tmp_path / "it"))
    assert not findings, "\n".join(f"{each.kind}: {each.text}" for each in findings)


_RUNS = "objects/*/*/azureml/ExperimentRun/dcid.killed*"


class Sabotage:
    """Takes away, changes and leaves things behind the emulator's back; remembers what."""

    def __init__(self) -> None:
        self.processes: list[subprocess.Popen[bytes]] = []

    def __call__(self, scene: Scene) -> None:
        state = scene.emulator.state_dir
        work = (scene, Caller(scene.emulator, "http"), Random(1), 0)
        SubmitWork(*work).submit("files")
        resources = ResourceWork(*work)
        while not (_values(scene, "secret") and _values(scene, "quota")):
            resources.secret()
            resources.quota()
        assert wait_until(lambda: bool(list(state.glob(f"{_RUNS}/azureml-logs/80_driver_log.txt"))), 60)
        assert not scene.ledger.unexpected and not drain(scene, 60)
        lost, changed = sorted(state.glob(f"{_RUNS}/outputs/rank0/0*.bin"))[:2]
        lost.unlink()
        changed.write_bytes(b"x" * changed.stat().st_size + b"x")
        log = next(state.glob(f"{_RUNS}/azureml-logs/80_driver_log.txt"))
        log.write_bytes(log.read_bytes().replace(b"line 00000", b"line 99999"))
        (state / "incoming").mkdir(exist_ok=True)
        (state / "incoming/half").write_text("half an object")
        (state / ".format.abc").write_text("1")
        (scene.emulator.temporary / "scratch").write_text("")
        with sqlite3.connect(state / "metadata.sqlite3", timeout=30) as database:
            database.execute("UPDATE quotas SET core_limit = core_limit + 1")
            database.execute("DELETE FROM secrets")
        database.close()
        idle = [sys.executable, "-c", "import sys; sys.stdin.read()", scene.marker]
        self.processes.append(subprocess.Popen(idle, stdin=subprocess.PIPE))


@pytest.fixture
def sabotage() -> Iterator[Sabotage]:
    made = Sabotage()
    yield made
    for process in made.processes:
        process.kill()
        process.communicate()


@pytest.mark.slow
def test_the_comparison_can_fail(tmp_path: Path, sabotage: Sabotage) -> None:
    """Without a kill, so that all is well but for what is done on purpose."""
    options = Options(kills=0, clients=0, folder=tmp_path / "it", before_comparison=sabotage)
    findings = perform(options)

    def said(kind: str, text: str) -> bool:
        return any(each.kind == kind and text in each.text for each in findings)

    assert said("lost", "1 of ") and said("wrong", "1 files have other bytes"), findings
    assert said("lost", "80_driver_log"), findings
    assert said("orphan", "of a job is still there"), findings
    assert said("leftover", "incoming/half") and said("leftover", ".format.abc") and said("leftover", "scratch")
    assert said("lost", "('secret'") and said("wrong", "('quota'"), findings
    assert said("lost", "storage fsck: lost_artifacts") and said("damaged", "storage fsck: wrong_sizes"), findings
    assert (tmp_path / "it/findings.txt").is_file() and (tmp_path / "it/journal.jsonl").is_file()


def _values(scene: Scene, kind: str) -> list[Any]:
    return [value for values in scene.ledger.possible(kind).values() for value in values if value is not None]


class TestLedger:
    @pytest.fixture
    def ledger(self, tmp_path: Path) -> Iterator[Ledger]:
        journal = Journal(tmp_path / "journal.jsonl")
        yield Ledger(journal)
        journal.close()

    def test_an_answered_change_is_the_only_value(self, ledger: Ledger) -> None:
        with ledger.change(("secret", "a"), 1):
            pass
        with ledger.change(("secret", "a"), 2):
            pass
        assert ledger.values(("secret", "a")) == [2]

    def test_after_a_lost_answer_both_are_possible(self, ledger: Ledger) -> None:
        with ledger.change(("secret", "a"), 1):
            pass
        with ledger.change(("secret", "a"), 2):
            raise Lost("no answer")
        assert ledger.values(("secret", "a")) == [1, 2]
        with ledger.change(("secret", "a"), None):
            pass
        assert ledger.values(("secret", "a")) == [None]

    def test_a_refusal_changes_nothing_and_surprises(self, ledger: Ledger) -> None:
        with ledger.change(("cluster", "a"), 1):
            raise Refused(ServiceError("INVALID_ARGUMENT", "no"), was_repeated=False)
        assert ledger.values(("cluster", "a")) == [None]
        assert len(ledger.unexpected) == 1

    def test_a_refusal_that_says_it_was_done_counts_only_when_the_call_was_repeated(self, ledger: Ledger) -> None:
        gone = frozenset({"NOT_FOUND"})
        for was_repeated, surprises in ((True, 0), (False, 1)):
            with ledger.change(("cluster", "a"), [1]):
                pass
            with ledger.change(("cluster", "a"), None, ends_as=gone):
                raise Refused(ServiceError("NOT_FOUND", "no"), was_repeated=was_repeated)
            assert len(ledger.unexpected) == surprises


def test_values_are_compared() -> None:
    possible = {("k", "right"): [1], ("k", "either"): [None, 2], ("k", "lost"): [3], ("k", "wrong"): [4]}
    found = {("k", "right"): 1, ("k", "wrong"): 5, ("k", "strange"): 6}
    kinds = sorted(finding.kind for finding in compare(possible, found))
    assert kinds == ["lost", "unexpected", "wrong"]
    assert all(isinstance(finding, Finding) for finding in compare(possible, found))


@pytest.mark.parametrize(
    ("found", "is_right"),
    [
        ([1, 2, 3, 4], True),
        ([1, 2, 4], True),  # 3 was not answered
        ([1, 3, 4], False),
        ([1, 2, 2, 3, 4], False),
        ([2, 1, 3, 4], False),
        ([1, 2, 3, 4, 5], False),
        ([], False),
    ],
)
def test_metrics_are_compared_in_order(found: list[int], is_right: bool) -> None:
    assert fits(found, [(1, True), (2, True), (3, False), (4, True)]) is is_right
