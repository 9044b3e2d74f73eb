"""Which processes a run has without MPI, and where."""

from __future__ import annotations

from typing import Any

from localaml.domain.job import JobSpec, Launch, PythonEnvironmentSpec
from localaml.domain.roles import Role, roles_of


def _spec(launch: Launch, nodes: int, **counts: Any) -> JobSpec:
    return JobSpec(
        script="train.py",
        command=(),
        arguments=(),
        launch=launch,
        node_count=nodes,
        processes_per_node=counts.pop("per_node", 1),
        environment=PythonEnvironmentSpec(),
        environment_variables={},
        data_references=(),
        **counts,
    )


def _placed(launch: Launch, nodes: int, **counts: Any) -> list[tuple[str, int]]:
    return [(role.name, role.node) for role in roles_of(_spec(launch, nodes, **counts))]


def test_workers_first_over_the_nodes_then_servers() -> None:
    def placed(nodes: int, workers: int, servers: int) -> list[tuple[str, int]]:
        return _placed(Launch.PARAMETER_SERVER, nodes, worker_count=workers, server_count=servers)

    assert placed(2, 2, 1) == [("worker_0", 0), ("worker_1", 1), ("ps_0", 0)]
    assert placed(3, 2, 1) == [("worker_0", 0), ("worker_1", 1), ("ps_0", 2)]
    assert placed(1, 1, 2) == [("worker_0", 0), ("ps_0", 0), ("ps_1", 0)]
    assert placed(4, 1, 0) == [("worker_0", 0)]


def test_ranks_node_by_node() -> None:
    assert _placed(Launch.RENDEZVOUS, 2, per_node=2) == [(f"rank_{n}", n // 2) for n in range(4)]


def test_no_roles_for_mpi_and_single_processes() -> None:
    assert _placed(Launch.MPI, 2, per_node=2) == _placed(Launch.SINGLE, 1) == []


def test_only_parameter_servers_serve() -> None:
    assert [Role(kind, 0, 0).serves for kind in ("ps", "worker", "rank")] == [True, False, False]
