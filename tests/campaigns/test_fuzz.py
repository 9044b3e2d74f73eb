"""The short form of `scripts/campaign fuzz`: a few hundred calls, and whether it would see what it looks for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from campaigns.fuzz.drawing import drawn
from campaigns.fuzz.good_requests import good_requests
from campaigns.fuzz.hunt import Call, Hunt
from campaigns.fuzz.rpcs import all_rpcs
from campaigns.fuzz.smallest import smaller
from campaigns.fuzz.values import Values, as_json
from campaigns.fuzz.world import World

from localaml_proto.v1 import run_pb2

_SECONDS = 25.0


@pytest.mark.slow
def test_a_few_hundred_calls_find_nothing() -> None:
    hunt = Hunt(7)
    try:
        found = hunt.run(1000, _SECONDS)
    finally:
        hunt.close()
    assert not found.faults, "\n".join(found.faults.values())
    assert found.calls
    assert found.accepted


def _values() -> Values:
    rpcs = all_rpcs()
    world = World(rpcs, Path("/files"))
    world.ids = dict.fromkeys(("snapshot", "model", "dataset", "environment", "upload"), "0" * 36)
    good = good_requests(world)
    assert set(good) == set(rpcs), "every rpc has a good request"
    return Values(world, good)


def test_the_same_seed_makes_the_same_calls() -> None:
    rpc = all_rpcs()["RunService/SubmitRun"]

    def some(number: int) -> list[Any]:
        strategy = _values().request(rpc)
        return [drawn(number + index, lambda draw: draw(strategy)) for index in range(20)]

    first, again, other = some(1), some(1), some(1000)
    assert [each and each.SerializeToString(deterministic=True) for each in first] == [
        each and each.SerializeToString(deterministic=True) for each in again
    ]
    assert first != other


def test_every_rpc_is_called_with_its_own_kind_of_request() -> None:
    values = _values()
    for number, rpc in enumerate(all_rpcs().values()):
        strategy = values.request(rpc)
        request = drawn(number, lambda draw, strategy=strategy: draw(strategy))
        if request is not None:
            assert isinstance(request, rpc.request_class)
            as_json(request)


def test_the_smallest_request_is_found() -> None:
    request = run_pb2.UpdateRunRequest(name="a" * 100, remove_tags=["x", "bad", "y", "z"], set_tags={"k": "v"})
    small = smaller(request, lambda each: "bad" in each.remove_tags)
    assert small == run_pb2.UpdateRunRequest(remove_tags=["bad"])
    call = Call(all_rpcs()["RunService/UpdateRun"], "HTTP", small)
    assert call.told() == 'RunService/UpdateRun over HTTP with {"removeTags": ["bad"]}'
