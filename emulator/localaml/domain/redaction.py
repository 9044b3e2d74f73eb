"""Takes secrets out of texts that people will read."""

from __future__ import annotations

import re

_USER_INFO = re.compile(r"(?<=://)[^/@\s'\"]+@")
_QUERY_SECRET = re.compile(r"([?&](?:sig|token|access_token|auth|password|key)=)[^&\s'\"]+", re.IGNORECASE)


def redact(text: str) -> str:
    """`text` without user names, passwords and signatures in the addresses that are in it."""
    if "://" not in text:
        return text
    return _QUERY_SECRET.sub(r"\1***", _USER_INFO.sub("***@", text))


def without_user_info(text: str) -> str:
    """`text` with its addresses as they are without user names and passwords: good for use, not only for looking at."""
    return _USER_INFO.sub("", text) if "://" in text else text
