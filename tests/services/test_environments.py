"""The registry of environments, curated ones, and building."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from google.protobuf import json_format
from tests.services.harness import WORKSPACE, Emulated

from localaml.errors import FailedPrecondition, InvalidArgument, LocalAmlError, NotFound, Unimplemented
from localaml_proto.v1 import environment_pb2 as e
from localaml_proto.v1 import resources_pb2, run_definition_pb2

NAME = f"{WORKSPACE}/environments/env"


def _definition(*pip: str, **values: Any) -> run_definition_pb2.EnvironmentDefinition:
    python = {"condaDependencies": {"dependencies": ["python=3.9", {"pip": list(pip)}]}}
    return json_format.ParseDict({"python": python, **values}, run_definition_pb2.EnvironmentDefinition())


async def _register(emulator: Emulated, *pip: str, name: str = "env", **values: Any) -> e.Environment:
    request = e.RegisterEnvironmentRequest(
        parent=WORKSPACE, environment_name=name, definition=_definition(*pip), **values
    )
    made: e.Environment = await emulator.call("EnvironmentService/RegisterEnvironment", request)
    return made


async def _get(emulator: Emulated, name: str = "env", **values: str) -> e.Environment:
    request = e.GetEnvironmentRequest(name=f"{WORKSPACE}/environments/{name}", **values)
    found: e.Environment = await emulator.call("EnvironmentService/GetEnvironment", request)
    return found


async def test_versions_count_changes(emulator: Emulated) -> None:
    first = await _register(emulator, "a")
    assert (first.name, first.version, first.definition.version, first.definition.name) == (NAME, "1", "1", "env")
    assert await _register(emulator, "a") == first
    second = await _register(emulator, "a", "b")
    assert second.version == "2"
    assert await _get(emulator) == await _get(emulator, version="2") == await _get(emulator, label="latest") == second
    assert (await _register(emulator, "a")).version == "3", "the newest is what the last registration said"


async def test_what_means_nothing_here_is_kept_and_passwords_are_not(emulator: Emulated) -> None:
    request = e.RegisterEnvironmentRequest(
        parent=WORKSPACE,
        environment_name="env",
        definition=_definition(docker={"baseImageRegistry": {"address": "reg", "username": "u", "password": "top"}}),
    )
    request.other_sections.update({"spark": {"packages": [{"group": "g"}]}})
    await emulator.call("EnvironmentService/RegisterEnvironment", request)
    found = await _get(emulator)
    assert json_format.MessageToDict(found.other_sections) == {"spark": {"packages": [{"group": "g"}]}}
    assert found.definition.docker.base_image_registry.username == "u"
    assert "top" not in str(found)
    assert b"top" not in emulator.paths.metadata.read_bytes()


async def test_labels_move(emulator: Emulated) -> None:
    await _register(emulator, "a")
    await _register(emulator, "b")
    for version in ("1", "2"):
        request = e.LabelEnvironmentRequest(name=NAME, version=version, labels=["good", f"v{version}"])
        await emulator.call("EnvironmentService/LabelEnvironment", request)
    assert (await _get(emulator, label="good")).version == "2"
    assert (await _get(emulator, label="v1")).version == "1"
    for labels in (["latest"], [""], ["x" * 256]):
        with pytest.raises(InvalidArgument):
            await emulator.call(
                "EnvironmentService/LabelEnvironment",
                e.LabelEnvironmentRequest(name=NAME, version="1", labels=labels),
            )


@pytest.mark.parametrize(
    ("values", "error", "reason"),
    [
        ({"version": "7"}, NotFound, "ENVIRONMENT_NOT_FOUND"),
        ({"version": "1.0"}, NotFound, "ENVIRONMENT_NOT_FOUND"),
        ({"version": "9" * 40}, NotFound, "ENVIRONMENT_NOT_FOUND"),
        ({"label": "nope"}, NotFound, "ENVIRONMENT_NOT_FOUND"),
        ({"version": "1", "label": "x"}, InvalidArgument, "ENVIRONMENT_VERSION_AND_LABEL"),
        ({"name": "other"}, NotFound, "ENVIRONMENT_NOT_FOUND"),
        ({"name": "AzureML-Nothing"}, NotFound, "ENVIRONMENT_NOT_FOUND"),
        ({"name": "AzureML-Minimal", "version": "2"}, NotFound, "ENVIRONMENT_NOT_FOUND"),
        ({"name": "AzureML-PySpark-MmlSpark-0.15"}, Unimplemented, "ENVIRONMENT_NOT_SUPPORTED"),
    ],
)
async def test_what_is_not_there_is_named(
    emulator: Emulated, values: dict[str, str], error: type[LocalAmlError], reason: str
) -> None:
    await _register(emulator, "a")
    with pytest.raises(error) as caught:
        await _get(emulator, **values)
    assert caught.value.reason == reason


async def test_reserved_and_bad_names(emulator: Emulated) -> None:
    for name in ("AzureML-Mine", "azureml", "MicrosoftEnv"):
        with pytest.raises(InvalidArgument) as caught:
            await _register(emulator, name=name)
        assert caught.value.reason == "ENVIRONMENT_NAME_RESERVED"
    for name in ("", "a/b", "-a", "a ", "x" * 256):
        with pytest.raises(InvalidArgument) as caught:
            await _register(emulator, name=name)
        assert caught.value.reason == "INVALID_NAME"
    bad = e.RegisterEnvironmentRequest(parent=WORKSPACE, environment_name="env")
    bad.definition.python.conda_dependencies.update({"dependencies": "numpy"})
    with pytest.raises(InvalidArgument) as caught:
        await emulator.call("EnvironmentService/RegisterEnvironment", bad)
    assert caught.value.reason == "ENVIRONMENT_INVALID"


async def test_the_list_goes_through_registered_and_curated_ones_page_by_page(emulator: Emulated) -> None:
    for name in ("a", "b"):
        await _register(emulator, name, name=name)
        await _register(emulator, name, "more", name=name)

    async def listed(size: int, **values: Any) -> list[str]:
        found: list[str] = []
        request = e.ListEnvironmentsRequest(parent=WORKSPACE, page=resources_pb2.PageRequest(page_size=size), **values)
        while True:
            answer = await emulator.call("EnvironmentService/ListEnvironments", request)
            assert len(answer.environments) <= size
            found += [f"{each.name.rpartition('/')[2]}:{each.version}" for each in answer.environments]
            if not answer.next_page_token:
                return found
            request.page.page_token = answer.next_page_token

    everything = await listed(1000)
    assert everything[:4] == ["b:2", "b:1", "a:2", "a:1"]
    assert "AzureML-Minimal:1" in everything and "AzureML-Scikit-learn-0.20.3:1" in everything
    for size in (1, 2, 3, 5):
        assert await listed(size) == everything
    assert await listed(10, exclude_curated=True, latest_only=True) == ["b:2", "a:2"]
    assert await listed(10, environment_name="a") == ["a:2", "a:1"]
    assert await listed(10, environment_name="AzureML-Tutorial") == ["AzureML-Tutorial:1"]


async def test_every_curated_definition_can_be_read(emulator: Emulated) -> None:
    from localaml.jobs.environments.conda import read_conda_dependencies

    request = e.ListEnvironmentsRequest(parent=WORKSPACE)
    for environment in (await emulator.call("EnvironmentService/ListEnvironments", request)).environments:
        assert environment.curated and environment.description
        conda = json_format.MessageToDict(environment.definition.python.conda_dependencies)
        assert read_conda_dependencies(conda, []).python.minor == (3, 7)


async def _build(emulator: Emulated, **values: Any) -> list[e.BuildEnvironmentResponse]:
    request = e.BuildEnvironmentRequest(parent=WORKSPACE, **values)
    return [message async for message in emulator.stream("EnvironmentService/BuildEnvironment", request)]


async def test_building_streams_the_log(emulator: Emulated) -> None:
    await _register(emulator, "a")
    for values in (
        {"environment_name": "env"},
        {"definition": _definition("b")},
        {"environment_name": "AzureML-Minimal"},
    ):
        *lines, last = await _build(emulator, **values)
        assert [message.line for message in lines] == ["preparing"]
        assert last.built.python == "/usr/bin/python3" and last.built.python_version == "3.11"
    with pytest.raises(NotFound):
        await _build(emulator, environment_name="missing")
    emulator.environments.error = FailedPrecondition("ENVIRONMENT_BUILD_FAILED", "no")
    with pytest.raises(FailedPrecondition, match="no"):
        await _build(emulator, environment_name="env")


async def test_a_build_ends_with_its_call(emulator: Emulated) -> None:
    emulator.environments.hold = asyncio.Event()
    stream = emulator.stream(
        "EnvironmentService/BuildEnvironment", e.BuildEnvironmentRequest(parent=WORKSPACE, definition=_definition("a"))
    )
    assert (await anext(stream)).line == "preparing"
    await stream.aclose()
    others = asyncio.all_tasks() - {asyncio.current_task()}
    assert not [task for task in others if "prepare" in str(task.get_coro())]
