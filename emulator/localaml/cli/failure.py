"""What goes wrong for people at the command line."""

from __future__ import annotations


class CliError(Exception):
    """An expected failure: told in one line, without a traceback.

    Args:
        message: what was wrong and what to do.
        exit_code: 1 for a failure, 2 for a call that can never work (a bad option, name or setting).
    """

    def __init__(self, message: str, exit_code: int = 1) -> None:
        super().__init__(message)
        self.message = message
        self.exit_code = exit_code
