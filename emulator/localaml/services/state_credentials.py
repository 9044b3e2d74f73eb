"""What is left out of a saved state: whoever gets the archive must not get at anything with it.

    secrets of key vaults                            their key stays in its state dir (`store.portable`)
    account keys, SAS tokens and passwords of        the registrations stay: register them again with their credentials
    datastores
    values of environment variables, of runs and     the names stay
    registered environments
    passwords of image registries
    names, passwords and signatures in addresses     of package indexes, requirements, datasets

Whatever else a user writes into arguments, tags, source files, outputs or logs travels as it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from google.protobuf import json_format

from localaml.domain.redaction import redact
from localaml_proto.v1 import run_definition_pb2

_VARIABLES = ("environment_variables", "environmentVariables")
_PASSWORDS = ("registry_password",)


class WithoutCredentials:
    """Changes records on their way into an archive."""

    def definition(self, stored: bytes) -> bytes:
        """Of a run. One that cannot be read is left out: nobody knows what is in it."""
        message = run_definition_pb2.RunDefinition()
        try:
            message.MergeFromString(stored)
            known = json_format.MessageToDict(message, preserving_proto_field_name=True)
            changed = json_format.ParseDict(_clean(known), run_definition_pb2.RunDefinition())
        except Exception:
            return b""
        return changed.SerializeToString() if stored else stored

    def values(self, stored: Mapping[str, Any]) -> dict[str, Any]:
        """Of a JSON object: an asset's payload, a datastore's settings, what is noted of a run's execution."""
        cleaned: dict[str, Any] = _clean({key: value for key, value in stored.items() if key not in _PASSWORDS})
        return cleaned


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, Mapping):
        return {
            key: dict.fromkeys(inner, "") if key in _VARIABLES and isinstance(inner, Mapping) else _clean(inner)
            for key, inner in value.items()
        }
    if isinstance(value, (list, tuple)):
        return [_clean(inner) for inner in value]
    return value
