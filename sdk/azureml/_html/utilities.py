"""Facts as HTML, for the `_repr_html_` of a project's own classes."""

from html import escape
from typing import Any, Mapping, Optional

_LINK = '<a href="{}" target="_blank" rel="noopener">{}</a>'


def make_link(link_string: str, link_text: Optional[str] = None) -> str:
    """A link that opens in a new tab."""
    return _LINK.format(escape(link_string), escape(link_text or link_string))


def to_html(object_to_convert: Any) -> str:
    """A dict as a table with one row; values that are links stay as they are. Everything else as text."""
    if not isinstance(object_to_convert, Mapping):
        return escape(str(object_to_convert))
    head = "".join("<th>{}</th>".format(escape(str(name))) for name in object_to_convert)
    cells = "".join("<td>{}</td>".format(_cell(value)) for value in object_to_convert.values())
    return '<table style="width:100%"><tr>{}</tr><tr>{}</tr></table>'.format(head, cells)


def _cell(value: Any) -> str:
    text = str(value)
    return text if text.startswith("<a href=") and text.endswith("</a>") else escape(text)
