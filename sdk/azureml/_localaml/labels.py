"""Tags and properties: maps of names and values, where a value can be None.

Maps of the protocol hold text alone. So None travels as a text that nobody writes.
"""

from typing import Any, Dict, Mapping, Optional

_NO_VALUE = "\0"


def text_map(values: Any, what: str) -> Dict[str, str]:
    """A dict of names and values as it travels. Raises UserErrorException when it is none."""
    from azureml.exceptions import UserErrorException

    if not isinstance(values, Mapping):
        raise UserErrorException("{} must be a dict of name and value, not {!r}.".format(what, values))
    return {str(name): _sent(value, what) for name, value in values.items()}


def read_labels(values: Optional[Mapping[str, str]]) -> Dict[str, Any]:
    """Names and values of an answer; None for a label without a value."""
    return {name: None if value == _NO_VALUE else value for name, value in (values or {}).items()}


def _sent(value: Any, what: str) -> str:
    from azureml.exceptions import UserErrorException

    if value is None:
        return _NO_VALUE
    text = str(value)
    if text == _NO_VALUE:
        raise UserErrorException("A value of {} cannot be the character U+0000 alone.".format(what))
    return text
