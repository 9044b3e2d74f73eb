"""Light imports, clear refusals, old interpreters."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.sdk.fake_server import FakeServer
from tests.support.old_pythons import need_python

import azureml.core

SDK = Path(azureml.core.__file__).parents[2]


def test_importing_the_package_loads_no_part_of_it() -> None:
    script = (
        "import sys; before = set(sys.modules); import azureml.core, azureml.core.compute, azureml.data; "
        "print('\\n'.join(sorted(set(sys.modules) - before)))"
    )
    done = subprocess.run([sys.executable, "-I", "-c", script], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert "azureml.core" in loaded
    heavy = {"grpc", "google.protobuf", "http.client", "json", "ssl", "asyncio", "logging", "azureml.core.workspace"}
    assert not loaded & heavy


def test_logging_a_metric_loads_little(server: FakeServer) -> None:
    # A script's process pays for it in each run, before the script's first line.
    server.unary["/localaml.v1.MetricService/LogMetrics"] = lambda request: {}
    script = (
        "import sys; before = set(sys.modules); from azureml.core import Run; run = Run.get_context(); "
        "run.log('loss', 1.0); run.flush(); print('\\n'.join(sorted(set(sys.modules) - before)))"
    )
    names = {"RUN_ID": "r", "RUN_TOKEN": "t", "EXPERIMENT_NAME": "e", "ARM_SUBSCRIPTION": "s"}
    names |= {"ARM_RESOURCEGROUP": "g", "ARM_WORKSPACE_NAME": "w"}
    variables = {f"AZUREML_{name}": value for name, value in names.items()}
    variables |= {"LOCALAML_ENDPOINT": server.address, "PYTHONPATH": str(SDK)}
    done = subprocess.run([sys.executable, "-c", script], env=variables, capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert "azureml._localaml.plain_http" in loaded and len(server.requests) == 1
    heavy = {"http.client", "ssl", "email", "urllib.parse", "logging", "uuid", "random", "encodings.idna", "datetime"}
    assert not loaded & (heavy | {"grpc", "google.protobuf", "asyncio", "subprocess", "tempfile"})


def test_importing_core_makes_the_other_packages_attributes() -> None:
    script = "import azureml.core; print(azureml.data.__version__ == azureml.core.VERSION, azureml.exceptions.__name__)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "azureml.exceptions"]


def test_the_names_of_core_are_there() -> None:
    for name in azureml.core.__all__:
        assert getattr(azureml.core, name) is not None
        assert name in dir(azureml.core)


@pytest.mark.parametrize("name", ["Webservice", "Image"])
def test_what_is_missing_is_named(name: str) -> None:
    with pytest.raises(ImportError, match=rf"LocalAML does not support azureml\.core\.{name} yet"):
        exec(f"from azureml.core import {name}", {})
    with pytest.raises(ImportError, match="does not support"):
        getattr(azureml.core, name)


@pytest.mark.parametrize("module", ["webservice", "image"])
def test_missing_modules_are_named(module: str) -> None:
    with pytest.raises(ImportError, match=rf"LocalAML does not support azureml\.core\.{module} yet"):
        importlib.import_module(f"azureml.core.{module}")


def test_an_unknown_name_is_an_attribute_error() -> None:
    assert not hasattr(azureml.core, "Nonsense")
    with pytest.raises(ImportError, match="cannot import name 'Nonsense'"):
        from azureml.core import Nonsense  # type: ignore[attr-defined]  # noqa: F401  # that is the test


def test_compute_target_exception_is_one_class_at_every_path() -> None:
    import azureml.core.compute
    import azureml.core.compute_target
    import azureml.exceptions

    assert azureml.core.compute.ComputeTargetException is azureml.exceptions.ComputeTargetException
    assert azureml.core.compute_target.ComputeTargetException is azureml.exceptions.ComputeTargetException


PROGRAM = """
import sys
for name in ("grpc", "google", "yaml", "requests"):
    sys.modules[name] = None  # as if nothing were installed
from azureml._localaml.client import get_client
client = get_client()
assert client.call("RunService", "GetRun", {"name": "n"}) == {"name": "n"}
assert list(client.stream("RunService", "WatchRun", {})) == [{"n": 1}, {"n": 2}]
client.transfer.upload_file(sys.argv[1] + "/x", b"content")
client.transfer.download_file(sys.argv[1] + "/x", sys.argv[2])
from azureml.core import Workspace, Datastore, ComputeTarget
from azureml.core.compute import AmlCompute
from azureml.core.authentication import ServicePrincipalAuthentication
from azureml.data.data_reference import DataReference
from azureml.exceptions import ComputeTargetException
import azureml._localaml.snapshot
from azureml._localaml.snapshot import list_source_files
print(sys.version_info[:2], len(list_source_files(".")))
"""


VERSIONS = [".".join(map(str, sys.version_info[:2])), "3.6", "3.7", "3.8"]


@pytest.mark.parametrize("version", VERSIONS)
def test_the_standard_library_is_enough(version: str, server: FakeServer, tmp_path: Path) -> None:
    interpreter = sys.executable if version == VERSIONS[0] else need_python(version)
    server.unary["/localaml.v1.RunService/GetRun"] = lambda request: request
    server.streams["/localaml.v1.RunService/WatchRun"] = lambda request: iter([{"n": 1}, {"n": 2}])
    (tmp_path / "a.py").touch()
    done = subprocess.run(
        [interpreter, "-W", "error", "-c", PROGRAM, server.address, str(tmp_path / "copy")],
        env={"PYTHONPATH": str(SDK), "LOCALAML_ENDPOINT": server.address, "PATH": os.environ["PATH"]},
        cwd=tmp_path, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "copy").read_bytes() == b"content"
