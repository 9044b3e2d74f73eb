"""Digests of what would be sent (RFC 9530): a client that has the same bytes already need not have them again.

A HEAD with ``Want-Content-Digest: sha-256=1`` and a ``Range`` is answered as the GET would be, without its body and
with ``Content-Digest`` of the range. It is worked out from the bytes themselves at that moment: a job that has a
datastore mounted writes to it past everybody who could keep a record.
"""

from __future__ import annotations

import base64
import hashlib
import re

from localaml.gateway.messages import FileBody

_BUFFER = 1024 * 1024
_WANTED = re.compile(r"(?<![^,])\s*sha-256\s*=\s*(?:[1-9]|10)\s*(?:,|$)", re.ASCII)


def wants_digest(header: str | None) -> bool:
    """Whether a ``Want-Content-Digest`` header asks for the one kind of digest that there is here, SHA-256."""
    return _WANTED.search(header or "") is not None


def content_digest(body: FileBody) -> str | None:
    """The value of ``Content-Digest``. None when the object became shorter meanwhile. Blocks.

    Raises what the reader raises.
    """
    digest = hashlib.sha256()
    buffer = memoryview(bytearray(max(1, min(_BUFFER, body.count))))
    offset, end = body.start, body.start + body.count
    while offset < end:
        count = body.reader.read_into(buffer[: min(_BUFFER, end - offset)], offset)
        if not count:
            return None
        digest.update(buffer[:count])
        offset += count
    return digest_header(digest.digest())


def digest_header(sha256: bytes) -> str:
    """A SHA-256 as the headers of RFC 9530 have it."""
    return f"sha-256=:{base64.b64encode(sha256).decode('ascii')}:"
