"""What pip was told about indexes is handed on to uv, unless uv was told itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from localaml.jobs.environments.pip_settings import PipSettings, read_pip_settings


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """A user whose only configuration is the file `pip.conf` in `tmp_path`."""
    return {
        "HOME": str(tmp_path),
        "XDG_CONFIG_DIRS": str(tmp_path / "xdg"),
        "PIP_CONFIG_FILE": str(tmp_path / "pip.conf"),
    }


def test_the_configuration_file_and_the_variables(environ: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "wheels").mkdir()
    (tmp_path / "pip.conf").write_text(
        "[global]\nindex-url = https://u:p@index.example/simple\nextra-index-url =\n  https://a.example\n  https://b.example\n"
        f"find-links = {tmp_path}/wheels {tmp_path}/nothing\n[install]\ntrusted-host = index.example\n"
    )
    settings = read_pip_settings(environ)
    assert settings.index_url == "https://u:p@index.example/simple"
    assert settings.extra_index_urls == ("https://a.example", "https://b.example")
    assert settings.find_links == (f"{tmp_path}/wheels",)
    assert settings.trusted_hosts == ("index.example",)
    assert "u:p" not in repr(settings)
    assert read_pip_settings({**environ, "PIP_INDEX_URL": "https://c.example"}).index_url == "https://c.example"


@pytest.mark.parametrize("name", ["UV_INDEX_URL", "UV_DEFAULT_INDEX", "UV_EXTRA_INDEX_URL", "UV_FIND_LINKS"])
def test_what_uv_was_told_wins(environ: dict[str, str], name: str) -> None:
    environ |= {"PIP_INDEX_URL": "https://pip.example"}
    assert read_pip_settings(environ).index_url == "https://pip.example"
    assert read_pip_settings({**environ, name: "https://uv.example"}) == PipSettings()


def test_a_uv_configuration_file_wins_too(environ: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / ".config/uv").mkdir(parents=True)
    (tmp_path / ".config/uv/uv.toml").touch()
    assert read_pip_settings({**environ, "PIP_INDEX_URL": "https://pip.example"}) == PipSettings()


def test_a_broken_configuration_file_is_pips_matter(environ: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "pip.conf").write_bytes(b"\xff\xfe no ini file")
    read_pip_settings(environ)


def test_no_configuration_at_all(environ: dict[str, str]) -> None:
    settings = read_pip_settings({**environ, "PIP_CONFIG_FILE": "/dev/null"})
    assert settings == PipSettings()
