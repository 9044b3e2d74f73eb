"""How processes find each other without MPI."""

from __future__ import annotations

import json
import socket

import pytest

from localaml.compute.process.ports import free_ports
from localaml.domain.roles import PARAMETER_SERVER, RANK, WORKER, Role
from localaml.errors import ResourceExhausted
from localaml.jobs.role_variables import nodes_with_addresses, role_variables

SERVERS = (Role(WORKER, 0, 0), Role(WORKER, 1, 1), Role(PARAMETER_SERVER, 0, 0))
ADDRESSES = ("10.1.0.2:1", "10.1.0.3:2", "10.1.0.2:3")


def test_tf_config() -> None:
    assert nodes_with_addresses(SERVERS) == [0, 1, 0]
    made = role_variables(SERVERS, {}, ADDRESSES, "eth0")
    configs = [json.loads(variables["TF_CONFIG"]) for variables in made]
    assert [config["task"] for config in configs] == [
        {"type": "worker", "index": 0},
        {"type": "worker", "index": 1},
        {"type": "ps", "index": 0},
    ]
    assert all(config["cluster"] == configs[0]["cluster"] and config["environment"] == "cloud" for config in configs)
    cluster = configs[0]["cluster"]
    assert cluster == {"worker": ["10.1.0.2:1", "10.1.0.3:2"], "ps": ["10.1.0.2:3"]}
    for variables, index in zip(made, ("0", "1", "0"), strict=True):
        assert variables["AZ_BATCHAI_TASK_INDEX"] == index
        assert variables["AZ_BATCHAI_WORKER_HOSTS"] == ",".join(cluster["worker"])
        assert variables["AZ_BATCHAI_PS_HOSTS"] == ",".join(cluster["ps"])


def test_no_servers() -> None:
    (variables,) = role_variables(SERVERS[:1], {}, ADDRESSES[:1], "eth0")
    assert list(json.loads(variables["TF_CONFIG"])["cluster"]) == ["worker"]
    assert variables["AZ_BATCHAI_PS_HOSTS"] == ""


def test_ranks() -> None:
    roles = [Role(RANK, index, index // 2) for index in range(4)]
    assert nodes_with_addresses(roles) == [0]
    made = role_variables(roles, {}, ["10.1.0.2:29500"], "eth0")
    assert made[3] == {
        "AZ_BATCHAI_PYTORCH_INIT_METHOD": "tcp://10.1.0.2:29500",
        "AZ_BATCHAI_TASK_INDEX": "3",
        "MASTER_ADDR": "10.1.0.2",
        "MASTER_PORT": "29500",
        "RANK": "3",
        "WORLD_SIZE": "4",
        "LOCAL_RANK": "1",
        "LOCAL_WORLD_SIZE": "2",
        "NODE_RANK": "1",
        "GLOO_SOCKET_IFNAME": "eth0",
    }
    assert {variables["MASTER_PORT"] for variables in made} == {"29500"}


def test_a_network_interface_that_was_chosen_stays() -> None:
    (variables,) = role_variables([Role(RANK, 0, 0)], {"GLOO_SOCKET_IFNAME": "eth7"}, ["h:1"], "lo")
    assert "GLOO_SOCKET_IFNAME" not in variables


def test_ports_are_free_and_different() -> None:
    ports = free_ports(20)
    assert len(set(ports)) == 20
    with socket.create_server(("127.0.0.1", ports[0])):
        pass


def test_no_ports_left(monkeypatch: pytest.MonkeyPatch) -> None:
    def taken(*_: object) -> None:
        raise OSError("in use")

    monkeypatch.setattr(socket, "create_server", taken)
    with pytest.raises(ResourceExhausted) as caught:
        free_ports(1)
    assert caught.value.reason == "NO_FREE_PORTS"


def test_nothing_for_a_single_process() -> None:
    assert nodes_with_addresses(()) == []
    assert role_variables((), {}, [], "lo") == []
