"""Settings from the environment and the command line."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from localaml.cli.configuration import PREFIX, Configuration, load_settings
from localaml.cli.failure import CliError
from localaml.settings import (
    CLOUD_LATENCY,
    DockerSettings,
    EnvironmentSettings,
    LatencySettings,
    Settings,
    StorageSettings,
)

DOCUMENT = Path(__file__).parents[2] / "docs" / "configuration.md"


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in Configuration.model_fields:
        monkeypatch.delenv(PREFIX + name.upper(), raising=False)
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.delenv("LOCALAML_CONFIG", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))


def test_defaults_are_those_of_the_emulator(tmp_path: Path) -> None:
    assert load_settings() == Settings(
        state_dir=tmp_path / ".local" / "share" / "localaml", cache_dir=tmp_path / ".cache" / "localaml"
    )


def test_data_and_cache_folders_follow_xdg(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", "/data")
    monkeypatch.setenv("XDG_CACHE_HOME", "/cached")
    settings = load_settings()
    assert (settings.state_dir, settings.cache_dir) == (Path("/data/localaml"), Path("/cached/localaml"))


def test_options_come_before_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCALAML_PORT", "7001")
    monkeypatch.setenv("LOCALAML_HTTP_PORT", "7002")
    settings = load_settings(port=8001, http_port=None)
    assert (settings.port, settings.http_port) == (8001, 7002)


def test_every_kind_of_setting_can_come_from_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    constraints = tmp_path / "constraints.txt"
    constraints.touch()
    for name, value in {
        "STATE_DIR": "~/state",
        "EPHEMERAL": "1",
        "REQUIRE_TOKEN": "false",
        "CANCEL_GRACE_SECONDS": "0.5",
        "EXCLUDE_NEWER": "2019-01-31",
        "EXTRA_INDEX_URLS": "http://one/simple  http://two/simple",
        "CONSTRAINTS_FILE": str(constraints),
        "OFFLINE": "true",
        "PYTHON_INTERPRETERS": "/a/python:/b/python",
        "COMPUTE": "auto",
        "DOCKER_BASE_IMAGE": "mine:1",
        "DOCKER_USER": "1000:100",
        "DOCKER_HOST": "unix:///run/engine.sock",
        "DOCKER_SHM_SIZE": "1.5g",
        "IMAGES": "microsoft/mmlspark:*=localaml/base  public/*=mine:1 azureml/x=",
    }.items():
        monkeypatch.setenv(PREFIX + name, value)
    settings = load_settings()
    assert settings.compute == "auto"
    assert settings.docker == DockerSettings(
        base_image="mine:1",
        image_map={"microsoft/mmlspark:*": "localaml/base", "public/*": "mine:1", "azureml/x": ""},
        user="1000:100",
        host="unix:///run/engine.sock",
        shm_size_bytes=3 * 2**29,
    )
    assert settings.state_dir == tmp_path / "state"
    assert (settings.ephemeral, settings.require_token, settings.cancel_grace_seconds) == (True, False, 0.5)
    assert settings.environments == EnvironmentSettings(
        exclude_newer="2019-01-31",
        extra_index_urls=("http://one/simple", "http://two/simple"),
        constraints_file=constraints,
        offline=True,
        python_interpreters=(Path("/a/python"), Path("/b/python")),
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "abc"),
        ("PORT", "70000"),
        ("PORT", "-1"),
        ("EPHEMERAL", "perhaps"),
        ("CANCEL_GRACE_SECONDS", "-1"),
        ("EXCLUDE_NEWER", "last year"),
        ("SNAPSHOT_FILE_LIMIT", "0"),
        ("COMPUTE", "podman"),
        ("DOCKER_USER", "root"),
        ("DOCKER_SHM_SIZE", "big"),
        ("DOCKER_PIDS_LIMIT", "0"),
        ("IMAGES", "microsoft/mmlspark"),
    ],
)
def test_a_bad_variable_is_named(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(PREFIX + name, value)
    with pytest.raises(CliError, match=f"^{PREFIX}{name}='{value}' is no good: ") as caught:
        load_settings()
    assert caught.value.exit_code == 2


def test_a_bad_option_is_named() -> None:
    with pytest.raises(CliError, match=r"^--http-port=70000 is no good: "):
        load_settings(http_port=70_000)


def test_constraints_that_do_not_exist(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCALAML_CONSTRAINTS_FILE", "/no/such/file")
    with pytest.raises(CliError, match="/no/such/file does not exist"):
        load_settings()


def test_the_command_line_knows_every_setting() -> None:
    flat = {field.name for field in dataclasses.fields(Settings)} - {"environments", "storage", "docker"}
    nested = {
        field.name
        for kind in (EnvironmentSettings, LatencySettings, StorageSettings)
        for field in dataclasses.fields(kind)
    }
    docker = {f"docker_{field.name}" for field in dataclasses.fields(DockerSettings)}
    docker = docker - {"docker_image_map", "docker_shm_size_bytes"} | {"images", "docker_shm_size"}
    assert set(Configuration.model_fields) == flat | nested | docker


def test_a_latency_profile_and_what_differs_from_it(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load_settings().latency == LatencySettings()
    monkeypatch.setenv("LOCALAML_LATENCY", "cloud")
    assert load_settings().latency == CLOUD_LATENCY
    monkeypatch.setenv("LOCALAML_QUEUE_SECONDS", "0")
    assert load_settings(image_build_seconds=7.0).latency == dataclasses.replace(
        CLOUD_LATENCY, queue_seconds=0.0, image_build_seconds=7.0
    )


def _write_file(folder: Path, text: str) -> Path:
    path = folder / ".config" / "localaml" / "config.toml"
    path.parent.mkdir(parents=True)
    path.write_text(text, "utf-8")
    return path


def test_the_settings_file_comes_after_options_and_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    _write_file(
        tmp_path,
        """
        port = 1
        http_port = 2
        compute = "auto"
        signed_url_seconds = 3
        cache_dir = "beside"
        python_interpreters = ["/a/python"]
        [images]
        "microsoft/mmlspark:*" = "localaml/base"
        "public/with space" = "mine"
        """,
    )
    monkeypatch.setenv("LOCALAML_HTTP_PORT", "22")
    monkeypatch.setenv("LOCALAML_COMPUTE", "docker")
    settings = load_settings(compute="process", port=None)
    assert (settings.port, settings.http_port, settings.compute) == (1, 22, "process")
    assert settings.signed_url_seconds == 3
    assert settings.cache_dir == tmp_path / ".config" / "localaml" / "beside"
    assert settings.environments.python_interpreters == (Path("/a/python"),)
    assert list(settings.docker.image_map.items()) == [
        ("microsoft/mmlspark:*", "localaml/base"),
        ("public/with space", "mine"),
    ]


def test_a_settings_file_that_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    _write_file(tmp_path, "port = 1")
    (tmp_path / "mine.toml").write_text("port = 2")
    (tmp_path / "other.toml").write_text("port = 3")
    monkeypatch.setenv("LOCALAML_CONFIG", "~/mine.toml")
    assert load_settings().port == 2
    assert load_settings(tmp_path / "other.toml").port == 3
    monkeypatch.setenv("LOCALAML_CONFIG", "/no/such.toml")
    with pytest.raises(CliError, match=r"^LOCALAML_CONFIG: the settings file /no/such.toml does not exist"):
        load_settings()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("port = ", "is not TOML"),
        ("prot = 1", r"there is no setting 'prot'. Did you mean port\?"),
        ("port = 70000", "config.toml: port=70000 is no good"),
        ("docker_pids_limit = 1", "config.toml: docker_pids_limit=1 is no good"),
        ("state_dir = '/s'", "state_dir cannot be set in a file"),
        ("[images]\n'a' = 1", "images=1 is no good"),
        ("images = 'a'", "images='a' is no good"),
    ],
)
def test_what_is_wrong_in_the_settings_file_is_named(tmp_path: Path, text: str, told: str) -> None:
    _write_file(tmp_path, text)
    with pytest.raises(CliError, match=told) as caught:
        load_settings()
    assert caught.value.exit_code == 2


def _shown_default(name: str) -> str:
    folders = {"state_dir": "data", "cache_dir": "cache"}
    if name in folders:
        return f"`localaml` in the user's {folders[name]} folder"
    default = Configuration.model_fields[name].default
    if default is None or default in ((), "") or default == {}:
        return "none"
    return f"`{str(default).lower() if isinstance(default, bool) else default}`"


def test_the_document_lists_every_setting() -> None:
    """docs/configuration.md has one row for each, with its default and its meaning as the code has them."""
    rows = [
        f"| `{PREFIX}{name.upper()}` | {_shown_default(name)} | {field.description} |"
        for name, field in Configuration.model_fields.items()
    ]
    lines = DOCUMENT.read_text("utf-8").splitlines()
    missing = [row for row in rows if row not in lines]
    assert not missing, "missing or different:\n" + "\n".join(missing)
