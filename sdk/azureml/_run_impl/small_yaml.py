"""A reader for the part of YAML that configuration files use, with the standard library alone.

It serves where nothing can be installed: in jobs whose environment has no PyYAML. Read are block mappings and lists,
flow collections over any number of lines, plain and quoted scalars over several lines, block scalars (``|``, ``>``)
and comments, all with the values that PyYAML gives. Anchors, aliases, tags, complex keys and several documents are
refused by line, never guessed at.
"""

import re
from typing import Any, Dict, List, Optional, Tuple

from azureml._run_impl.yaml_scalars import FlowReader, YamlSubsetError, plain_value

# How deep collections may lie in each other.
MOST_LEVELS = 64
_QUOTED_KEY = re.compile(r"""("(?:[^"\\]|\\.)*"|'(?:[^']|'')*')[ \t]*:(?=[ \t]|$)""")
_PLAIN_KEY = re.compile(r":(?=[ \t]|$)")
_BLOCK_HEADER = re.compile(r"^([|>])(?:([1-9])?([+-])?|([+-])([1-9])?)[ \t]*(?:#.*)?$")
# YAML 1.1 takes these for line breaks, 1.2 does not.
_ODD_BREAK = re.compile("[\x85\u2028\u2029]")
_NO_PLAIN_BEGIN = "&*!|>@`%\"'[]{},#"


def load_small_yaml(text: str) -> Any:
    """Reads one document.

    Raises:
        YamlSubsetError: the text is not YAML, or uses more of it than this reader knows; the message has the line.
    """
    return _Reader(text).document()


class _Reader:
    def __init__(self, text: str) -> None:
        self._text = text.replace("\r\n", "\n").replace("\r", "\n")
        self._lines = self._text.split("\n")
        odd = _ODD_BREAK.search(self._text)
        if odd:
            raise self._bad("a line break of Unicode is not supported here", self._text.count("\n", 0, odd.start()))
        self._starts = [0]
        for line in self._lines:
            self._starts.append(self._starts[-1] + len(line) + 1)
        self._at = 0
        self._level = 0

    def document(self) -> Any:
        while self._at < len(self._lines) and self._lines[self._at].startswith("%"):
            raise self._bad("directives are not supported here")
        if self._look() is not None and re.match(r"---([ \t]|$)", self._lines[self._at]):
            self._lines[self._at] = "   " + self._lines[self._at][3:]
        indent = self._look()
        value = None if indent is None else self._block(indent, -1)
        if self._look() is not None:
            raise self._bad("its indentation fits nothing above")
        if self._at < len(self._lines) and self._lines[self._at].startswith("---"):
            raise self._bad("a second document begins here")
        return value

    # -- lines --------------------------------------------------------------------------------------------------------

    def _look(self) -> Optional[int]:
        """Goes to the next line with content; its indentation, or None at the end of the document."""
        while self._at < len(self._lines):
            line = self._lines[self._at]
            content = line.lstrip(" ")
            if content.startswith("\t") and content.strip(" \t"):
                raise self._bad("a tab cannot be used for indentation")
            if re.match(r"\.\.\.([ \t]|$)", line) or (self._level and re.match(r"---([ \t]|$)", line)):
                return None
            if content.strip(" \t") and not content.startswith("#"):
                return len(line) - len(content)
            self._at += 1
        return None

    def _bad(self, why: str, line: Optional[int] = None) -> YamlSubsetError:
        number = min(self._at if line is None else line, len(self._lines) - 1)
        return YamlSubsetError.at(number + 1, self._lines[number], why)

    # -- blocks -------------------------------------------------------------------------------------------------------

    def _block(self, indent: int, parent: int) -> Any:
        """The value whose first line is the present one and begins at column `indent`, inside of column `parent`."""
        self._level += 1
        if self._level > MOST_LEVELS:
            raise self._bad("it lies more than {} levels deep".format(MOST_LEVELS))
        try:
            line = self._lines[self._at]
            if self._is_item(indent):
                return self._list(indent)
            if self._key(line, indent) is not None:
                return self._mapping(indent)
            return self._node(indent, parent)
        finally:
            self._level -= 1

    def _is_item(self, indent: int) -> bool:
        return self._lines[self._at].startswith("-", indent) and self._lines[self._at][indent + 1 : indent + 2] in (
            "",
            " ",
            "\t",
        )

    def _list(self, indent: int) -> List[Any]:
        items: List[Any] = []
        while self._look() == indent and self._is_item(indent):
            line = self._lines[self._at]
            # What follows the dash is a block of its own, at its own column.
            self._lines[self._at] = line[:indent] + " " + line[indent + 1 :].replace("\t", " ", 1)
            number = self._at
            inner = self._look()
            if inner is not None and inner > indent:
                items.append(self._block(inner, indent))
            else:
                items.append(None)
                self._at = max(self._at, number + 1)
        return items

    def _mapping(self, indent: int) -> Dict[Any, Any]:
        result: Dict[Any, Any] = {}
        while self._look() == indent:
            number, line = self._at, self._lines[self._at]
            found = self._key(line, indent)
            if found is None:
                if self._is_item(indent):
                    break
                raise self._bad("a 'key: value' line is expected")
            key, column = found
            if key in result:
                raise self._bad("the key comes twice")
            rest = line[column:].lstrip(" \t")
            if rest and not rest.startswith("#"):
                result[key] = self._node(len(line) - len(rest), indent)
                continue
            self._at = number + 1
            inner = self._look()
            if inner is not None and (inner > indent or (inner == indent and self._is_item(indent))):
                result[key] = self._block(inner, indent if inner > indent else indent - 1)
            else:
                result[key] = None
        if (self._look() or 0) > indent:
            raise self._bad("it is indented deeper than the line above allows")
        return result

    def _key(self, line: str, column: int) -> Optional[Tuple[Any, int]]:
        """The key that begins at this column, and where its colon ends."""
        quoted = _QUOTED_KEY.match(line, column)
        if quoted:
            flow = FlowReader(line, column, self._at)
            return flow.quoted(), quoted.end()
        if line[column : column + 2] in ("? ", "?"):
            raise self._bad("complex keys are not supported here")
        if line[column] in _NO_PLAIN_BEGIN:
            return None
        colon = _PLAIN_KEY.search(line, column)
        if not colon or " #" in line[column : colon.start()]:
            return None
        return plain_value(line[column : colon.start()].rstrip(" \t")), colon.end()

    # -- values -------------------------------------------------------------------------------------------------------

    def _node(self, column: int, parent: int) -> Any:
        first = self._lines[self._at][column]
        if first in "|>":
            return self._block_scalar(column, parent)
        if first in "[{\"'":
            return self._flow(column)
        if first in _NO_PLAIN_BEGIN:
            raise self._bad("this form of value is not supported here")
        return self._plain(column, parent)

    def _flow(self, column: int) -> Any:
        flow = FlowReader(self._text, self._starts[self._at] + column, self._at, MOST_LEVELS - self._level)
        value = flow.value()
        self._at = flow.line
        rest = self._lines[self._at][flow.position - self._starts[self._at] :]
        if rest.strip(" \t") and not re.match(r"[ \t]+#", rest):
            raise self._bad("there is more after the end of the value")
        self._at += 1
        return value

    def _plain(self, column: int, parent: int) -> Any:
        parts = [self._lines[self._at][column:]]
        number = self._at
        while True:
            text, is_whole = _without_comment(parts[-1])
            parts[-1] = text
            if _PLAIN_KEY.search(text):
                raise self._bad("a value cannot hold ': ' unless it is quoted", number)
            self._at = number = number + 1
            blank = 0
            while number < len(self._lines) and not self._lines[number].strip(" \t"):
                number, blank = number + 1, blank + 1
            if number == len(self._lines) or not is_whole:
                break
            line = self._lines[number]
            content = line.lstrip(" \t")
            if len(line) - len(line.lstrip(" ")) <= parent or content.startswith("#"):
                break
            if re.match(r"(?:---|\.\.\.)(?:[ \t]|$)", line):
                break
            parts.extend(["\n" * blank] if blank else [])
            parts.append(content)
        if len(parts) == 1:
            return plain_value(parts[0])
        joined = parts[0]
        for before, part in zip(parts, parts[1:]):
            joined += part if part.startswith("\n") or before.startswith("\n") else " " + part
        return joined

    def _block_scalar(self, column: int, parent: int) -> str:
        header = _BLOCK_HEADER.match(self._lines[self._at][column:])
        if header is None:
            raise self._bad("this is no beginning of a block of text")
        style, chomp = header.group(1), header.group(3) or header.group(4) or ""
        asked = header.group(2) or header.group(5)
        self._at += 1
        indent = max(parent, 0) + int(asked) if asked else None
        found: List[str] = []
        while self._at < len(self._lines):
            line = self._lines[self._at]
            width = len(line) - len(line.lstrip(" "))
            if line.strip(" "):
                if indent is None and width > parent:
                    indent = width
                if indent is None or width < indent or (parent < 0 and re.match(r"(?:---|\.\.\.)(?:[ \t]|$)", line)):
                    break
            found.append(line[indent:] if indent is not None else "")
            self._at += 1
        kept = len(found)
        while kept and not found[kept - 1]:
            kept -= 1
        content, blank = found[:kept], len(found) - kept
        if self._at == len(self._lines) and blank and not self._lines[-1]:
            blank -= 1
        text = "\n".join(content) if style == "|" else _folded(content)
        if chomp == "-" or not content:
            return text + ("\n" * blank if chomp == "+" else "")
        return text + "\n" + ("\n" * blank if chomp == "+" else "")


def _without_comment(line: str) -> Tuple[str, bool]:
    """A plain scalar's line without its comment, and whether it had none."""
    found = re.search(r"[ \t]#", line)
    return (line[: found.start()].strip(" \t"), False) if found else (line.strip(" \t"), True)


def _folded(lines: List[str]) -> str:
    """Lines of a ``>`` block: a line break is a blank, unless lines are empty or more indented."""
    text, blank, before = "", 0, None  # type: str, int, Optional[str]
    for line in lines:
        if not line:
            blank += 1
            continue
        if before is not None:
            if before[0] in " \t" or line[0] in " \t":
                text += "\n"
            elif not blank:
                text += " "
        text += "\n" * blank + line
        blank, before = 0, line
    return text
