"""All rpcs that there are."""

from __future__ import annotations

import importlib
import pkgutil
from dataclasses import dataclass
from typing import Any

from google.protobuf import message_factory

_PACKAGES = ("localaml_proto.v1", "localaml_proto.admin.v1")
# What leaves everything as it is.
_READS = ("Get", "List", "Watch", "Read", "Count")


@dataclass(frozen=True)
class Rpc:
    """One rpc.

    Attributes:
        name: `RunService/GetRun`.
        path: `/localaml.v1.RunService/GetRun`.
    """

    name: str
    path: str
    request_class: Any
    response_class: Any
    is_stream: bool

    @property
    def is_write(self) -> bool:
        return not self.name.partition("/")[2].startswith(_READS)


def all_rpcs() -> dict[str, Rpc]:
    """By name."""
    found: dict[str, Rpc] = {}
    for package in _PACKAGES:
        for module in pkgutil.iter_modules(importlib.import_module(package).__path__):
            if not module.name.endswith("_pb2"):
                continue
            file = importlib.import_module(f"{package}.{module.name}").DESCRIPTOR
            for service in file.services_by_name.values():
                for method in service.methods:
                    name = f"{service.name}/{method.name}"
                    found[name] = Rpc(
                        name,
                        f"/{service.full_name}/{method.name}",
                        message_factory.GetMessageClass(method.input_type),
                        message_factory.GetMessageClass(method.output_type),
                        bool(method.server_streaming),
                    )
    return found
