"""Compute targets."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from tests.services.harness import WORKSPACE, Emulated

from localaml.errors import AlreadyExists, InvalidArgument, NotFound
from localaml_proto.v1 import compute_pb2, run_pb2

C = compute_pb2
CPU = f"{WORKSPACE}/computes/cpu"


async def _create(emulator: Emulated, name: str = "cpu", vm_size: str = "STANDARD_D2_V2", **values: Any) -> Any:
    scale = {key: values.pop(key) for key in list(values) if key in C.ScaleSettings.DESCRIPTOR.fields_by_name}
    settings = C.ScaleSettings(**{"max_node_count": 4, **scale})
    target = C.ComputeTarget(vm_size=vm_size, scale_settings=settings, **values)
    request = C.CreateComputeTargetRequest(parent=WORKSPACE, compute_target_name=name, compute_target=target)
    return await emulator.call("ComputeService/CreateComputeTarget", request)


async def _watch_until(emulator: Emulated, wanted: Any) -> C.ComputeTarget:
    async def watch() -> C.ComputeTarget:
        async for message in emulator.stream(
            "ComputeService/WatchComputeTarget", C.WatchComputeTargetRequest(name=CPU)
        ):
            if wanted(message):
                return message  # type: ignore[no-any-return]  # `stream` is about all messages
        raise AssertionError("the cluster went")

    return await asyncio.wait_for(watch(), 10)


async def test_create_get_list_update_delete(emulator: Emulated) -> None:
    made = await _create(emulator, vm_priority="LowPriority", min_node_count=1, tags={"a": "b"}, description="d")
    assert (made.name, made.compute_type, made.vm_size, made.vm_priority) == (
        CPU,
        "AmlCompute",
        "Standard_D2_v2",
        "lowpriority",
    )
    assert made.provisioning_state == C.PROVISIONING_STATE_SUCCEEDED
    ready = await _watch_until(emulator, lambda seen: seen.node_state_counts.idle == 1)
    assert (ready.current_node_count, ready.allocation_state) == (1, C.ALLOCATION_STATE_STEADY)
    nodes = (await emulator.call("ComputeService/ListNodes", C.ListNodesRequest(parent=CPU))).nodes
    assert [node.state for node in nodes] == [C.NODE_STATE_IDLE] and nodes[0].host_name

    await emulator.submit({"target": "amlcompute", "amlcompute": {"vmSize": "STANDARD_D2_V2"}})
    listed = await emulator.call("ComputeService/ListComputeTargets", C.ListComputeTargetsRequest(parent=WORKSPACE))
    assert [each.name for each in listed.compute_targets] == [CPU]

    update = C.UpdateComputeTargetRequest(name=CPU, min_node_count=0, idle_seconds_before_scaledown=0)
    changed = await emulator.call("ComputeService/UpdateComputeTarget", update)
    assert (changed.scale_settings.min_node_count, changed.scale_settings.max_node_count) == (0, 4)
    await _watch_until(emulator, lambda seen: seen.current_node_count == 0)

    stream = emulator.stream("ComputeService/WatchComputeTarget", C.WatchComputeTargetRequest(name=CPU))
    await anext(stream)
    await emulator.call("ComputeService/DeleteComputeTarget", C.DeleteComputeTargetRequest(name=CPU))
    seen = [message async for message in stream]
    assert all(message.provisioning_state == C.PROVISIONING_STATE_DELETING for message in seen)
    for method, request in (
        ("GetComputeTarget", C.GetComputeTargetRequest(name=CPU)),
        ("DeleteComputeTarget", C.DeleteComputeTargetRequest(name=CPU)),
        ("UpdateComputeTarget", update),
        ("ListNodes", C.ListNodesRequest(parent=CPU)),
    ):
        with pytest.raises(NotFound) as caught:
            await emulator.call(f"ComputeService/{method}", request)
        assert caught.value.reason == "COMPUTE_TARGET_NOT_FOUND"
    with pytest.raises(NotFound):
        await anext(emulator.stream("ComputeService/WatchComputeTarget", C.WatchComputeTargetRequest(name=CPU)))


async def test_creating_is_idempotent(emulator: Emulated) -> None:
    first = await _create(emulator)
    again = await _create(emulator, vm_size="standard_d2_v2", vm_priority="Dedicated", description="another")
    assert (again.name, again.create_time) == (first.name, first.create_time)
    for changes in ({"max_node_count": 5}, {"vm_size": "STANDARD_NC6"}, {"vm_priority": "lowpriority"}):
        with pytest.raises(AlreadyExists, match="Standard_D2_v2, dedicated, 0 to 4 nodes") as caught:
            await _create(emulator, **changes)
        assert caught.value.reason == "COMPUTE_TARGET_EXISTS"


@pytest.mark.parametrize(
    ("reason", "values"),
    [
        ("INVALID_NAME", {"name": "a/b"}),
        ("INVALID_NAME", {"name": "x"}),
        ("INVALID_NAME", {"name": "x" * 300}),
        ("INVALID_NAME", {"name": ".."}),
        ("NAME_RESERVED", {"name": "local"}),
        ("NAME_RESERVED", {"name": "AmlCompute"}),
        ("VM_SIZE_NOT_SUPPORTED", {"vm_size": "STANDARD_X99"}),
        ("VM_SIZE_NOT_SUPPORTED", {"vm_size": ""}),
        ("VM_PRIORITY_UNKNOWN", {"vm_priority": "urgent"}),
        ("SCALE_SETTINGS_INVALID", {"max_node_count": 0}),
        ("SCALE_SETTINGS_INVALID", {"min_node_count": -1}),
        ("SCALE_SETTINGS_INVALID", {"min_node_count": 5}),
        ("SCALE_SETTINGS_INVALID", {"max_node_count": 1_000_000}),
        ("SCALE_SETTINGS_INVALID", {"idle_seconds_before_scaledown": -1}),
        ("INVALID_LABEL", {"tags": {"": ""}}),
    ],
)
async def test_refusals(emulator: Emulated, reason: str, values: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgument) as caught:
        await _create(emulator, **values)
    assert caught.value.reason == reason


async def test_bad_updates_change_nothing(emulator: Emulated) -> None:
    await _create(emulator)
    with pytest.raises(InvalidArgument):
        await emulator.call(
            "ComputeService/UpdateComputeTarget", C.UpdateComputeTargetRequest(name=CPU, min_node_count=9)
        )
    got = await emulator.call("ComputeService/GetComputeTarget", C.GetComputeTargetRequest(name=CPU))
    assert got.scale_settings.min_node_count == 0


async def test_deleting_ends_its_runs_and_can_be_asked_for_twice_at_once(emulator: Emulated) -> None:
    await _create(emulator)
    run = await emulator.submit({"target": "cpu"})
    await emulator.until(run, run_pb2.RUN_STATE_RUNNING)
    request = C.DeleteComputeTargetRequest(name=CPU)
    await asyncio.wait_for(
        asyncio.gather(*(emulator.call("ComputeService/DeleteComputeTarget", request) for _ in range(2))), 10
    )
    await emulator.until(run, run_pb2.RUN_STATE_CANCELED)


async def test_vm_sizes(emulator: Emulated) -> None:
    answer = await emulator.call("ComputeService/ListVmSizes", C.ListVmSizesRequest(parent=WORKSPACE))
    by_name = {size.name: size for size in answer.vm_sizes}
    assert by_name["Standard_NC6"].gpus == 1 and by_name["Standard_D2_v2"].cores == 2
