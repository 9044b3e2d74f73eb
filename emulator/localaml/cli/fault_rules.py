"""Rules of faults, from named details."""

from __future__ import annotations

from typing import Any

from localaml_proto.admin.v1 import fault_pb2

_PARTS: tuple[tuple[str, Any], ...] = (
    ("target", fault_pb2.FaultTarget),
    ("when", fault_pb2.FaultWhen),
    ("effect", fault_pb2.FaultEffect),
)


def rule(kind: str, details: dict[str, Any]) -> fault_pb2.Fault:
    """The message of a rule; details that are None are left out. Raises TypeError for an unknown one."""
    message = fault_pb2.Fault(kind=kind)
    for name, value in details.items():
        for part, part_class in _PARTS:
            if name in part_class.DESCRIPTOR.fields_by_name:
                if value is not None:
                    setattr(getattr(message, part), name, value)
                break
        else:
            known = ", ".join(field.name for _, part_class in _PARTS for field in part_class.DESCRIPTOR.fields)
            raise TypeError(f"A fault has no {name!r}; there are {known}.")
    return message
