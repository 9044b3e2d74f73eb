"""Azure's switch for telemetry. LocalAML collects and sends nothing, whatever it is set to."""

from typing import Any, Optional


def set_diagnostics_collection(
    send_diagnostics: bool = True, verbosity: Optional[int] = 20, reason: str = "", path: Any = None
) -> None:
    """Prints what Azure's SDK prints. Nothing is collected, so the other arguments have no effect."""
    print("Turning diagnostics collection {}. ".format("on" if send_diagnostics else "off"))
