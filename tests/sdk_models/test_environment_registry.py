"""Registered and curated environments through the SDK, against a real emulator."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.jobs.test_environments import make_wheel
from tests.support.emulator_process import EmulatorProcess

from azureml.core import Environment, Experiment, ScriptRunConfig
from azureml.core.conda_dependencies import CondaDependencies
from azureml.core.environment import ImageBuildDetails
from azureml.exceptions import UserErrorException

if TYPE_CHECKING:
    from azureml.core import Workspace


def _environment(name: str = "myenv", *pip: str) -> Environment:
    environment = Environment(name)
    environment.python.conda_dependencies = CondaDependencies.create(pip_packages=list(pip), python_version="3.8")
    return environment


def test_what_is_registered_comes_back(workspace: Workspace) -> None:
    environment = _environment("myenv", "numpy==1.18.5")
    environment.environment_variables = {"A": "b"}
    environment.docker.enabled = True
    environment.docker.base_image = "image:1"
    environment.docker.shared_volumes = False
    environment.docker.arguments = ["--ipc=host"]
    environment.spark.repositories = ["somewhere"]
    environment.docker.base_image_registry.address = "registry"
    environment.docker.base_image_registry.password = "top-secret"
    registered = environment.register(workspace=workspace)
    assert (registered.name, registered.version, bool(registered.asset_id)) == ("myenv", "1", True)
    assert environment.version is None
    found = Environment.get(workspace, name="myenv", version="1")
    assert found == registered == Environment.get(workspace, "myenv")
    assert "top-secret" not in repr(found)
    wanted = environment._to_dict()
    wanted["docker"]["baseImageRegistry"]["password"] = None
    assert {**found._to_dict(), "version": None, "assetId": None} == wanted


def test_variants_come_back_as_they_are(workspace: Workspace, tmp_path: Path) -> None:
    managed = Environment("managed")
    managed.python.user_managed_dependencies = True
    managed.python.interpreter_path = "/usr/bin/python3"
    found = managed.register(workspace)
    assert found.python.user_managed_dependencies is True
    assert found.python.interpreter_path == "/usr/bin/python3"
    recipe = Environment.from_dockerfile("recipe", "FROM image\nRUN true\n").register(workspace)
    assert (recipe.docker.base_image, recipe.docker.base_dockerfile) == (None, "FROM image\nRUN true\n")


def test_versions_labels_and_lists(workspace: Workspace) -> None:
    assert _environment("myenv", "a").register(workspace).version == "1"
    assert _environment("myenv", "a").register(workspace).version == "1"
    assert _environment("myenv", "b").register(workspace).version == "2"
    Environment.label(workspace, "myenv", "1", ["good"])
    assert Environment.get(workspace, "myenv", label="good").version == "1"
    assert Environment.get(workspace, "myenv", label="Latest").version == "2"
    for environments in (Environment.list(workspace), workspace.environments):
        assert environments["myenv"].version == "2"
        assert environments["AzureML-Minimal"].version == "1"
    # A version that was got, changed and registered again is the next one.
    changed = Environment.get(workspace, "myenv", "1")
    changed.environment_variables["x"] = "y"
    assert changed.register(workspace).version == "3"


@pytest.mark.parametrize(
    ("name", "version", "text"),
    [
        ("nope", None, "No environment 'nope'"),
        ("myenv", "7", "no version 7"),
        ("AzureML-Nope", None, "no curated environment"),
        ("AzureML-AutoML", None, "does not have the curated environment 'AzureML-AutoML'"),
        ("AzureML-TensorFlow-1.10-CPU", "1", "Python 3.6"),
    ],
)
def test_what_is_not_there_is_named(workspace: Workspace, name: str, version: str | None, text: str) -> None:
    _environment("myenv").register(workspace)
    with pytest.raises(UserErrorException, match=text):
        Environment.get(workspace, name, version)


def test_names_that_cannot_be_registered(workspace: Workspace) -> None:
    with pytest.raises(UserErrorException, match="needs a name"):
        Environment(None).register(workspace)
    with pytest.raises(UserErrorException, match="not a good environment name"):
        _environment("a/b").register(workspace)
    curated = Environment.get(workspace, "AzureML-Scikit-learn-0.20.3")
    with pytest.raises(UserErrorException, match="curated"):
        curated.register(workspace)
    assert curated.python.conda_dependencies is not None
    assert "scikit-learn==0.20.3" in list(curated.python.conda_dependencies.pip_packages)
    assert curated.clone("mine").register(workspace).version == "1"


def test_a_saved_environment_can_be_registered_elsewhere(workspace: Workspace, tmp_path: Path) -> None:
    registered = _environment("myenv", "a").register(workspace)
    registered.save_to_directory(str(tmp_path / "saved"))
    loaded = Environment.load_from_directory(str(tmp_path / "saved"))
    assert loaded.version == "1"
    again = loaded.clone("other").register(workspace)
    assert (again.name, again.version) == ("other", "1")
    assert again.python.conda_dependencies.as_dict() == registered.python.conda_dependencies.as_dict()  # type: ignore[union-attr]


def test_a_run_in_a_registered_environment(workspace: Workspace, tmp_path: Path) -> None:
    environment = Environment("myenv")
    environment.python.user_managed_dependencies = True
    environment.python.interpreter_path = sys.executable
    environment.environment_variables["FROM_REGISTRY"] = "yes"
    environment.register(workspace)
    (tmp_path / "train.py").write_text(
        "import os\nfrom azureml.core import Run\nrun = Run.get_context()\n"
        "run.log('seen', os.environ['FROM_REGISTRY'])\nrun.log('version', run.get_environment().version)\n"
    )
    config = ScriptRunConfig(str(tmp_path), "train.py")
    config.run_config.environment = Environment.get(workspace, "myenv")
    run = Experiment(workspace, "exp").submit(config)
    run.wait_for_completion()
    assert run.get_metrics() == {"seen": "yes", "version": "1"}
    used = run.get_environment()
    assert (used.name, used.version, used.docker.shared_volumes) == ("myenv", "1", True)
    assert used.python.interpreter_path == sys.executable
    assert run.get_details()["runDefinition"]["environment"]["name"] == "myenv"


@pytest.fixture
def wheels(tmp_path: Path) -> Path:
    make_wheel(tmp_path / "wheels", "tinypackage", "1.0")
    return tmp_path / "wheels"


def _tiny(wheels: Path, version: str = "1.0") -> Environment:
    environment = Environment("tiny")
    environment.python.conda_dependencies = CondaDependencies.create(
        pip_packages=[f"tinypackage=={version}"], python_version="{}.{}".format(*sys.version_info)
    )
    environment.python.conda_dependencies.set_pip_option("--no-index")
    environment.python.conda_dependencies.set_pip_option(f"--find-links {wheels}")
    return environment


def test_building_really_builds(
    workspace: Workspace, wheels: Path, connected: EmulatorProcess, capsys: pytest.CaptureFixture[str]
) -> None:
    environment = _tiny(wheels).register(workspace)
    log = environment.build_local(workspace, platform="Linux", useDocker=False)
    assert "tinypackage==1.0" in log and log in capsys.readouterr().out
    assert "The environment was built: Python" in log.splitlines()[-1]
    python = Path(log.rpartition("(")[2].rstrip(")"))
    assert (python.parent.parent / "lib").is_dir() and list(python.parent.parent.rglob("tinypackage.py"))
    build = environment.build(workspace)
    assert isinstance(build, ImageBuildDetails)
    assert build.wait_for_completion(show_output=False) is build
    assert build.status == "Succeeded"
    assert "is there already" in build.get_log()
    assert capsys.readouterr().out == ""


def test_a_build_that_fails_says_why(workspace: Workspace, wheels: Path, capsys: pytest.CaptureFixture[str]) -> None:
    environment = _tiny(wheels, "9.9")
    with pytest.raises(UserErrorException, match=r"tinypackage==9\.9"):
        environment.build_local(workspace)
    build = environment.build(workspace)
    with pytest.raises(UserErrorException, match=r"tinypackage==9\.9"):
        build.wait_for_completion(show_output=True)
    assert build.status == "Failed"
    assert "Resolving" in capsys.readouterr().out


def test_images_are_refused_by_name(workspace: Workspace) -> None:
    environment = _environment()
    with pytest.raises(UserErrorException, match="useDocker"):
        environment.build_local(workspace, useDocker=True)
    with pytest.raises(UserErrorException, match="Windows"):
        environment.build_local(workspace, platform="Windows")
    with pytest.raises(UserErrorException, match="image_build_compute"):
        environment.build(workspace, image_build_compute="cpu")
    with pytest.raises(UserErrorException, match="get_image_details"):
        environment.get_image_details(workspace)
    with pytest.raises(UserErrorException, match="add_private_pip_wheel"):
        Environment.add_private_pip_wheel(workspace, "x.whl")
    with pytest.raises(TypeError, match="nonsense"):
        environment.build_local(workspace, nonsense=1)
