"""The settings file: TOML, the settings of `cli.configuration` by name, and the table `[images]`."""

from __future__ import annotations

import difflib
import os
import sys
from collections.abc import Collection
from pathlib import Path
from typing import Any

import platformdirs

from localaml.cli.failure import CliError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

VARIABLE = "LOCALAML_CONFIG"
# Where an emulator is has to be known to whoever looks for it, SDKs in other environments among them.
_NOT_HERE = ("state_dir",)
_PATHS = ("cache_dir", "constraints_file")
_LISTS_OF_PATHS = ("allowed_package_folders",)


def settings_file(option: Path | None) -> Path | None:
    """The settings file: that of the option, else of the variable, else the user's; None when there is none.

    Raises:
        CliError: exit code 2: one is named that does not exist.
    """
    named = option if option is not None else Path(os.environ[VARIABLE]) if os.environ.get(VARIABLE) else None
    if named is None:
        path = Path(platformdirs.user_config_dir("localaml", appauthor=False)) / "config.toml"
        return path if path.is_file() else None
    path = named.expanduser().absolute()
    if not path.is_file():
        source = "--config" if option is not None else VARIABLE
        raise CliError(f"{source}: the settings file {path} does not exist.", exit_code=2)
    return path


def read_settings_file(path: Path, known: Collection[str]) -> dict[str, Any]:
    """The settings in a file, by name, unchecked.

    Args:
        known: the names that there are.

    Raises:
        CliError: exit code 2: it cannot be read, is no TOML, or has a setting that does not exist or cannot be here.
    """
    try:
        values: dict[str, Any] = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise CliError(f"The settings file {path} cannot be read: {error.strerror}.", exit_code=2) from None
    except ValueError as error:
        raise CliError(f"The settings file {path} is not TOML: {error}.", exit_code=2) from None
    for name in values:
        if name in _NOT_HERE:
            raise CliError(
                f"{path}: {name} cannot be set in a file, since whoever looks for the emulator has to know it, too: "
                f"set LOCALAML_{name.upper()}.",
                exit_code=2,
            )
        if name not in known:
            similar = difflib.get_close_matches(name, known, 1)
            hint = f" Did you mean {similar[0]}?" if similar else ""
            raise CliError(f"{path}: there is no setting {name!r}.{hint}", exit_code=2)
    for name in _PATHS:
        if isinstance(values.get(name), str):
            values[name] = path.parent / Path(values[name]).expanduser()
    for name in _LISTS_OF_PATHS:
        listed = values.get(name)
        if isinstance(listed, list) and all(isinstance(each, str) for each in listed):
            values[name] = [path.parent / Path(each).expanduser() for each in listed]
    return values
