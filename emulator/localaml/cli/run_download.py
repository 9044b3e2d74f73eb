"""Fetching files of runs and models over signed URLs."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path

from localaml.cli.client import Client
from localaml.cli.failure import CliError
from localaml.domain.names import check_relative_path
from localaml_proto.v1 import artifact_pb2

_BATCH = 200
_CHUNK = 1024 * 1024


def download_artifacts(client: Client, run_name: str, names: Sequence[str], folder: Path) -> Iterator[Path]:
    """Writes the files below `folder`, each complete or not at all; yields each path once it is there.

    Raises:
        CliError: a file does not exist or cannot be written.
        InvalidArgument: a name that leads out of the folder.
    """
    for begin in range(0, len(names), _BATCH):
        batch = list(names[begin : begin + _BATCH])
        request = artifact_pb2.CreateArtifactDownloadUrlsRequest(parent=run_name, paths=batch)
        for signed in client.call(client.artifacts.CreateArtifactDownloadUrls, request).urls:
            yield fetch(signed.url, folder, check_relative_path(signed.path, "file name"))


def fetch(url: str, folder: Path, relative: str) -> Path:
    """Writes one file below `folder`, complete or not at all. Raises CliError."""
    target = folder / relative
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if not target.parent.resolve().is_relative_to(folder.resolve()):
            raise CliError(f"{target} leads out of {folder} over a link: not written.")
        descriptor, part = tempfile.mkstemp(dir=target.parent, prefix=".localaml-", suffix=".part")
        try:
            with opener.open(url, timeout=60) as response, os.fdopen(descriptor, "wb") as file:
                told, digest = response.headers.get("Repr-Digest"), hashlib.sha256()
                while chunk := response.read(_CHUNK):
                    digest.update(chunk)
                    file.write(chunk)
            if told and told != f"sha-256=:{base64.b64encode(digest.digest()).decode('ascii')}:":
                raise CliError(
                    f"{relative} is not what was stored any more: its bytes do not have the SHA-256 of its record. "
                    "Nothing was written; 'localaml storage fsck' names all such files."
                )
            umask = os.umask(0)
            os.umask(umask)
            Path(part).chmod(0o666 & ~umask)
            return Path(part).replace(target)
        except BaseException:
            Path(part).unlink(missing_ok=True)
            raise
    except urllib.error.HTTPError as error:
        raise CliError(f"{relative} could not be fetched: {_reason(error)}") from None
    except urllib.error.URLError as error:
        raise CliError(f"{relative} could not be fetched: {error.reason}.") from None
    except OSError as error:
        raise CliError(f"{target} could not be written: {error.strerror or error}.") from None


def _reason(error: urllib.error.HTTPError) -> str:
    """What the emulator says, or the status alone."""
    try:
        said = json.loads(error.read(_CHUNK))["message"]
        return str(said)
    except (OSError, ValueError, KeyError, TypeError):
        return f"HTTP {error.code}."
