"""From what users give as a path of a dataset to the sources that the emulator keeps."""

from typing import Any, Dict, List, NamedTuple
from urllib.parse import parse_qs, urlsplit

from azureml._localaml.path_text import path_text
from azureml.exceptions import UserErrorException

_FORMS = (
    "a tuple of a datastore and a path in it, a DataPath, a DataReference, a URL that begins with http:// or https://, "
    "or a list of those"
)


class Sources(NamedTuple):
    """Sources as the protocol has them, and the workspace of their datastores (None: only URLs)."""

    items: List[Dict[str, str]]
    workspace: Any


def read_sources(path: Any) -> "Sources":
    """The sources that a `path` argument means.

    Raises:
        UserErrorException: another form, none at all, datastores of several workspaces, or a URL with a SAS token.
    """
    values = path if isinstance(path, list) else [path]
    if not values:
        raise _bad(path)
    items: List[Dict[str, str]] = []
    workspace: Any = None
    for value in values:
        datastore, where = _place(value)
        if datastore is None:
            items.append({"url": _checked_url(where)})
            continue
        known = datastore.workspace
        if workspace is not None and known._resource_name != workspace._resource_name:
            raise UserErrorException("The datastores of one dataset must belong to one workspace.")
        workspace = known
        items.append({"datastoreName": datastore.name, "path": _checked_path(where)})
    return Sources(items, workspace)


def _place(value: Any) -> Any:
    """(datastore, path), or (None, URL)."""
    if isinstance(value, str):
        return None, value
    if isinstance(value, tuple):
        value = tuple(path_text(part) for part in value)
        if len(value) == 2 and _is_datastore(value[0]) and (value[1] is None or isinstance(value[1], str)):
            return value[0], value[1] or ""
        raise UserErrorException("A tuple as path is a datastore and a path in it, not {!r}.".format(value))
    if hasattr(value, "path_on_datastore"):  # DataPath, DataReference
        datastore = getattr(value, "datastore", None) or getattr(value, "_datastore", None)
        if _is_datastore(datastore):
            return datastore, value.path_on_datastore or ""
    raise _bad(value)


def _is_datastore(value: Any) -> bool:
    return hasattr(value, "datastore_type") and hasattr(value, "workspace") and isinstance(value.name, str)


def _checked_path(path: str) -> str:
    parts = path.replace("\\", "/").split("/")
    clean = "/".join(part for part in parts if part not in ("", "."))
    return clean + "/" if clean and path.endswith(("/", "\\")) else clean


def _checked_url(url: str) -> str:
    if not url.lower().startswith(("http://", "https://")):
        raise _bad(url)
    # A token in a dataset would be kept for everybody to see.
    if "sig" in parse_qs(urlsplit(url).query):
        raise UserErrorException("A URL of a dataset must not have a SAS token: register a datastore instead.")
    return url


def _bad(value: Any) -> UserErrorException:
    return UserErrorException("The path of a dataset is {}; it is not {!r}.".format(_FORMS, value))


def sources_of(definition: Dict[str, Any]) -> List[Dict[str, str]]:
    """The sources of a definition."""
    return list(definition.get("sources") or ())


def shown_sources(definition: Dict[str, Any]) -> List[str]:
    """The sources as text."""
    return [
        source.get("url") or "('{}', '{}')".format(source.get("datastoreName", ""), source.get("path", ""))
        for source in sources_of(definition)
    ]
