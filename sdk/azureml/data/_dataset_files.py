"""The files of a dataset: which they are now, and copies of them."""

import os
import random
import shutil
import urllib.error
import urllib.request
from http.client import HTTPException
from typing import Any, Dict, Iterable, List, NamedTuple, Sequence
from urllib.parse import quote, urlsplit

from azureml.data._dataset_sources import sources_of
from azureml.data.dataset_error_handling import DatasetExecutionError
from azureml.exceptions import UserErrorException

_BATCH = 1000
_TIMEOUT_SECONDS = 60


class File(NamedTuple):
    """One file of a dataset.

    Attributes:
        path: its place in the dataset, relative, with `/`.
        datastore, remote: where it is, or
        url: its address.
        size: bytes; 0 when not known.
    """

    path: str
    datastore: str
    remote: str
    url: str
    size: int

    @property
    def shown(self) -> str:
        """Where it comes from, as tables show it."""
        return self.url or "/" + self.remote


def files_of(definition: Dict[str, Any], workspace: Any) -> "List[File]":
    """The files that a definition means now. Nothing is asked when there are only URLs.

    Raises:
        UserErrorException: nothing is at a path, or the data of a datastore cannot be reached.
    """
    sources = sources_of(definition)
    if all(source.get("url") for source in sources):
        files = [
            File(_name(source["url"]) if len(sources) == 1 else _place(source["url"]), "", "", source["url"], 0)
            for source in sources
        ]
        return _select(files, definition.get("selections") or ())
    request = {"parent": workspace._resource_name, "definition": definition, "page": {"pageSize": 10000}}
    return [
        File(
            message["path"],
            message.get("datastoreName", ""),
            message.get("pathOnDatastore", ""),
            message.get("url", ""),
            int(message.get("sizeBytes") or 0),
        )
        for message in workspace._client.pages("DatasetService", "ListDatasetFiles", request, "files")
    ]


def _name(url: str) -> str:
    name = urlsplit(url).path.rpartition("/")[2]
    if not name or name in (".", ".."):
        raise UserErrorException("The URL {!r} names no file; list the files one by one.".format(url))
    return name


def _place(url: str) -> str:
    """As the emulator places files of the web (`localaml.domain.datasets.url_place`)."""
    parts = urlsplit(url)
    rest = parts.path.lstrip("/") + ("?" + parts.query if parts.query else "")
    whole = "{}%3A/%2F{}/{}".format(parts.scheme, quote(parts.netloc, safe=""), rest)
    return "/".join(part for part in whole.split("/") if part not in ("", "."))


def _select(files: "List[File]", selections: Iterable[Dict[str, Any]]) -> "List[File]":
    """As `localaml.domain.datasets.select`."""
    for selection in selections:
        if "take" in selection:
            files = files[: int(selection["take"])]
        elif "skip" in selection:
            files = files[int(selection["skip"]) :]
        else:
            sample = selection["sample"]
            probability, complement = float(sample.get("probability", 0)), bool(sample.get("complement", False))
            chance = random.Random(int(sample.get("seed", 0)))  # noqa: S311 - has to repeat, hides nothing
            files = [file for file in files if (chance.random() < probability) is not complement]
    return files


def fetch(files: "Sequence[File]", folder: str, workspace: Any, overwrite: bool) -> List[str]:
    """Copies files into a folder, each at its place in the dataset; returns their paths.

    Raises:
        UserErrorException: a file is there already and `overwrite` is off, or one went away meanwhile.
    """
    root = os.path.abspath(os.path.expanduser(folder))
    targets: Dict[str, File] = {}
    for file in files:
        target = os.path.join(root, *file.path.split("/"))
        if os.path.commonpath([root, os.path.abspath(target)]) != root:
            raise UserErrorException("The path {!r} of the dataset leads out of {}.".format(file.path, root))
        if os.path.lexists(target) and not overwrite:
            raise UserErrorException(
                "File {!r} already exists. Set overwrite=True to overwrite it, or choose an empty target path.".format(
                    target
                )
            )
        targets[target] = file
    by_datastore: Dict[str, List[str]] = {}
    for target, file in targets.items():
        os.makedirs(os.path.dirname(target), exist_ok=True)
        if file.url:
            fetch_url(file.url, target)
        else:
            by_datastore.setdefault(file.datastore, []).append(target)
    for datastore, mine in by_datastore.items():
        for start in range(0, len(mine), _BATCH):
            _fetch_batch(datastore, mine[start : start + _BATCH], targets, workspace)
    return list(targets)


def _fetch_batch(datastore: str, wanted: Sequence[str], targets: "Dict[str, File]", workspace: Any) -> None:
    from azureml._localaml.transfer import Download

    request = {
        "name": "{}/datastores/{}".format(workspace._resource_name, datastore),
        "paths": [targets[target].remote for target in wanted],
    }
    answer = workspace._client.call("DatastoreService", "CreateDatastoreDownloadUrls", request)
    urls = {url["path"]: url["url"] for url in answer.get("urls") or ()}
    workspace._client.transfer.download_files([Download(urls[targets[target].remote], target) for target in wanted])


def fetch_url(url: str, target: str) -> None:
    """Copies a file of the web, whole or not at all.

    Raises:
        DatasetExecutionError: there is no such file, no answer, or this machine is offline.
    """
    part = target + ".part"
    try:
        with urllib.request.urlopen(url, timeout=_TIMEOUT_SECONDS) as answer, open(part, "wb") as file:
            shutil.copyfileobj(answer, file, 1 << 20)
            expected = answer.headers.get("Content-Length")
            if expected is not None and file.tell() != int(expected):
                raise OSError("the connection ended after {} of {} bytes".format(file.tell(), expected))
        os.replace(part, target)
    except (OSError, HTTPException, ValueError) as error:
        if os.path.exists(part):
            os.unlink(part)
        if isinstance(error, urllib.error.HTTPError):
            reason = "the server answered with HTTP status {}".format(error.code)
        else:
            reason = str(error)
        raise DatasetExecutionError(
            "{!r} cannot be fetched: {}. Without a connection to the internet, put the file into a datastore and make "
            "the dataset from there.".format(url, reason)
        ) from None
