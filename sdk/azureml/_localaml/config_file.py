"""The config.json that names a workspace.

Where it is looked for, and the two forms that it has, are Azure's (observed on azureml-core 1.61): for each folder name
of `.azureml`, `aml_config` and none, and in it each file name, from the start folder upward; the first that exists
counts.
"""

import json
import os
import re
from typing import Dict, NamedTuple, Optional

from azureml.exceptions import UserErrorException

_FOLDERS = (".azureml", "aml_config", "")
_FILES = ("config.json", "project.json")
_SCOPE = re.compile(r"/?subscriptions/([^/]+)/resourceGroups/([^/]+)/(?:.*/)?workspaces/([^/]+)/?$", re.IGNORECASE)


class WorkspaceConfig(NamedTuple):
    """The three names that say which workspace is meant."""

    subscription_id: str
    resource_group: str
    workspace_name: str


def find_config(path: Optional[str] = None, file_name: Optional[str] = None) -> str:
    """The config file for a start path: a file, or a folder to look in and above (default: the current one).

    Raises:
        UserErrorException: there is none.
    """
    start = os.path.abspath(os.path.expanduser(os.fspath(path))) if path else os.getcwd()
    if os.path.isfile(start):
        return start
    names = (file_name,) if file_name else _FILES
    for folder_name in _FOLDERS:
        for name in names:
            folder = start
            while True:
                candidate = os.path.join(folder, folder_name, name)
                if os.path.isfile(candidate):
                    return candidate
                above = os.path.dirname(folder)
                if above == folder:
                    break
                folder = above
    raise UserErrorException(
        "No workspace configuration file ({}) in {} or a folder above it. `localaml init` makes a workspace and writes "
        "its config.json; `Workspace.write_config()` writes one for a workspace that you have; or pass the file's "
        "path.".format(" or ".join(names), start)
    )


def read_config(path: str) -> "WorkspaceConfig":
    """Reads a config file: the keys subscription_id, resource_group and workspace_name, or `Scope`.

    Raises:
        UserErrorException: it is no JSON object or lacks a key.
    """
    try:
        with open(path, encoding="utf-8-sig") as file:
            content = json.load(file)
    except OSError as error:
        raise UserErrorException("The config file {} cannot be read: {}.".format(path, error.strerror)) from None
    except ValueError as error:
        raise UserErrorException("The config file {} is not valid JSON: {}.".format(path, error)) from None
    if isinstance(content, dict):
        scope = _SCOPE.match(str(content.get("Scope") or ""))
        if scope:
            return WorkspaceConfig(*scope.groups())
        values = [content.get(key) for key in WorkspaceConfig._fields]
        if all(isinstance(value, str) and value for value in values):
            return WorkspaceConfig(*[str(value) for value in values])
    raise UserErrorException(
        "The config file {} does not name a workspace: it needs the keys {}.".format(
            path, ", ".join(WorkspaceConfig._fields)
        )
    )


def write_config(config: "WorkspaceConfig", path: Optional[str] = None, file_name: Optional[str] = None) -> str:
    """Writes `<path>/.azureml/<file_name>` and returns its path.

    Raises:
        UserErrorException: the folder does not exist or cannot be written to.
    """
    folder = os.path.abspath(os.path.expanduser(os.fspath(path))) if path else os.getcwd()
    if os.path.basename(folder) not in (".azureml", "aml_config"):
        folder = os.path.join(folder, _FOLDERS[0])
    target = os.path.join(folder, file_name or _FILES[0])
    content: Dict[str, str] = dict(config._asdict())
    try:
        if not os.path.isdir(folder):
            os.mkdir(folder)
        with open(target, "w", encoding="utf-8") as file:
            json.dump(content, file, indent=4)
            file.write("\n")
    except OSError as error:
        raise UserErrorException("Could not write the config file {}: {}.".format(target, error.strerror)) from None
    return target
