"""Paths as `pathlib.Path`, wherever a path is taken: here, in a run, in a datastore and on a node."""

from __future__ import annotations

import sys
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from azureml.core import Experiment, Workspace

_SCRIPT = "import sys\nprint('arguments', sys.argv[1:])\nopen('outputs/a.txt', 'w').write('a')\n"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    (folder / "code").mkdir(parents=True)
    (folder / "code" / "train.py").write_text("import os\nos.makedirs('outputs', exist_ok=True)\n" + _SCRIPT)
    return folder


def _arguments_of(run: Any) -> str:
    run.wait_for_completion()
    name = next(name for name in run.get_file_names() if "70_driver_log" in name or "80_driver_log" in name)
    run.download_file(name, Path("log.txt"))
    return next(line for line in Path("log.txt").read_text().splitlines() if line.startswith("arguments"))


def test_script_run_config(experiment: Experiment, source: Path) -> None:
    from azureml.core import ScriptRunConfig

    config = ScriptRunConfig(source, Path("code/train.py"), arguments=["--data", Path("a/b"), PurePosixPath("/c")])
    config.run_config.environment.python.user_managed_dependencies = True
    config.run_config.environment.python.interpreter_path = Path(sys.executable)
    run = experiment.submit(config)
    assert _arguments_of(run) == "arguments ['--data', 'a/b', '/c']"
    assert run.get_details()["runDefinition"]["script"] == "code/train.py"


def test_a_run_configuration(experiment: Experiment, source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from azureml.core.runconfig import RunConfiguration

    config = RunConfiguration(script=Path("code/train.py"))
    config.environment.python.user_managed_dependencies = True
    config.environment.python.interpreter_path = sys.executable
    config.history.directories_to_watch = [Path("logs"), Path("more")]
    config.save(Path("configurations"), "one")
    again = RunConfiguration.load(Path("configurations"), "one")
    config.save(Path("plain.runconfig"))
    assert RunConfiguration.load(Path("plain.runconfig")).script == again.script == "code/train.py"
    assert again.history.directories_to_watch == ["logs", "more"]
    RunConfiguration.delete(Path("configurations"), "one")
    assert not list(Path("configurations/.azureml").iterdir())
    monkeypatch.chdir(source)
    experiment.submit(again).wait_for_completion()


def test_estimators(experiment: Experiment, source: Path) -> None:
    from azureml.train.estimator import Estimator

    Path("conda.yml").write_text("name: e\ndependencies:\n- python=3.8\n- pip:\n  - six==1.16.0\n")
    Path("more.txt").write_text("tabulate\n")
    estimator = Estimator(
        source,
        compute_target="local",
        entry_script=Path("code/train.py"),
        script_params={"--data": Path("a/b")},
        conda_dependencies_file=Path("conda.yml"),
        pip_requirements_file=Path("more.txt"),
    )
    packages = list(estimator.conda_dependencies.pip_packages)
    assert "six==1.16.0" in packages
    assert "tabulate" in packages
    estimator.run_config.environment.python.user_managed_dependencies = True
    estimator.run_config.environment.python.interpreter_path = sys.executable
    assert _arguments_of(experiment.submit(estimator)) == "arguments ['--data', 'a/b']"


def test_a_runs_files(experiment: Experiment) -> None:
    Path("data/inner").mkdir(parents=True)
    Path("data/inner/a.txt").write_text("a")
    run = experiment.start_logging(outputs=Path("made"), snapshot_directory=Path("data"))
    Path("made").mkdir(exist_ok=True)
    Path("made/b.txt").write_text("b")
    run.upload_file(Path("x/one.txt"), Path("data/inner/a.txt"))
    run.upload_file(PureWindowsPath(r"x\windows.txt"), Path("data/inner/a.txt"))
    run.upload_files([Path("x/two.txt")], [Path("data/inner/a.txt")])
    run.upload_files(Path("x/three.txt"), Path("data/inner/a.txt"))
    run.upload_folder(Path("y"), Path("data"))
    run.complete()
    assert run.get_file_names() == [
        "outputs/b.txt", "x/one.txt", "x/three.txt", "x/two.txt", "x/windows.txt", "y/inner/a.txt",
    ]  # fmt: skip
    run.download_file(Path("x/one.txt"), Path("to/one.txt"))
    run.download_files(Path("y"), Path("all"))
    run.download_files(Path("y/inner"), output_paths=[Path("named.txt")])
    for got in ("to/one.txt", "all/y/inner/a.txt", "named.txt"):
        assert Path(got).read_text() == "a"
    assert run.restore_snapshot(path=Path("restored")) == str(Path("restored") / (run.get_snapshot_id() + ".zip"))
    assert experiment.start_logging(snapshot_directory=None).take_snapshot(Path("data/inner")) != ""
    model = run.register_model("m", Path("y"))
    assert model.name == "m"


def test_models(workspace: Workspace, experiment: Experiment) -> None:
    from azureml.core.model import Model

    Path("folder/inner").mkdir(parents=True)
    Path("folder/inner/a.txt").write_text("a")
    Path("folder/b.txt").write_text("b")
    model = Model.register(workspace, Path("folder"), "m", child_paths=[Path("inner")])
    assert model.download(Path("got")) == str(Path("got/folder"))
    assert [str(path) for path in Path("got").rglob("*.txt")] == ["got/folder/inner/a.txt"]


def test_datastores(workspace: Workspace, experiment: Experiment) -> None:
    from azureml.data.data_reference import DataReference
    from azureml.data.datapath import DataPath, DataPathComputeBinding

    store = workspace.get_default_datastore()
    Path("data/inner").mkdir(parents=True)
    Path("data/inner/a.txt").write_text("a")
    store.upload(Path("data"), target_path=Path("up"), show_progress=False)
    store.upload_files([Path("data/inner/a.txt")], relative_root=Path("data"), target_path=Path("files"))
    store.upload_files([Path("data/inner/a.txt")], target_path=PureWindowsPath(r"back\slash"))
    assert store.download(Path("got"), prefix=Path("up"), show_progress=False) == 1
    assert store.download(Path("got"), prefix=Path("files/inner")) == 1
    assert store.download(Path("got"), prefix="back/slash") == 1
    assert Path("got/up/inner/a.txt").read_text() == "a"
    assert store.path(Path("up/inner")).path_on_datastore == "up/inner"
    assert store.path("up").path(Path("inner")).path_on_datastore == "up/inner"
    assert DataReference(store, path_on_datastore=Path("up")).path_on_datastore == "up"
    assert store.as_download(Path("here")).path_on_compute == "here"
    assert store.path("up").as_upload(Path("here")).path_on_compute == "here"
    place = DataPath(store, Path("up"))
    reference = place.create_data_reference("r", DataPathComputeBinding("download", Path("on/node")))
    assert (reference.path_on_datastore, reference.path_on_compute) == ("up", "on/node")


def test_datasets(workspace: Workspace, experiment: Experiment) -> None:
    from azureml.core import Dataset

    store = workspace.get_default_datastore()
    Path("data/inner").mkdir(parents=True)
    Path("data/inner/a.csv").write_text("x\n1\n")
    made = Dataset.File.upload_directory(Path("data"), (store, Path("up")), pattern="inner/*", show_progress=False)
    assert made.to_path() == ["/inner/a.csv"]
    dataset = Dataset.File.from_files((store, Path("up/inner")))
    assert dataset.download(Path("got")) == [str(Path("got/a.csv").resolve())]
    assert Dataset.File.from_files([(store, Path("up/inner/a.csv"))]).to_path() == ["/a.csv"]
    assert Dataset.Tabular.from_delimited_files((store, Path("up/inner/a.csv"))).to_pandas_dataframe()["x"][0] == 1
    assert dataset.as_named_input("d").as_mount(Path("on/node")).path_on_compute == "on/node"
    assert dataset.as_named_input("d").as_download(Path("on/node")).path_on_compute == "on/node"
    assert dataset.as_mount(Path("on/node")).path_on_compute == "on/node"


def test_environments(tmp_path: Path) -> None:
    from azureml.core import Environment
    from azureml.core.conda_dependencies import CondaDependencies

    conda, requirements, dockerfile = tmp_path / "conda.yml", tmp_path / "requirements.txt", tmp_path / "Dockerfile"
    CondaDependencies.create(pip_packages=["six"]).save(conda)
    assert CondaDependencies().save_to_file(tmp_path, Path("other.yml")) == "other.yml"
    requirements.write_text("-r more.txt\ntabulate\n")
    (tmp_path / "more.txt").write_text("six\n")
    dockerfile.write_text("FROM scratch\n")
    assert "six" in list(CondaDependencies(conda).pip_packages)
    environment = Environment.from_conda_specification("e", conda)
    assert "six" in list(environment.python.conda_dependencies.pip_packages)
    assert list(Environment.from_pip_requirements("e", requirements).python.conda_dependencies.pip_packages) == [
        "six",
        "tabulate",
    ]
    assert Environment.from_dockerfile("e", dockerfile).docker.base_dockerfile == "FROM scratch\n"
    assert Environment.from_dockerfile("e", str(dockerfile), conda_specification=conda) is not None
    assert Environment.from_docker_image("e", "i", pip_requirements=requirements) is not None
    environment.save_to_directory(tmp_path / "saved")
    again = Environment.load_from_directory(tmp_path / "saved")
    assert "six" in list(again.python.conda_dependencies.pip_packages)
    again.python.conda_dependencies_file = conda
    again.python.interpreter_path = Path("/usr/bin/python3")
    assert again.python.interpreter_path == "/usr/bin/python3"


def test_config_files(workspace: Workspace, experiment: Experiment) -> None:
    from azureml.core import Workspace

    Path("project").mkdir()
    workspace.write_config(Path("project"), Path("mine.json"))
    assert Workspace.from_config(Path("project"), _file_name=Path("mine.json")).name == workspace.name
    assert Workspace.from_config(Path("project/.azureml/mine.json")).name == workspace.name


def test_dockerfiles(experiment: Experiment) -> None:
    from azureml._run_impl.definition import run_definition
    from azureml.core import Environment
    from azureml.core.runconfig import RunConfiguration
    from azureml.exceptions import UserErrorException

    Path("Dockerfile").write_text("FROM scratch\nRUN true\n")
    config = RunConfiguration(script="train.py")
    for given, text in (
        (Path("Dockerfile"), "FROM scratch\nRUN true\n"),
        ("./Dockerfile", "FROM scratch\nRUN true\n"),
        ("FROM scratch", "FROM scratch"),
        ("FROM scratch\nRUN x\n", "FROM scratch\nRUN x\n"),
    ):
        config.environment.docker.base_dockerfile = given
        assert run_definition(config)["environment"]["docker"]["baseDockerfile"] == text
        assert Environment.from_dockerfile("e", given).docker.base_dockerfile == text
    config.environment.docker.base_dockerfile = Path("missing/Dockerfile")
    with pytest.raises(UserErrorException, match="no Dockerfile missing/Dockerfile"):
        run_definition(config)
