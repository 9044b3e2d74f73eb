"""Where a key of LocalAML lies in a cloud that has buckets (S3) or containers (Azure Blob). Pure.

    contents/<workspace id>/...        bucket `localaml-contents`, key `<workspace id>/...`
    _models/<workspace id>/...         bucket `localaml-models`, key `<workspace id>/...`
    localaml/<container>/<path>        bucket `<container>`, key `<path>`
    <account>/<container>/<path>       bucket `<account>.<container>`, key `<path>` (where a name may have a dot)
    anything else                      bucket `localaml-objects`, key as it is

"Anything else" are keys whose account or container is no good name for a bucket (capital letters, `_`, too long), and
keys that are no datastore's. The map can be reversed, so that a bucket can be listed as keys.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from localaml.paths import ACCOUNT, MODELS

CONTENTS_BUCKET = "localaml-contents"
MODELS_BUCKET = "localaml-models"
OBJECTS_BUCKET = "localaml-objects"

_OF_FOLDER = {"contents": CONTENTS_BUCKET, MODELS: MODELS_BUCKET}
_FOLDER_OF = {bucket: folder for folder, bucket in _OF_FOLDER.items()}
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]")
# S3 keeps them for itself.
_RESERVED = re.compile(r"xn--.*|sthree-.*|amzn-s3-demo-.*|.*-s3alias|.*--ol-s3|.*--x-s3|.*--table-s3")


class Place(NamedTuple):
    """An object (or a prefix of objects) in a bucket."""

    bucket: str
    key: str


class BucketNames:
    """The map for one kind of cloud.

    Args:
        joiner: what stands between account and container in the name of a bucket; None: such names are not possible.
        double_hyphens: whether a name may have two hyphens in a row (not in Azure).
    """

    def __init__(self, joiner: str | None, *, double_hyphens: bool) -> None:
        self._joiner = joiner
        self._double_hyphens = double_hyphens

    def place(self, key: str) -> Place:
        """Where an object lies."""
        first, _, rest = key.partition("/")
        if first in _OF_FOLDER and rest:
            return Place(_OF_FOLDER[first], rest)
        container, separator, path = rest.partition("/")
        bucket = self._bucket(first, container) if separator and path else None
        return Place(OBJECTS_BUCKET, key) if bucket is None else Place(bucket, path)

    def prefix_place(self, prefix: str) -> Place | None:
        """The bucket that has all keys with this prefix; None when there may be several."""
        first, separator, rest = prefix.partition("/")
        if first in _OF_FOLDER and separator:
            return Place(_OF_FOLDER[first], rest)
        container, separator, path = rest.partition("/")
        if not separator:
            return None
        bucket = self._bucket(first, container)
        return Place(OBJECTS_BUCKET, prefix) if bucket is None else Place(bucket, path)

    def key_prefix(self, bucket: str) -> str | None:
        """What all keys of a bucket begin with; None for a bucket that LocalAML cannot have made."""
        if bucket == OBJECTS_BUCKET:
            return ""
        if bucket in _FOLDER_OF:
            return _FOLDER_OF[bucket] + "/"
        account, container = ACCOUNT, bucket
        if self._joiner is not None and self._joiner in bucket:
            account, _, container = bucket.partition(self._joiner)
        return f"{account}/{container}/" if self._bucket(account, container) == bucket else None

    def _bucket(self, account: str, container: str) -> str | None:
        if account in _OF_FOLDER or container in (*_FOLDER_OF, OBJECTS_BUCKET):
            return None
        name = container
        if account != ACCOUNT:
            if self._joiner is None or not _NAME.fullmatch(account):
                return None
            name = f"{account}{self._joiner}{container}"
        if not _NAME.fullmatch(container) or len(name) > 63 or _RESERVED.fullmatch(name):
            return None
        return name if self._double_hyphens or "--" not in name else None


S3_NAMES = BucketNames(".", double_hyphens=True)
AZURE_NAMES = BucketNames(None, double_hyphens=False)
