"""Runs: numbers, filters, pages, updates."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.store.records import WORKSPACE_ID, make_run

from localaml.domain.models import Run, RunKey
from localaml.domain.states import RunState
from localaml.errors import AlreadyExists, NotFound
from localaml.store import RunFilter, Store
from localaml.store.run_filter import list_query


def test_numbers_count_per_experiment(workspace_store: Store) -> None:
    runs = workspace_store.runs
    assert [runs.insert(make_run(f"a{i}", "a")).number for i in range(3)] == [1, 2, 3]
    assert runs.insert(make_run("b0", "b")).number == 1
    assert runs.insert(make_run("a3", "a")).number == 4


def test_a_taken_id_is_refused_and_uses_up_no_number(workspace_store: Store) -> None:
    runs = workspace_store.runs
    runs.insert(make_run("a"))
    with pytest.raises(AlreadyExists) as caught:
        runs.insert(make_run("a", "other"))
    assert caught.value.reason == "RUN_EXISTS"
    assert runs.insert(make_run("b")).number == 2
    assert runs.get(RunKey(WORKSPACE_ID, "a")).name.experiment == "e"


def test_requests(workspace_store: Store) -> None:
    runs = workspace_store.runs
    runs.insert(make_run("a", request_id="q"))
    runs.insert(make_run("b"))
    runs.insert(make_run("c"))
    found = runs.find_request(WORKSPACE_ID, "q")
    assert found is not None and found.run_id == "a"
    assert runs.find_request(WORKSPACE_ID, "") is None
    assert runs.find_request("other", "q") is None
    with pytest.raises(AlreadyExists):
        runs.insert(make_run("d", request_id="q"))


def test_missing_runs_are_named_with_the_newest(workspace_store: Store) -> None:
    runs = workspace_store.runs
    for number in range(7):
        runs.insert(make_run(f"r{number}"))
    key = RunKey(WORKSPACE_ID, "nope")
    assert runs.find(key) is None
    for call in (lambda: runs.get(key), lambda: runs.update(make_run("nope")), lambda: runs.modify(key, lambda r: r)):
        with pytest.raises(NotFound, match=r"'nope'.*r6, r5") as caught:
            call()
        assert caught.value.reason == "RUN_NOT_FOUND"


def test_active_runs(workspace_store: Store) -> None:
    runs = workspace_store.runs
    for state in RunState:
        runs.insert(make_run(state.value, state=state))
        runs.insert(make_run(state.value + "-interactive", state=state, submitted=False))
    active = [run.run_id for run in runs.list_active()]
    assert active == [state.value for state in RunState if not state.is_terminal]
    assert runs.count_active() == len(active)
    assert runs.count(WORKSPACE_ID, "e") == 2 * len(RunState)


def test_changed_labels_are_found_and_old_ones_are_not(workspace_store: Store) -> None:
    runs = workspace_store.runs
    run = runs.insert(make_run())

    def found(**filters: Any) -> int:
        return len(runs.list(WORKSPACE_ID, RunFilter(**filters)).runs)

    runs.update(replace(run, tags={"a": "1"}))
    assert (found(tags={"a": "1"}), found(tags={"a": ""}), found(properties={"a": ""})) == (1, 1, 0)
    runs.update(replace(run, properties={"a": "1"}))
    assert (found(tags={"a": ""}), found(properties={"a": "1"})) == (0, 1)
    runs.update(run)
    assert (found(tags={"a": ""}), found(properties={"a": ""})) == (0, 0)


_names = st.sampled_from(["a", "b"])
_labels = st.dictionaries(_names, st.sampled_from(["", "1", "2"]), max_size=2)
_rows = st.lists(
    st.tuples(_names, st.integers(-4, 8), _names, st.sampled_from(RunState), _names, _labels, _labels), max_size=12
)
_filters = st.builds(
    RunFilter,
    experiment=st.none() | _names,
    parent_run_id=st.none() | st.sampled_from(["r0", "r1", "nope"]),
    recursive=st.booleans(),
    include_children=st.booleans(),
    run_type=st.none() | _names,
    state=st.none() | st.sampled_from(RunState),
    target=st.none() | _names,
    tags=_labels,
    properties=_labels,
)


def _expected(runs: list[Run], wanted: RunFilter) -> list[str]:
    def descends(run: Run) -> bool:
        by_id = {each.run_id: each for each in runs}
        parent = run.parent_run_id
        while parent is not None:
            if parent == wanted.parent_run_id:
                return True
            parent = by_id[parent].parent_run_id if wanted.recursive and parent in by_id else None
        return False

    def fits(run: Run) -> bool:
        if wanted.parent_run_id is not None:
            if not descends(run):
                return False
        elif run.parent_run_id is not None and not wanted.include_children:
            return False
        return (
            wanted.experiment in (None, run.name.experiment)
            and wanted.run_type in (None, run.run_type)
            and wanted.state in (None, run.state)
            and wanted.target in (None, run.target)
            and all(key in run.tags and value in ("", run.tags[key]) for key, value in wanted.tags.items())
            and all(
                key in run.properties and value in ("", run.properties[key]) for key, value in wanted.properties.items()
            )
        )

    return [run.run_id for run in reversed(runs) if fits(run)]


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(_rows, _filters, st.integers(1, 4))
def test_filters_and_pages_against_a_model(
    workspace_store: Store, rows: list[Any], wanted: RunFilter, size: int
) -> None:
    store = workspace_store
    with store.transaction():
        # The fixture is shared by all examples.
        store._database.execute("DELETE FROM runs")
        runs = []
        for number, (experiment, parent, run_type, state, target, tags, properties) in enumerate(rows):
            parent_id = f"r{parent}" if 0 <= parent < number else None
            run = make_run(f"r{number}", experiment, run_type=run_type, state=state, target=target, tags=tags)
            runs.append(store.runs.insert(replace(run, properties=properties, parent_run_id=parent_id)))
    seen: list[str] = []
    after = 0
    while True:
        page = store.runs.list(WORKSPACE_ID, wanted, after, size)
        assert len(page.runs) <= size
        seen += [run.run_id for run in page.runs]
        after = page.next_after
        if not after:
            break
        assert len(page.runs) == size
    assert seen == _expected(runs, wanted)


@pytest.mark.parametrize(
    "wanted",
    [
        RunFilter(),
        RunFilter(experiment="e"),
        RunFilter(experiment="e", include_children=True),
        RunFilter(parent_run_id="p"),
        RunFilter(parent_run_id="p", recursive=True),
        RunFilter(state=RunState.RUNNING),
        RunFilter(target="cpu"),
        RunFilter(run_type="t"),
        RunFilter(tags={"a": "1"}),
        RunFilter(experiment="e", properties={"a": "1"}),
    ],
    ids=str,
)
def test_listings_use_an_index_and_sort_no_more_than_descendants(workspace_store: Store, wanted: RunFilter) -> None:
    sql, values = list_query(WORKSPACE_ID, wanted, 0)
    plan = [row[3] for row in workspace_store._database.all(f"EXPLAIN QUERY PLAN {sql}", values)]
    assert wanted.recursive or not [line for line in plan if "TEMP B-TREE" in line], plan
    assert not [line for line in plan if line.startswith("SCAN") and line.split()[1] in ("r", "runs", "l")], plan
