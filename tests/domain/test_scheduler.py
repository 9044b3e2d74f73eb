"""What a cluster does next."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localaml.domain.models import ClusterKey, Node, ScaleSettings
from localaml.domain.scheduler import AddNodes, DrainNode, PlaceRun, RemoveNode, WaitingRun, plan
from localaml.domain.states import NodeState

NOW = datetime(2026, 1, 1, tzinfo=timezone.utc)
KEY = ClusterKey("w", "c")


def node(name: str, state: NodeState, idle_for: float = 0.0) -> Node:
    return Node(KEY, name, state, name, NOW, NOW - timedelta(seconds=idle_for))


def scale(low: int, high: int, idle: int = 60) -> ScaleSettings:
    return ScaleSettings(low, high, idle)


def test_an_empty_cluster_starts_its_minimum() -> None:
    assert plan(scale(2, 4), [], [], NOW).instructions == (AddNodes(2),)


def test_a_run_waits_for_all_of_its_nodes() -> None:
    decided = plan(scale(0, 2), [node("a", NodeState.IDLE)], [WaitingRun("r", 2)], NOW)
    assert decided.instructions == (AddNodes(1),)
    assert decided.target_node_count == 2


def test_a_run_gets_its_nodes_in_order() -> None:
    nodes = [node("a", NodeState.IDLE), node("b", NodeState.RUNNING), node("c", NodeState.IDLE)]
    decided = plan(scale(0, 3), nodes, [WaitingRun("r", 2)], NOW)
    assert decided.instructions == (PlaceRun("r", ("a", "c")),)


def test_small_runs_do_not_overtake_a_large_one() -> None:
    nodes = [node("a", NodeState.IDLE), node("b", NodeState.RUNNING)]
    decided = plan(scale(0, 2), nodes, [WaitingRun("large", 2), WaitingRun("small", 1)], NOW)
    assert not [step for step in decided.instructions if isinstance(step, PlaceRun)]


def test_a_run_that_can_never_fit_does_not_hold_up_the_others() -> None:
    decided = plan(scale(0, 1), [node("a", NodeState.IDLE)], [WaitingRun("large", 2), WaitingRun("small", 1)], NOW)
    assert decided.instructions == (PlaceRun("small", ("a",)),)


def test_an_idle_node_goes_after_its_time_and_not_before() -> None:
    early = plan(scale(0, 1, 60), [node("a", NodeState.IDLE, 59)], [], NOW)
    assert early.instructions == ()
    assert early.ask_again_at == NOW + timedelta(seconds=1)
    late = plan(scale(0, 1, 60), [node("a", NodeState.IDLE, 60)], [], NOW)
    assert late.instructions == (RemoveNode("a", "idle"),)


def test_the_minimum_stays() -> None:
    decided = plan(scale(1, 2, 0), [node("a", NodeState.IDLE, 9), node("b", NodeState.IDLE, 5)], [], NOW)
    assert decided.instructions == (RemoveNode("a", "idle"),)


def test_a_smaller_maximum_takes_idle_nodes_at_once_and_working_ones_after_their_job() -> None:
    nodes = [node("a", NodeState.RUNNING), node("b", NodeState.RUNNING), node("c", NodeState.IDLE)]
    decided = plan(scale(0, 1, 60), nodes, [WaitingRun("r", 1)], NOW)
    assert decided.instructions == (RemoveNode("c", "above the maximum"), DrainNode("b"))


def test_a_leaving_node_is_left_to_its_job_and_does_not_count() -> None:
    nodes = [node("a", NodeState.RUNNING), node("b", NodeState.LEAVING)]
    assert plan(scale(0, 1, 60), nodes, [], NOW).instructions == ()
    assert plan(scale(2, 2, 60), nodes, [], NOW).instructions == (AddNodes(1),)


@pytest.mark.parametrize("state", [NodeState.UNUSABLE, NodeState.PREEMPTED])
def test_a_node_that_has_gone_is_replaced(state: NodeState) -> None:
    decided = plan(scale(1, 1), [node("a", state)], [], NOW)
    assert decided.instructions == (RemoveNode("a", state.value), AddNodes(1))


nodes_strategy = st.lists(st.tuples(st.sampled_from(list(NodeState)), st.integers(0, 200)), max_size=8).map(
    lambda rows: [node(f"n{index}", state, idle) for index, (state, idle) in enumerate(rows)]
)
scale_strategy = st.tuples(st.integers(0, 5), st.integers(0, 5), st.integers(0, 100)).map(
    lambda row: scale(min(row[0], row[1]), max(row[0], row[1]), row[2])
)
queue_strategy = st.lists(st.integers(1, 6), max_size=8).map(
    lambda counts: [WaitingRun(f"r{index}", count) for index, count in enumerate(counts)]
)


@given(nodes_strategy, scale_strategy, queue_strategy)
def test_invariants_of_one_step(nodes: list[Node], settings: ScaleSettings, queue: list[WaitingRun]) -> None:
    decided = plan(settings, nodes, queue, NOW)
    by_id = {each.node_id: each for each in nodes}
    placed = [name for step in decided.instructions if isinstance(step, PlaceRun) for name in step.node_ids]
    removed = [step.node_id for step in decided.instructions if isinstance(step, RemoveNode)]
    added = sum(step.count for step in decided.instructions if isinstance(step, AddNodes))
    assert len(placed) == len(set(placed)), "a node works for one run only"
    assert not set(placed) & set(removed)
    assert all(by_id[name].state is NodeState.IDLE for name in placed)
    working = (NodeState.RUNNING, NodeState.PREPARING, NodeState.LEAVING)
    assert all(by_id[name].state not in working for name in removed), "working nodes stay"
    drained = [step.node_id for step in decided.instructions if isinstance(step, DrainNode)]
    assert all(by_id[name].state is NodeState.RUNNING for name in drained)
    still_working = sum(each.state is NodeState.RUNNING for each in nodes) - len(drained)
    assert still_working <= settings.max_node_count
    assert not drained or still_working == settings.max_node_count, "no more than needed"
    wanted = {run.run_id: run.node_count for run in queue}
    for step in decided.instructions:
        if isinstance(step, PlaceRun):
            assert len(step.node_ids) == wanted[step.run_id] <= settings.max_node_count
    present = sum(each.state in (NodeState.PREPARING, NodeState.IDLE, NodeState.RUNNING) for each in nodes)
    after = present - sum(by_id[name].state is NodeState.IDLE for name in removed) + added
    assert added == 0 or after <= settings.max_node_count
    assert after >= min(settings.min_node_count, present + added)
    order = [run.run_id for run in queue if run.node_count <= settings.max_node_count]
    chosen = [step.run_id for step in decided.instructions if isinstance(step, PlaceRun)]
    assert chosen == order[: len(chosen)], "first come, first served"


@given(scale_strategy, queue_strategy)
def test_every_run_that_fits_is_placed_in_the_end(settings: ScaleSettings, queue: list[WaitingRun]) -> None:
    """Carries the instructions out, one round after another, with every placed run ending at once."""
    nodes: list[Node] = []
    waiting = list(queue)
    done: list[str] = []
    for _ in range(100):
        decided = plan(settings, nodes, waiting, NOW)
        for step in decided.instructions:
            match step:
                case AddNodes(count):
                    nodes += [node(f"n{len(done)}-{len(nodes)}-{number}", NodeState.IDLE) for number in range(count)]
                case RemoveNode(node_id):
                    nodes = [each for each in nodes if each.node_id != node_id]
                case PlaceRun(run_id):
                    waiting = [run for run in waiting if run.run_id != run_id]
                    done.append(run_id)
        nodes = [replace(each, state_changed_at=NOW) for each in nodes]
        if not decided.instructions:
            break
    else:
        raise AssertionError("never came to rest")
    assert done == [run.run_id for run in queue if run.node_count <= settings.max_node_count]
    assert len(nodes) <= settings.max_node_count


def test_nodes_of_a_run_are_in_the_order_of_their_names() -> None:
    idle = {"b": 10, "c": 2, "a": 0}
    nodes = [replace(node(name, NodeState.IDLE), host_name=f"cpu-{number}") for name, number in idle.items()]
    decided = plan(scale(0, 4), nodes, [WaitingRun("r", 3)], NOW)
    assert decided.instructions == (PlaceRun("r", ("a", "c", "b")),)
