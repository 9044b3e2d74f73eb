"""Encryption of key vault secrets at rest."""

from __future__ import annotations

import hashlib
import hmac
import os
from typing import TYPE_CHECKING

from localaml.errors import FailedPrecondition

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_FORMAT = b"\x01"
_NONCE_BYTES = 12


class SecretSealer:
    """Seals values with AES-256-GCM. A sealed value opens only in its own place: rows cannot be swapped.

    Args:
        key: the state dir's key; the key of the encryption is derived from it.
    """

    def __init__(self, key: bytes) -> None:
        self._key = hmac.new(key, b"localaml key vault 1", hashlib.sha256).digest()

    def seal(self, workspace_id: str, name: str, value: str) -> bytes:
        """The encrypted value."""
        nonce = os.urandom(_NONCE_BYTES)
        return _FORMAT + nonce + _cipher(self._key).encrypt(nonce, value.encode(), _place(workspace_id, name))

    def open(self, workspace_id: str, name: str, sealed: bytes) -> str:
        """The value.

        Raises FailedPrecondition ``SECRET_UNREADABLE``: the state dir has another key than when it was sealed, or the
        database was changed.
        """
        from cryptography.exceptions import InvalidTag

        nonce, data = sealed[1 : 1 + _NONCE_BYTES], sealed[1 + _NONCE_BYTES :]
        try:
            if not sealed.startswith(_FORMAT) or len(nonce) != _NONCE_BYTES:
                raise InvalidTag
            return _cipher(self._key).decrypt(nonce, data, _place(workspace_id, name)).decode()
        except InvalidTag:
            raise FailedPrecondition(
                "SECRET_UNREADABLE",
                f"The secret {name!r} cannot be decrypted: the key of the state dir is not the one it was sealed with. "
                "Set it again.",
            ) from None


def _place(workspace_id: str, name: str) -> bytes:
    # The vault's names are the same in any case.
    return f"{workspace_id}\n{name.lower()}".encode()


def _cipher(key: bytes) -> AESGCM:
    # Here: the first secret pays for the import, not every start.
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    return AESGCM(key)
