"""Azure's switch for telemetry. LocalAML collects and sends nothing, whatever it is set to."""

from __future__ import annotations

from typing import Any


def set_diagnostics_collection(send_diagnostics: bool = True, verbosity: Any = None) -> None:
    """Prints what Azure's SDK prints. Nothing is collected."""
    print("Turning diagnostics collection {}. ".format("on" if send_diagnostics else "off"))
