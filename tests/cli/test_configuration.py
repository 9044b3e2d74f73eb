"""Settings from the environment and the command line."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from localaml.cli.configuration import PREFIX, Configuration, load_settings
from localaml.cli.failure import CliError
from localaml.settings import CLOUD_LATENCY, EnvironmentSettings, LatencySettings, Settings, StorageSettings

DOCUMENT = Path(__file__).parents[2] / "docs" / "configuration.md"


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in Configuration.model_fields:
        monkeypatch.delenv(PREFIX + name.upper(), raising=False)
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
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
    }.items():
        monkeypatch.setenv(PREFIX + name, value)
    settings = load_settings()
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
    flat = {field.name for field in dataclasses.fields(Settings)} - {"environments", "storage"}
    nested = {
        field.name
        for kind in (EnvironmentSettings, LatencySettings, StorageSettings)
        for field in dataclasses.fields(kind)
    }
    assert set(Configuration.model_fields) == flat | nested


def test_a_latency_profile_and_what_differs_from_it(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load_settings().latency == LatencySettings()
    monkeypatch.setenv("LOCALAML_LATENCY", "cloud")
    assert load_settings().latency == CLOUD_LATENCY
    monkeypatch.setenv("LOCALAML_QUEUE_SECONDS", "0")
    assert load_settings(image_build_seconds=7.0).latency == dataclasses.replace(
        CLOUD_LATENCY, queue_seconds=0.0, image_build_seconds=7.0
    )


def _shown_default(name: str) -> str:
    folders = {"state_dir": "data", "cache_dir": "cache"}
    if name in folders:
        return f"`localaml` in the user's {folders[name]} folder"
    default = Configuration.model_fields[name].default
    if default is None or default == ():
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
