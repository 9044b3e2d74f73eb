"""What the user told pip about package indexes, for uv, which does not read pip's configuration.

Sources in pip's own order: system, user and environment's `pip.conf`, then ``PIP_*``. What the user told uv (``UV_*``
or a `uv.toml`) wins: then pip's are left alone.
"""

from __future__ import annotations

import configparser
import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from localaml.domain.redaction import without_user_info

_UV_INDEX_VARIABLES = (
    "UV_DEFAULT_INDEX",
    "UV_INDEX_URL",
    "UV_INDEX",
    "UV_EXTRA_INDEX_URL",
    "UV_FIND_LINKS",
    "UV_NO_INDEX",
)


@dataclass(frozen=True, slots=True)
class PipSettings:
    """Package sources that apply to every environment. URLs may hold credentials."""

    index_url: str | None = field(default=None, repr=False)
    extra_index_urls: tuple[str, ...] = field(default=(), repr=False)
    find_links: tuple[str, ...] = field(default=(), repr=False)
    constraints: tuple[str, ...] = ()
    trusted_hosts: tuple[str, ...] = ()
    no_index: bool = False


def read_pip_settings(environ: Mapping[str, str]) -> PipSettings:
    """The sources that pip would use in this environment; none where uv has been told its own."""
    if any(environ.get(name) for name in _UV_INDEX_VARIABLES) or uv_configuration(environ) is not None:
        return PipSettings()
    values: dict[str, str] = {}
    for path in _files(environ):
        values.update(_read(path))
    for key in ("index-url", "extra-index-url", "find-links", "constraint", "trusted-host", "no-index"):
        value = environ.get("PIP_" + key.upper().replace("-", "_"))
        if value:
            values[key] = value
    constraints = () if environ.get("UV_CONSTRAINT") else _words(values, "constraint")
    return PipSettings(
        values.get("index-url", "").strip() or None,
        _words(values, "extra-index-url"),
        tuple(link for link in _words(values, "find-links") if "://" in link or Path(link).is_dir()),
        tuple(file for file in constraints if "://" in file or Path(file).is_file()),
        _words(values, "trusted-host"),
        values.get("no-index", "").strip().lower() in ("1", "true", "yes", "on"),
    )


def without_credentials(settings: PipSettings) -> PipSettings:
    """The same sources, without the user names and passwords in their addresses."""
    return replace(
        settings,
        index_url=settings.index_url and without_user_info(settings.index_url),
        extra_index_urls=tuple(map(without_user_info, settings.extra_index_urls)),
        find_links=tuple(map(without_user_info, settings.find_links)),
    )


def uv_configuration(environ: Mapping[str, str]) -> Path | None:
    """The user's or the system's `uv.toml`. Folders above the current one are not searched: where an emulator was
    started must not change what its jobs get."""
    named = environ.get("UV_CONFIG_FILE")
    if named:
        return Path(named)
    home = Path(environ.get("XDG_CONFIG_HOME") or Path(environ.get("HOME") or Path.home()) / ".config")
    for path in (home / "uv" / "uv.toml", Path("/etc/xdg/uv/uv.toml"), Path("/etc/uv/uv.toml")):
        if path.is_file():
            return path
    return None


def _files(environ: Mapping[str, str]) -> Iterator[Path]:
    named = environ.get("PIP_CONFIG_FILE")
    if named == os.devnull:
        return
    home = Path(environ.get("HOME") or Path.home())
    for folder in reversed((environ.get("XDG_CONFIG_DIRS") or "/etc/xdg").split(":")):
        yield Path(folder) / "pip" / "pip.conf"
    if sys.platform == "darwin":
        yield Path("/Library/Application Support/pip/pip.conf")
        yield home / "Library/Application Support/pip/pip.conf"
    yield Path("/etc/pip.conf")
    yield home / ".pip" / "pip.conf"
    yield Path(environ.get("XDG_CONFIG_HOME") or home / ".config") / "pip" / "pip.conf"
    if named:
        yield Path(named)


def _read(path: Path) -> dict[str, str]:
    parser = configparser.RawConfigParser()
    try:
        text = path.read_text(encoding="utf-8")
        parser.read_string(text)
    except (OSError, UnicodeError, configparser.Error):
        # An unreadable file of pip's is pip's matter.
        return {}
    values: dict[str, str] = {}
    for section in ("global", "install"):
        if parser.has_section(section):
            values.update({key.replace("_", "-"): value for key, value in parser.items(section)})
    return values


def _words(values: Mapping[str, str], key: str) -> tuple[str, ...]:
    return tuple(values.get(key, "").split())
