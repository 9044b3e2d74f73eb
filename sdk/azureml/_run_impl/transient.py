"""Which errors of a call may go away by themselves."""

_MAY_PASS = frozenset(
    ("", "UNAVAILABLE", "DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED", "INTERNAL", "UNKNOWN", "CANCELLED", "ABORTED")
)


def may_pass(error: BaseException) -> bool:
    """Whether the same call may work later: the emulator was not reached, or has trouble. False when it said no."""
    return getattr(error, "grpc_code", "") in _MAY_PASS
