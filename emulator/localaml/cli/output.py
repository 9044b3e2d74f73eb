"""What commands print: tables for people, JSON for programs."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timezone
from enum import Enum
from typing import Annotated, Any, TypeVar

import typer

from localaml.domain.labels import NO_VALUE

_M = TypeVar("_M")


class Format(str, Enum):
    """How a command prints what it found."""

    TABLE = "table"
    JSON = "json"


OutputOption = Annotated[Format, typer.Option("--output", "-o", help="How to print.")]


def visible(text: str) -> str:
    """The text with control characters spelled out: names come from jobs, and a terminal would obey them."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def print_json(value: Any) -> None:
    """Prints plain data as JSON."""
    print(json.dumps(value, indent=2, ensure_ascii=True))


def plain(message: Any) -> Any:
    """A protobuf message as plain data: its proto3 JSON form."""
    from google.protobuf.json_format import MessageToDict

    return _with_none(MessageToDict(message))


def _with_none(value: Any) -> Any:
    """With labels that have no value as None."""
    if isinstance(value, dict):
        return {key: _with_none(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_with_none(inner) for inner in value]
    return None if value == NO_VALUE else value


def print_messages(messages: Iterable[Any]) -> None:
    """Prints protobuf messages as a JSON array."""
    print_json([plain(message) for message in messages])


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str]], *, empty: str) -> None:
    """Prints rows below their columns; `empty` (to stderr) when there are none. Cut to width only on a terminal."""
    lines = [list(row) for row in rows]
    if not lines:
        print(empty, file=sys.stderr)
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False)
    if not console.is_terminal:
        # Programs read this, too: never wrapped or cut.
        console = Console(highlight=False, width=100_000)
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0))
    for column in columns:
        table.add_column(column, overflow="fold", no_wrap=not console.is_terminal)
    for line in lines:
        table.add_row(*(Text(visible(cell)) for cell in line))
    with console.capture() as captured:
        console.print(table)
    # rich fills the last column up with blanks.
    print("\n".join(line.rstrip() for line in captured.get().splitlines()))


def print_found(
    messages: Sequence[_M], output: Format, columns: Mapping[str, Callable[[_M], str]], *, empty: str
) -> None:
    """What a command has found, as `output` says: protobuf messages as JSON, or a row each.

    Args:
        columns: titles, and what is below them.
    """
    if output is Format.JSON:
        print_messages(messages)
    else:
        print_table(list(columns), [[show(each) for show in columns.values()] for each in messages], empty=empty)


def print_facts(facts: Iterable[tuple[str, str]]) -> None:
    """Prints names and values below one another; facts without a value are left out."""
    shown = [(name, value) for name, value in facts if value]
    width = max((len(name) for name, _ in shown), default=0)
    for name, value in shown:
        print(f"{name:<{width}}   {visible(value)}")


def show_time(stamp: Any) -> str:
    """A protobuf timestamp as local time; empty when it is not set."""
    if not stamp.seconds:
        return ""
    return datetime.fromtimestamp(stamp.seconds, timezone.utc).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def show_duration(seconds: float) -> str:
    """`0.4s`, `12s`, `3m 05s`, `2h 01m`, `4d 03h`."""
    if seconds < 10:
        return f"{max(0.0, seconds):.1f}s"
    whole = int(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m {whole % 60:02}s"
    if whole < 86_400:
        return f"{whole // 3600}h {whole % 3600 // 60:02}m"
    return f"{whole // 86_400}d {whole % 86_400 // 3600:02}h"


def show_size(size: int) -> str:
    """`17 B`, `1.5 KiB`, `3.0 GiB`."""
    if size < 1024:
        return f"{size} B"
    value = float(size)
    for unit in ("KiB", "MiB", "GiB"):
        value /= 1024
        if value < 1024:
            return f"{value:.1f} {unit}"
    return f"{value / 1024:.1f} TiB"


def show_enum(enum_type: Any, number: int, prefix: str) -> str:
    """`RUN_STATE_CANCEL_REQUESTED` as `CancelRequested`: Azure's spelling."""
    name: str = enum_type.Name(number)
    return "".join(part.capitalize() for part in name.removeprefix(prefix).split("_"))
