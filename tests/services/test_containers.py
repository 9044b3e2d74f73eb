"""Clusters whose nodes are containers, and what runs on them may say of their container."""

from __future__ import annotations

from typing import Any

import pytest
from tests.services.harness import WORKSPACE, Emulated

from localaml.domain.job import ContainerSpec, RegistryCredentials
from localaml.errors import AlreadyExists, FailedPrecondition, InvalidArgument
from localaml.services.definition import stored_job_spec
from localaml.services.sealing import SecretSealer
from localaml_proto.v1 import compute_pb2 as C
from localaml_proto.v1 import environment_pb2 as E
from localaml_proto.v1 import run_pb2 as R

TAG = "localaml.runtime"
DOCKER = {
    "enabled": True,
    "baseImage": "me/image:1",
    "arguments": ["--cpus=1"],
    "baseImageRegistry": {"address": "me.example", "username": "u", "password": "hunter2"},
}


async def _cluster(emulator: Emulated, runtime: str = "docker", name: str = "cpu") -> C.ComputeTarget:
    target = C.ComputeTarget(vm_size="STANDARD_D2_V2", scale_settings=C.ScaleSettings(max_node_count=2))
    target.tags[TAG] = runtime
    request = C.CreateComputeTargetRequest(parent=WORKSPACE, compute_target_name=name, compute_target=target)
    made: C.ComputeTarget = await emulator.call("ComputeService/CreateComputeTarget", request)
    return made


def _definition(**docker: Any) -> dict[str, Any]:
    return {"target": "cpu", "environment": {"docker": {**DOCKER, **docker}}}


async def test_a_tag_says_what_nodes_are(emulator: Emulated) -> None:
    assert (await _cluster(emulator)).tags[TAG] == "docker"
    await _cluster(emulator)
    with pytest.raises(AlreadyExists, match="docker nodes"):
        await _cluster(emulator, "process")
    with pytest.raises(InvalidArgument) as caught:
        await _cluster(emulator, "podman", "other")
    assert caught.value.reason == "RUNTIME_UNKNOWN" and "'podman'" in caught.value.message
    with pytest.raises(InvalidArgument):
        await _cluster(emulator, "", "other")
    names = await emulator.call("ComputeService/ListComputeTargets", C.ListComputeTargetsRequest(parent=WORKSPACE))
    assert len(names.compute_targets) == 1


async def test_a_cluster_that_cannot_be_had_is_refused(emulator: Emulated) -> None:
    async def check(name: str) -> None:
        if name == "docker":
            raise FailedPrecondition("DOCKER_ENGINE_UNAVAILABLE", "No engine.")

    object.__setattr__(emulator.context, "check_runtime", check)
    with pytest.raises(FailedPrecondition, match="No engine"):
        await _cluster(emulator)
    await _cluster(emulator, "process")


async def test_image_settings_have_effect_there(emulator: Emulated) -> None:
    await _cluster(emulator)
    run = await emulator.submit(_definition())
    assert not run.warnings
    await emulator.until(run, R.RUN_STATE_RUNNING)
    assert emulator.environments.containers == [
        ContainerSpec(
            image="me/image:1",
            arguments=("--cpus=1.000000000",),
            registry=RegistryCredentials("me.example", "u", "hunter2"),
        )
    ]
    here = await emulator.submit({**_definition(), "target": "local"})
    assert [warning.code for warning in here.warnings] == ["DOCKER_SETTINGS_IGNORED"]


async def test_arguments_that_lead_out_are_refused_there(emulator: Emulated) -> None:
    await _cluster(emulator)
    with pytest.raises(InvalidArgument) as caught:
        await emulator.submit(_definition(arguments=["-v", "/:/host"]))
    assert caught.value.reason == "UNSUPPORTED_DOCKER_ARGUMENT" and "'-v'" in caught.value.message


async def test_the_password_of_a_registry_is_sealed(emulator: Emulated) -> None:
    await _cluster(emulator)
    run = await emulator.submit(_definition())
    await emulator.until(run, R.RUN_STATE_RUNNING)
    stored = emulator.store.runs.get(await emulator.key(run))
    files = [path.read_bytes() for path in emulator.paths.root.rglob("*") if path.is_file()]
    assert not any(b"hunter2" in content for content in files)
    assert b"hunter2" not in run.SerializeToString() and "hunter2" not in repr(stored)

    def password(sealer: SecretSealer | None) -> str:
        registry = stored_job_spec(stored, sealer).container.registry
        assert registry is not None and registry.username == "u"
        return registry.password

    assert password(emulator.context.sealer) == "hunter2"
    assert password(SecretSealer(b"another key")) == "" == password(None)
    again = await emulator.submit(_definition(), run_id=run.run_id)
    assert again.run_id == run.run_id, "what is sealed makes no other request of it"


async def test_environments_are_built_for_what_nodes_are(emulator: Emulated, monkeypatch: pytest.MonkeyPatch) -> None:
    request = E.BuildEnvironmentRequest(parent=WORKSPACE)
    request.definition.docker.base_image = "me/image:1"

    async def build() -> None:
        async for _ in emulator.stream("EnvironmentService/BuildEnvironment", request):
            pass

    await build()
    monkeypatch.setattr(emulator.runtime, "runs_in_containers", lambda node: node.runtime != "process")
    await build()
    assert emulator.environments.containers == [None, ContainerSpec(image="me/image:1")]


async def test_notes_of_nodes_are_shown(emulator: Emulated) -> None:
    emulator.runtime.note = "smaller than it should be"
    await _cluster(emulator)
    run = await emulator.submit({"target": "cpu"})
    await emulator.until(run, R.RUN_STATE_RUNNING)
    request = C.ListNodesRequest(parent=f"{WORKSPACE}/computes/cpu")
    [node] = (await emulator.call("ComputeService/ListNodes", request)).nodes
    assert node.note == "smaller than it should be"
