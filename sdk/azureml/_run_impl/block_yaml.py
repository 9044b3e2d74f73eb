"""A small part of YAML, with the standard library alone: enough for conda files and run configurations.

Written: block mappings and lists of plain or quoted scalars. Read: the same, plus comments, empty `[]` and `{}` and
one-line flow lists of scalars. Everything else (anchors, tags, block scalars, nested flow) is refused by line, never
guessed at. When PyYAML or ruamel.yaml is importable, `load` uses it and the whole language is understood.
"""

from __future__ import annotations

import json
import re
from typing import Any, Dict, List, NamedTuple, Tuple

_PLAIN = re.compile(r"^[A-Za-z0-9_./$<~(][^#\n\t]*$")
_NUMBER = re.compile(r"^[-+]?(\d[\d_]*)?(\.\d*)?([eE][-+]?\d+)?$")
_KEY = re.compile(r"""^((?:"(?:[^"\\]|\\.)*")|(?:'(?:[^']|'')*')|[^\s"'\[\]{}#&*!|>%@`-][^#]*?)\s*:(?:\s+(.*))?$""")
_WORDS = {"null": None, "~": None, "": None, "true": True, "false": False}


class YamlSubsetError(ValueError):
    """The text uses YAML that this reader does not know; the message has the line."""


def dump(value: Any) -> str:
    """Writes nested dicts, lists and scalars as block YAML, in the order given."""
    if not isinstance(value, (dict, list)) or not value:
        return _scalar(value) + "\n"
    lines: List[str] = []
    _dump_into(lines, value, 0)
    return "\n".join(lines) + "\n"


def _dump_into(lines: List[str], value: Any, indent: int) -> None:
    pad = " " * indent
    if isinstance(value, dict):
        for key, item in value.items():
            head = pad + _scalar(str(key)) + ":"
            if isinstance(item, (dict, list)) and item:
                lines.append(head)
                _dump_into(lines, item, indent if isinstance(item, list) else indent + 2)
            else:
                lines.append(head + " " + _scalar(item))
        return
    for item in value:
        if isinstance(item, (dict, list)) and item:
            nested: List[str] = []
            _dump_into(nested, item, indent + 2)
            nested[0] = pad + "- " + nested[0][indent + 2 :]
            lines.extend(nested)
        else:
            lines.append(pad + "- " + _scalar(item))


def _scalar(value: Any) -> str:
    if value is None:
        return "null"
    if value is True or value is False:
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return {"inf": ".inf", "-inf": "-.inf", "nan": ".nan"}.get(repr(value), repr(value))
    if isinstance(value, dict):
        return "{}"
    if isinstance(value, (list, tuple)):
        return "[]"
    text = str(value)
    plain = (
        _PLAIN.match(text)
        and text == text.strip()
        and ": " not in text
        and not text.endswith(":")
        and text.lower() not in _WORDS
        and text.lower() not in ("yes", "no", "on", "off", "y", "n")
        and not _NUMBER.match(text)
        and text.isprintable()
    )
    return text if plain else json.dumps(text, ensure_ascii=False)


def load(text: str) -> Any:
    """Reads YAML: with PyYAML or ruamel.yaml where importable, else the subset.

    Raises:
        YamlSubsetError: the text is not YAML, or not of the subset (then the message says to install PyYAML).
    """
    try:
        import yaml
    except ImportError:
        pass
    else:
        try:
            return yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise YamlSubsetError("This is not valid YAML: {}".format(error)) from error
    try:
        from ruamel.yaml import YAML
        from ruamel.yaml.error import YAMLError
    except ImportError:
        return load_subset(text)
    try:
        return YAML(typ="safe").load(text)
    except YAMLError as error:
        raise YamlSubsetError("This is not valid YAML: {}".format(error)) from error


class _Line(NamedTuple):
    number: int
    indent: int
    text: str


def load_subset(text: str) -> Any:
    """Reads the subset that the module's docstring describes."""
    lines: List[_Line] = []
    for number, raw in enumerate(text.splitlines(), 1):
        if "\t" in raw[: len(raw) - len(raw.lstrip())]:
            raise YamlSubsetError("Line {}: a tab cannot be used for indentation.".format(number))
        stripped = _without_comment(raw).rstrip()
        if not stripped.strip() or (stripped.strip() == "---" and not lines):
            continue
        lines.append(_Line(number, len(stripped) - len(stripped.lstrip()), stripped.strip()))
    if not lines:
        return None
    value, rest = _block(lines, 0, lines[0].indent)
    if rest != len(lines):
        raise _bad(lines[rest], "its indentation fits nothing above")
    return value


def _without_comment(line: str) -> str:
    quote = ""
    for index, char in enumerate(line):
        if quote:
            if char == quote and not (quote == '"' and line[index - 1] == "\\"):
                quote = ""
        elif char in "\"'" and (index == 0 or line[index - 1] in " [,{:"):
            quote = char
        elif char == "#" and (index == 0 or line[index - 1] in " \t"):
            return line[:index]
    return line


def _bad(line: _Line, why: str) -> YamlSubsetError:
    return YamlSubsetError(
        "Line {} ({!r}) cannot be read: {}. For files that use more of YAML install PyYAML "
        "(pip install pyyaml).".format(line.number, line.text[:60], why)
    )


def _block(lines: List[_Line], at: int, indent: int) -> Tuple[Any, int]:
    if lines[at].text == "-" or lines[at].text.startswith("- "):
        return _list(lines, at, indent)
    if _KEY.match(lines[at].text):
        return _mapping(lines, at, indent)
    return _value(lines[at], lines[at].text), at + 1


def _list(lines: List[_Line], at: int, indent: int) -> Tuple[List[Any], int]:
    items: List[Any] = []
    while at < len(lines) and lines[at].indent == indent and (lines[at].text + " ").startswith("- "):
        line = lines[at]
        inner = line.text[1:].lstrip()
        if not inner:
            if at + 1 < len(lines) and lines[at + 1].indent > indent:
                item, at = _block(lines, at + 1, lines[at + 1].indent)
            else:
                item, at = None, at + 1
        else:
            # `- key: value` begins a block at the column of `key`.
            inner_line = _Line(line.number, indent + len(line.text) - len(inner), inner)
            lines[at] = inner_line
            item, at = _block(lines, at, inner_line.indent)
        items.append(item)
    return items, at


def _mapping(lines: List[_Line], at: int, indent: int) -> Tuple[Dict[Any, Any], int]:
    result: Dict[Any, Any] = {}
    while at < len(lines) and lines[at].indent == indent:
        line = lines[at]
        match = _KEY.match(line.text)
        if not match:
            if (line.text + " ").startswith("- "):
                break
            raise _bad(line, "a 'key: value' line is expected")
        key = _value(line, match.group(1))
        if key in result:
            raise _bad(line, "the key comes twice")
        rest = (match.group(2) or "").strip()
        at += 1
        if rest:
            result[key] = _value(line, rest)
        elif at < len(lines) and (lines[at].indent > indent or _is_list_at(lines[at], indent)):
            result[key], at = _block(lines, at, lines[at].indent)
        else:
            result[key] = None
    if at < len(lines) and lines[at].indent > indent:
        raise _bad(lines[at], "it is indented deeper than the line above allows")
    return result, at


def _is_list_at(line: _Line, indent: int) -> bool:
    return line.indent == indent and (line.text + " ").startswith("- ")


def _value(line: _Line, text: str) -> Any:
    if text[0] == '"':
        try:
            return json.loads(text)
        except ValueError:
            raise _bad(line, "the quoted text is not closed or has an unknown escape") from None
    if text[0] == "'":
        if len(text) < 2 or not text.endswith("'") or "'" in text[1:-1].replace("''", ""):
            raise _bad(line, "the quoted text is not closed")
        return text[1:-1].replace("''", "'")
    if text in ("{}", "[]"):
        return {} if text == "{}" else []
    if text[0] == "[" and text.endswith("]") and not set("[]{}\"'") & set(text[1:-1]):
        return [_value(line, part.strip()) for part in text[1:-1].split(",") if part.strip()]
    if text[0] in "[]{}&*!|>%@`\"'":
        raise _bad(line, "this form of value is not supported here")
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    if _NUMBER.match(text) and any(char.isdigit() for char in text):
        try:
            return int(text)
        except ValueError:
            try:
                return float(text)
            except ValueError:
                return text
    return {".inf": float("inf"), "-.inf": float("-inf"), ".nan": float("nan")}.get(text.lower(), text)
