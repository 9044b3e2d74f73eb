"""Runs and experiments as notebooks show them."""

from html import escape
from typing import Sequence, Tuple


def table(facts: Sequence[Tuple[str, str]]) -> str:
    """A table with one row; web addresses become links."""
    head = "".join("<th>{}</th>".format(escape(name)) for name, _ in facts)
    cells = "".join("<td>{}</td>".format(_cell(name, value)) for name, value in facts)
    return '<table style="width:100%"><tr>{}</tr><tr>{}</tr></table>'.format(head, cells)


def _cell(name: str, value: str) -> str:
    if value.startswith(("http://", "https://")):
        return '<a href="{}" target="_blank" rel="noopener">Link to {}</a>'.format(escape(value), escape(name.lower()))
    return escape(value)
