"""Where the packages of a run may come from, and what the words of a request may hold, as submits are answered."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import json_format
from tests.services.harness import EXPERIMENT, WORKSPACE, Emulated, emulated

from localaml.domain.models import RunKey
from localaml.errors import LocalAmlError
from localaml.services.rpc import Caller
from localaml.settings import EnvironmentSettings
from localaml_proto.v1 import environment_pb2, run_definition_pb2, run_pb2

# Ends of lines, as programs know them, and what terminals and files take for more than text.
CONTROLS = ["\n", "\r", "\r\n", "\x00", "\x0b", "\x0c", "\x1b", "\x1c", "\x1d", "\x1e", "\x7f", "\x85", "\x9b"]
CONTROLS += ["\u2028", "\u2029"]

# FOLDER is one that is there.
LOCAL = [
    "--find-links FOLDER",
    "--find-links=FOLDER",
    "-f FOLDER",
    "-fFOLDER",
    "--find-links file://FOLDER",
    "--find-links FILE:FOLDER",
    "--find-links file://localhostFOLDER",
    "--find-links file://LOCALHOSTFOLDER",
    "--find-links 'FOLDER'",
    "--find-links ./wheels",
    "--find-links ~/wheels",
    "--find-links //host/share",
    "--find-links \\\\host\\share",
    "--find-links ${HOME}",
    "--index-url file://FOLDER",
    "--index-url FOLDER",
    "-i FiLe:///FOLDER",
    "--pypi-url file:FOLDER",
    "--extra-index-url file:FOLDER",
    "--extra-index-url FOLDER",
    "--extra-index-url https://${AWS_SECRET_ACCESS_KEY}.example/simple",
    "--index-url https://a.example --extra-index-url file:FOLDER",
    "name @ file://FOLDER",
    "name @ file:FOLDER",
    "name @ FILE:FOLDER/x.whl",
    "name @ FOLDER",
    "name@FOLDER/x-1.0.tar.gz",
    "name @ ../x",
    "name @ ./x.whl",
    "name @ x.whl",
    "name @ file://host.example/share/x.whl",
    "name @ file:%2Fetc",
    "name[extra] @ file:FOLDER ; python_version > '3'",
    "name @ git+file://FOLDER",
    "name @ GIT+FILE:FOLDER",
    "name @ ext::sh",
    "name @ git+ext::sh",
    "git+file:FOLDER",
    "file:FOLDER/x.whl",
    "file://FOLDER/x.whl",
    "File:///FOLDER/x.whl",
    "FOLDER/x.whl",
    "./x.whl",
    "../x",
    "wheels/x-1.0-py3-none-any.whl",
    "C:/x.whl",
    "-e FOLDER",
    "-e.",
    "--editable=FOLDER",
    "-r FOLDER/requirements.txt",
    "--requirement=FOLDER/requirements.txt",
    "-rFOLDER/requirements.txt",
    "-c FOLDER/constraints.txt",
    "--constraint FOLDER/constraints.txt",
    "https://index.example/x.whl -r FOLDER/requirements.txt",
    "https://index.example/x.whl \\",
    "https://${TOKEN}.example/x.whl",
    "--no-binary FOLDER",
    "--trusted-host --config-file=FOLDER",
]
REASONS = {"PACKAGE_FOLDER_NOT_ALLOWED", "ENVIRONMENT_INVALID"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "wheels"
    made.mkdir()
    return made


@pytest.fixture
async def owned(tmp_path: Path, folder: Path) -> AsyncIterator[Emulated]:
    """Servicers whose owner allows `folder`."""
    async with emulated(tmp_path / "state", EnvironmentSettings(allowed_package_folders=(folder,))) as running:
        yield running


def _with_pip(*lines: str, conda: tuple[str, ...] = ()) -> dict[str, Any]:
    dependencies = [*conda, {"pip": list(lines)}]
    return {"environment": {"python": {"condaDependencies": {"dependencies": dependencies}}}}


async def _job(emulator: Emulated) -> Caller:
    run = await emulator.create_run("job")
    return Caller(is_owner=False, run=RunKey(await emulator.workspace_id(), run.run_id))


async def _runs(emulator: Emulated) -> list[str]:
    answer = await emulator.call("RunService/ListRuns", run_pb2.ListRunsRequest(parent=EXPERIMENT))
    return [run.run_id for run in answer.runs]


# -- folders of the machine -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("line", LOCAL)
async def test_a_job_names_no_folder_of_the_machine(owned: Emulated, folder: Path, line: str) -> None:
    caller = await _job(owned)
    with pytest.raises(LocalAmlError) as caught:
        await owned.submit(_with_pip(line.replace("FOLDER", str(folder))), caller=caller)
    assert caught.value.reason in REASONS, caught.value.message
    assert len(caught.value.message) < 1000
    assert await _runs(owned) == ["job"], "a refused submit leaves no run behind"


@pytest.mark.parametrize("line", LOCAL)
async def test_nor_does_the_owner_where_nothing_is_allowed(emulator: Emulated, tmp_path: Path, line: str) -> None:
    with pytest.raises(LocalAmlError) as caught:
        await emulator.submit(_with_pip(line.replace("FOLDER", str(tmp_path))))
    assert caught.value.reason in REASONS, caught.value.message
    assert await _runs(emulator) == []


@pytest.mark.parametrize(
    "line",
    [
        "--find-links FOLDER",
        "--find-links=file://FOLDER",
        "--find-links FOLDER/inner",
        "--extra-index-url file:FOLDER",
        "name @ file:FOLDER/x-1.0-py3-none-any.whl",
        "name @ FOLDER/x-1.0-py3-none-any.whl ; python_version > '3'",
        "file://FOLDER/x-1.0-py3-none-any.whl",
    ],
)
async def test_the_owner_takes_packages_from_folders_that_are_allowed(owned: Emulated, folder: Path, line: str) -> None:
    run = await owned.submit(_with_pip(line.replace("FOLDER", str(folder))))
    assert await _runs(owned) == [run.run_id]


async def test_a_folder_that_only_looks_like_an_allowed_one_is_none(owned: Emulated, folder: Path) -> None:
    (folder / "out").symlink_to(folder.parent)
    (folder.parent / "wheels-of-others").mkdir()
    for named in ("FOLDER/../state", "FOLDER/out", "FOLDER-of-others", "FOLDER/%2e%2e/state", "FOLDER/out/state"):
        with pytest.raises(LocalAmlError) as caught:
            await owned.submit(_with_pip(f"--find-links file://{named.replace('FOLDER', str(folder))}"))
        assert caught.value.reason == "PACKAGE_FOLDER_NOT_ALLOWED", named
    assert "LOCALAML_ALLOWED_PACKAGE_FOLDERS" in caught.value.message


@pytest.mark.parametrize(
    "line",
    [
        "numpy>=1.15 ; python_version > '3'",
        "--index-url https://user:word@index.example/simple",
        "--find-links https://wheels.example/torch.html",
        "git+https://index.example/x.git@v1#egg=x",
        "x @ git+ssh://git@index.example/x.git",
        "https://index.example/x.whl ; sys_platform == 'linux'",
        "--trusted-host index.example:8080",
        "--no-binary :all:",
        "--only-binary numpy,scipy",
    ],
)
async def test_what_comes_over_the_network_is_taken_from_jobs_as_well(owned: Emulated, line: str) -> None:
    run = await owned.submit(_with_pip(line), caller=await _job(owned))
    assert run.run_id in await _runs(owned)


# -- control characters ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("control", CONTROLS, ids=lambda text: ascii(text).strip("'"))
async def test_no_control_characters_in_what_programs_read(emulator: Emulated, control: str) -> None:
    line = f"https://index.example/x.whl{control}-r /etc/passwd"
    for definition in (
        _with_pip(line),
        _with_pip(f"six{control}# -r /etc/passwd"),
        _with_pip(f"six # {control}-r /etc/passwd"),
        _with_pip(f"--find-links https://index.example{control}-r /etc/passwd"),
        _with_pip(conda=(f"numpy{control}=1.0",)),
        _with_pip(conda=(f"python{control}=3.9",)),
        {"environment": {"python": {"interpreterPath": f"py{control}thon", "userManagedDependencies": True}}},
        {"environmentVariables": {f"A{control}B": "1"}},
        {"environment": {"environmentVariables": {f"A{control}B": "1"}}},
        {"environment": {"docker": {"baseImage": f"image{control}x"}}},
        {"environment": {"docker": {"baseImageRegistry": {"address": f"here{control}x", "username": "me"}}}},
        {"environment": {"docker": {"baseImageRegistry": {"address": "here", "username": f"me{control}x"}}}},
        {"target": f"cpu{control}x"},
    ):
        with pytest.raises(LocalAmlError) as caught:
            await emulator.submit(definition)
        assert caught.value.grpc_code == "INVALID_ARGUMENT", (definition, caught.value.message)
        assert control not in caught.value.message, "the message is one line"
    assert await _runs(emulator) == []


@pytest.mark.parametrize("control", CONTROLS, ids=lambda text: ascii(text).strip("'"))
async def test_nor_in_names(emulator: Emulated, control: str) -> None:
    name = f"a{control}b"
    for make in (
        lambda: emulator.submit(run_id=name),
        lambda: emulator.submit(parent=f"{WORKSPACE}/experiments/{name}"),
        lambda: emulator.submit(tags={name: "x"}),
        lambda: emulator.submit(properties={name: "x"}),
        lambda: emulator.cluster(name),
        lambda: emulator.call(
            "EnvironmentService/RegisterEnvironment",
            environment_pb2.RegisterEnvironmentRequest(parent=WORKSPACE, environment_name=name),
        ),
    ):
        with pytest.raises(LocalAmlError) as caught:
            await make()
        assert caught.value.grpc_code == "INVALID_ARGUMENT"


async def test_a_registered_environment_has_none_either(emulator: Emulated) -> None:
    definition = json_format.ParseDict(
        _with_pip("https://index.example/x.whl\n-r /etc/passwd")["environment"],
        run_definition_pb2.EnvironmentDefinition(),
    )
    request = environment_pb2.RegisterEnvironmentRequest(
        parent=WORKSPACE, environment_name="env", definition=definition
    )
    with pytest.raises(LocalAmlError) as caught:
        await emulator.call("EnvironmentService/RegisterEnvironment", request)
    assert caught.value.reason == "CONTROL_CHARACTER"


async def test_arguments_and_values_of_variables_keep_their_lines(emulator: Emulated) -> None:
    text = "one\ntwo\r\n\tthree\x0b\x85\u2028"
    run = await emulator.submit({"arguments": ["--text", text], "environmentVariables": {"TEXT": text}})
    stored = run_definition_pb2.RunDefinition.FromString(emulator.store.runs.get(await emulator.key(run)).definition)
    assert list(stored.arguments) == ["--text", text] and dict(stored.environment_variables) == {"TEXT": text}


async def test_nothing_has_a_nul(emulator: Emulated) -> None:
    for definition in ({"arguments": ["a\0b"]}, {"environmentVariables": {"A": "a\0b"}}):
        with pytest.raises(LocalAmlError) as caught:
            await emulator.submit(definition)
        assert caught.value.grpc_code == "INVALID_ARGUMENT"
