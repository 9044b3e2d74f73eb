"""What the door takes: every part of a request has a limit, over both transports, before a servicer sees it."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
from google.protobuf import descriptor_pool, message_factory
from google.protobuf.struct_pb2 import Struct
from google.protobuf.timestamp_pb2 import Timestamp

from localaml.errors import InvalidArgument
from localaml.services.request_limits import MAX_NESTING, RequestLimits
from localaml.services.rpc import Caller, method_table
from localaml_proto.v1 import (
    dataset_pb2,
    environment_pb2,
    experiment_pb2,
    metric_pb2,
    model_pb2,
    run_definition_pb2,
    run_pb2,
    snapshot_pb2,
    workspace_pb2,
)

Definition = run_definition_pb2.RunDefinition


def refusal(request: Any) -> InvalidArgument:
    with pytest.raises(InvalidArgument) as caught:
        RequestLimits().check(request)
    return caught.value


def submit(conda: dict[str, Any]) -> run_pb2.SubmitRunRequest:
    request = run_pb2.SubmitRunRequest(parent="p")
    request.definition.environment.python.conda_dependencies.update(conda)
    return request


def nested(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize("number", [math.inf, -math.inf, math.nan])
def test_numbers_that_json_cannot_say(number: float) -> None:
    error = refusal(submit({"dependencies": [1.5, {"pip": [number]}]}))
    assert error.reason == "NUMBER_NOT_FINITE"
    path = "definition.environment.python.conda_dependencies.dependencies[1].pip[0]"
    assert error.metadata == {"field": path, "sent": str(number)}
    model = model_pb2.RegisterModelRequest(resource_configuration={"cpu": number})
    assert refusal(model).metadata["field"] == "resource_configuration.cpu"


def test_nesting() -> None:
    RequestLimits().check(submit({"a": nested(MAX_NESTING - 1)}))
    error = refusal(submit({"a": nested(MAX_NESTING)}))
    assert error.reason == "FIELD_TOO_DEEP"
    assert (error.metadata["limit"], error.metadata["sent"]) == (str(MAX_NESTING), str(MAX_NESTING + 1))


def test_the_deepest_that_is_taken_can_be_read_in_every_listing() -> None:
    value: Any = 1
    for _ in range(MAX_NESTING - 1):
        value = {"k": value}
    request = submit({"a": value})
    RequestLimits().check(request)
    run = run_pb2.Run(definition=request.definition)
    listing = run_pb2.ListRunsResponse(runs=[run])
    assert run_pb2.ListRunsResponse.FromString(listing.SerializeToString()) == listing
    environment = environment_pb2.Environment(definition=request.definition.environment)
    listed = environment_pb2.ListEnvironmentsResponse(environments=[environment])
    assert environment_pb2.ListEnvironmentsResponse.FromString(listed.SerializeToString()) == listed


TOO_MUCH: list[tuple[Any, str, str]] = [
    (experiment_pb2.CreateExperimentRequest(parent="x" * 65_537), "FIELD_TOO_LONG", "parent"),
    (experiment_pb2.CreateExperimentRequest(request_id="x" * 1025), "FIELD_TOO_LONG", "request_id"),
    (submit({"a": "x" * 16_385}), "FIELD_TOO_LONG", "definition.environment.python.conda_dependencies.a"),
    (submit({"x" * 16_385: 1}), "FIELD_TOO_LONG", "definition.environment.python.conda_dependencies." + "x" * 60),
    (submit({"a": [1] * 10_000}), "TOO_MANY_ITEMS", "definition.environment.python.conda_dependencies.a"),
    (
        submit({str(i): "x" * 10_000 for i in range(60)}),
        "FIELD_TOO_LARGE",
        "definition.environment.python.conda_dependencies",
    ),
    (run_pb2.UpdateRunRequest(remove_tags=["x"] * 10_001), "TOO_MANY_ITEMS", "remove_tags"),
    (run_pb2.UpdateRunRequest(remove_tags=["", "x" * 65_537]), "FIELD_TOO_LONG", "remove_tags[1]"),
    (run_pb2.UpdateRunRequest(set_tags={"k": "x" * 65_537}), "FIELD_TOO_LONG", "set_tags[k]"),
    (run_pb2.UpdateRunRequest(set_tags={str(i): "x" * 60_000 for i in range(18)}), "FIELD_TOO_LARGE", "set_tags"),
    (run_pb2.ListRunsRequest(tags={str(i): "" for i in range(101)}), "TOO_MANY_ITEMS", "tags"),
    (
        run_pb2.SubmitRunRequest(definition=Definition(arguments=["x" * 100_000] * 11)),
        "FIELD_TOO_LARGE",
        "definition",
    ),
    (metric_pb2.LogMetricsRequest(series=[{"steps": [1] * 1_000_001}]), "TOO_MANY_ITEMS", "series[0].steps"),
    (experiment_pb2.ListExperimentsRequest(view=77), "ENUM_VALUE_UNKNOWN", "view"),  # type: ignore[arg-type]
    (
        workspace_pb2.CreateWorkspaceRequest(workspace={"create_time": Timestamp(seconds=2**50)}),
        "TIME_OUT_OF_RANGE",
        "workspace.create_time",
    ),
    (workspace_pb2.CreateWorkspaceRequest(parent="x" * 2**24), "REQUEST_TOO_LARGE", ""),
    (
        dataset_pb2.RegisterDatasetRequest(definition={"table": Struct(fields={"a": {}})}),
        "VALUE_MISSING",
        "definition.table.a",
    ),
]


@pytest.mark.parametrize(("request_", "reason", "field"), TOO_MUCH, ids=[f"{r} {f[:40]}" for _, r, f in TOO_MUCH])
def test_too_much(request_: Any, reason: str, field: str) -> None:
    error = refusal(request_)
    assert (error.reason, error.metadata.get("field", "")) == (reason, field)


ENOUGH: list[Any] = [
    snapshot_pb2.CreateSnapshotRequest(entries=[{"path": f"{i}.py", "sha256": "a" * 64} for i in range(50_000)]),
    metric_pb2.LogMetricsRequest(series=[{"values_json": ["1.0"] * 300_000, "times_micros": [1] * 300_000}]),
    metric_pb2.LogMetricsRequest(series=[{"values_json": ["NaN", "Infinity"], "times_micros": [1, 2]}]),
    submit({"dependencies": [f"package-{i}=1.0" for i in range(5_000)]}),
    run_pb2.UpdateRunRequest(set_tags={str(i): "x" * 100 for i in range(1000)}),
]


@pytest.mark.parametrize("request_", ENOUGH, ids=[type(each).__name__ for each in ENOUGH])
def test_what_real_use_needs(request_: Any) -> None:
    RequestLimits().check(request_)


def test_what_this_version_does_not_know_is_dropped() -> None:
    # Field 999 of a definition: it would be stored, and come back in every answer.
    definition = Definition(script="a.py").SerializeToString() + bytes([0xBA, 0x3E, 1, 0x41])
    request = run_pb2.SubmitRunRequest(definition=Definition.FromString(definition))
    RequestLimits().check(request)
    assert request.definition.SerializeToString() == Definition(script="a.py").SerializeToString()


def fields_of(descriptor: Any, seen: set[str]) -> set[str]:
    if descriptor.full_name not in seen:
        seen.add(descriptor.full_name)
        for field in descriptor.fields:
            if field.message_type is not None:
                fields_of(field.message_type, seen)
    return seen


def test_every_text_of_every_rpc_has_a_limit() -> None:
    """By sending 17 MB less a bit in each: no text is that long."""
    from localaml.services import build_services  # the servicers name all services

    pool = descriptor_pool.Default()
    names = [f"localaml.v1.{name}Service" for name in ("Run", "Workspace", "Compute", "Model", "Dataset", "Metric")]
    assert build_services is not None
    for name in names:
        for method in pool.FindServiceByName(name).methods:
            for path, request in with_each_text(message_factory.GetMessageClass(method.input_type)):
                assert refusal(request).reason in ("FIELD_TOO_LONG", "FIELD_TOO_LARGE"), f"{method.full_name} {path}"


def with_each_text(kind: type[Any]) -> list[tuple[str, Any]]:
    text = "x" * 3_000_000
    made: list[tuple[str, Any]] = []

    def walk(descriptor: Any, path: list[str], set_in: Callable[[Any], Any]) -> None:
        for field in descriptor.fields:
            message = field.message_type
            root = kind()
            target = set_in(root)
            if message is not None and message.GetOptions().map_entry:
                if message.fields_by_name["value"].type == field.TYPE_STRING:
                    getattr(target, field.name)["k"] = text
                    made.append((".".join([*path, field.name]), root))
            elif message is not None and message.full_name == "google.protobuf.Struct":
                getattr(target, field.name).update({"k": text})
                made.append((".".join([*path, field.name]), root))
            elif message is not None and not message.full_name.startswith("google."):
                step = _step(field.name, hasattr(getattr(target, field.name), "add"))
                walk(message, [*path, field.name], lambda root, step=step, before=set_in: step(before(root)))  # type: ignore[misc]
            elif field.type == field.TYPE_STRING:
                value = getattr(target, field.name)
                if isinstance(value, str):
                    setattr(target, field.name, text)
                else:
                    value.append(text)
                made.append((".".join([*path, field.name]), root))

    walk(kind.DESCRIPTOR, [], lambda root: root)
    return made


def _step(name: str, is_list: bool) -> Callable[[Any], Any]:
    return (lambda message: getattr(message, name).add()) if is_list else (lambda message: getattr(message, name))


async def test_no_servicer_sees_what_is_refused() -> None:
    class Runs:
        SERVICE = "localaml.v1.RunService"
        seen = 0

        async def submit_run(self, request: Any, caller: Caller) -> run_pb2.Run:
            self.seen += 1
            return run_pb2.Run()

        async def watch_run(self, request: Any, caller: Caller) -> Any:
            self.seen += 1
            yield run_pb2.Run()

    runs = Runs()
    table = method_table([runs])
    owner = Caller(is_owner=True)
    with pytest.raises(InvalidArgument):
        await table["/localaml.v1.RunService/SubmitRun"].call(submit({"a": math.nan}), owner)
    with pytest.raises(InvalidArgument):
        stream = table["/localaml.v1.RunService/WatchRun"].stream(run_pb2.WatchRunRequest(name="x" * 70_000), owner)
        async for _ in stream:
            pass
    assert runs.seen == 0
    await table["/localaml.v1.RunService/SubmitRun"].call(submit({"a": 1}), owner)
    assert runs.seen == 1
