"""What an answer may hold, so that clients of every transport can read it."""

from __future__ import annotations

from typing import Any

from google.protobuf.message import Message

from localaml.errors import InvalidArgument
from localaml.services.request_limits import JsonCheck, Limit, is_repeated

_ANY_SIZE = 2**31
_JSON = "google.protobuf.Struct"


class AnswerCheck:
    """Looks at the JSON objects in answers: nothing else in our messages can be sent and not be read.

    `RequestLimits` lets none in that fails here, but a record of an older version may hold one.
    """

    def __init__(self) -> None:
        self._paths: dict[str, list[tuple[str, bool]]] = {}

    def check(self, message: Message) -> None:
        """Raises ValueError, which says what cannot be read."""
        try:
            self._check(message, "")
        except InvalidArgument as error:
            raise ValueError(error.message) from None

    def _check(self, message: Any, path: str) -> None:
        if message.DESCRIPTOR.full_name == _JSON:
            JsonCheck(Limit(_ANY_SIZE, _ANY_SIZE, _ANY_SIZE))(message, path)
            return
        for name, is_list in self._fields(message.DESCRIPTOR):
            where = f"{path}.{name}" if path else name
            if is_list:
                for index, each in enumerate(getattr(message, name)):
                    self._check(each, f"{where}[{index}]")
            elif message.HasField(name):
                self._check(getattr(message, name), where)

    def _fields(self, descriptor: Any) -> list[tuple[str, bool]]:
        """The fields that lead to JSON objects, and whether they are lists."""
        found = self._paths.get(descriptor.full_name)
        if found is None:
            found = self._paths[descriptor.full_name] = [
                (field.name, is_repeated(field))
                for field in descriptor.fields
                if field.message_type is not None
                and not field.message_type.GetOptions().map_entry
                and (field.message_type.full_name == _JSON or self._fields(field.message_type))
            ]
        return found
