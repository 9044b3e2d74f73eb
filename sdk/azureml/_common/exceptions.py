"""The base class of all exceptions of this SDK."""

import json
from typing import Any, Dict, List, Mapping, Optional


class AzureMLException(Exception):
    """Something that this SDK was asked for could not be done.

    `str()` has the form that Azure's SDK (1.61) prints: class, message, inner exception, and the error as JSON.

    Attributes:
        message: what was wrong and what to do.
        inner_exception: the exception behind it, or None.
        reason: LocalAML's stable UPPER_SNAKE_CASE word for the error, or empty when it arose on this side.
        grpc_code: the call's canonical code (``NOT_FOUND``, ...), or empty.
        metadata: further facts from the emulator.
    """

    _error_code: Optional[str] = None

    def __init__(
        self,
        exception_message: str,
        inner_exception: Optional[BaseException] = None,
        target: Optional[str] = None,
        details: Any = None,
        message_format: Optional[str] = None,
        message_parameters: Optional[Mapping[str, Any]] = None,
        reference_code: Optional[str] = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(exception_message)
        self._exception_message = exception_message
        self._inner_exception = inner_exception
        self._target = target
        self._details = details
        self._message_format = message_format
        self._message_parameters = message_parameters
        self._reference_code = reference_code
        self.reason = ""
        self.grpc_code = ""
        self.metadata: Dict[str, str] = {}

    @property
    def message(self) -> str:
        """What was wrong and what to do."""
        return self._exception_message

    @message.setter
    def message(self, value: str) -> None:
        self._exception_message = value

    @property
    def inner_exception(self) -> Optional[BaseException]:
        """The exception behind this one, or None."""
        return self._inner_exception

    @inner_exception.setter
    def inner_exception(self, value: Optional[BaseException]) -> None:
        self._inner_exception = value

    def print_stacktrace(self) -> None:
        """Prints the stack trace of this exception to stderr."""
        import traceback

        traceback.print_exception(type(self), self, self.__traceback__)

    def _serialize_json(self, indent: Optional[int] = None) -> str:
        error: Dict[str, Any] = {}
        if self._error_code:
            error["code"] = self._error_code
        error["message"] = self._exception_message
        for key in ("target", "details", "message_format", "message_parameters", "reference_code"):
            value = getattr(self, "_" + key)
            if value is not None:
                error[key] = value
        return json.dumps({"error": error}, indent=indent, default=str)

    def __str__(self) -> str:
        return "{}:\n\tMessage: {}\n\tInnerException {}\n\tErrorResponse \n{}".format(
            type(self).__name__, self._exception_message, self._inner_exception, self._serialize_json(indent=4)
        )

    __repr__ = __str__


class AzureMLAggregatedException(AzureMLException):
    """Several exceptions at once."""

    def __init__(self, exceptions_list: List[BaseException], **kwargs: Any) -> None:
        super().__init__("\n".join(str(exception) for exception in exceptions_list), **kwargs)
        self.exceptions_list = exceptions_list
