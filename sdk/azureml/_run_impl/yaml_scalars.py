"""Values of YAML that stand on their own: plain words, quoted texts and flow collections."""

import re
from typing import Any, Dict, List, Tuple

# YAML 1.1, as PyYAML resolves it; timestamps stay texts.
_NULL = frozenset(("", "~", "null", "Null", "NULL"))
_TRUE = frozenset(word for base in ("yes", "true", "on") for word in (base, base.capitalize(), base.upper()))
_FALSE = frozenset(word for base in ("no", "false", "off") for word in (base, base.capitalize(), base.upper()))
_INTEGER = re.compile(r"^[-+]?(?:0b[01_]+|0x[0-9a-fA-F_]+|0[0-7_]*|[1-9][0-9_]*|[1-9][0-9_]*(?::[0-5]?[0-9])+)$")
_FLOAT = re.compile(r"^[-+]?(?:[0-9][0-9_]*\.[0-9_]*(?:[eE][-+][0-9]+)?|\.[0-9][0-9_]*(?:[eE][-+][0-9]+)?)$")
_SEXAGESIMAL_FLOAT = re.compile(r"^[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+\.[0-9_]*$")
_SPECIAL = re.compile(r"^([-+]?)\.(inf|Inf|INF)$|^\.(?:nan|NaN|NAN)$")
_ESCAPES = {
    **{"0": "\0", "a": "\a", "b": "\b", "t": "\t", "\t": "\t", "n": "\n", "v": "\v", "f": "\f", "r": "\r"},
    **{"e": "\x1b", " ": " ", '"': '"', "/": "/", "\\": "\\", "N": "\x85", "_": "\xa0", "L": "\u2028", "P": "\u2029"},
}
_CODE_LENGTHS = {"x": 2, "u": 4, "U": 8}
_LONGEST_NUMBER = 1000


class YamlSubsetError(ValueError):
    """The text is not YAML, or uses more of it than the reader knows; the message has the line."""

    @classmethod
    def at(cls, number: int, line: str, why: str) -> "YamlSubsetError":
        """About line `number` (from 1)."""
        return cls(
            "Line {} ({!r}) cannot be read: {}. For files that use more of YAML install PyYAML "
            "(pip install pyyaml).".format(number, line.strip()[:60], why)
        )


def plain_value(text: str) -> Any:
    """What an unquoted word stands for: None, a bool, a number or the text itself."""
    if text in _NULL:
        return None
    if text in _TRUE or text in _FALSE:
        return text in _TRUE
    if len(text) <= _LONGEST_NUMBER:
        if _INTEGER.match(text):
            return _integer(text)
        if _FLOAT.match(text):
            return float(text.replace("_", ""))
        if _SEXAGESIMAL_FLOAT.match(text):
            return float(_in_base_60(text))
        special = _SPECIAL.match(text)
        if special:
            return float(special.group(1) + "inf" if special.group(2) else "nan")
    return text


def _integer(text: str) -> int:
    sign = -1 if text[0] == "-" else 1
    digits = text.replace("_", "").lstrip("+-")
    if ":" in digits:
        return int(_in_base_60(text))
    if digits.startswith("0b"):
        return sign * int(digits[2:], 2)
    if digits.startswith("0x"):
        return sign * int(digits[2:], 16)
    return sign * int(digits, 8 if digits.startswith("0") and digits != "0" else 10)


def _in_base_60(text: str) -> float:
    value = 0.0
    for part in text.replace("_", "").lstrip("+-").split(":"):
        value = 60 * value + float(part)
    return -value if text[0] == "-" else value


class FlowReader:
    """Reads one quoted text or flow collection out of a text.

    Args:
        text: the text; it may go on behind the value.
        position: where the value begins.
        line: the number of that line, from 0.
        levels: how many levels of collections may lie in each other.
    """

    def __init__(self, text: str, position: int, line: int, levels: int = 1) -> None:
        self._text = text
        self.position = position
        self.line = line
        self._levels = levels

    def value(self) -> Any:
        """The value at the position; afterwards position and line are those behind it.

        Raises:
            YamlSubsetError: it is not closed, or uses more of YAML than this reader knows.
        """
        char = self._text[self.position : self.position + 1]
        if char in ("[", "{"):
            if self._levels <= 0:
                raise self._bad("collections lie too deep in each other")
            self._levels -= 1
            found = self._list() if char == "[" else self._mapping()
            self._levels += 1
            return found
        if char in ("'", '"'):
            return self.quoted()
        if char == "?" and self._text[self.position + 1 : self.position + 2] in ("", " ", "\t", "\n"):
            raise self._bad("complex keys are not supported here")
        if char in ("&", "*", "!", "|", ">", "@", "`", "%"):
            raise self._bad("this form of value is not supported here")
        return self._plain()

    def quoted(self) -> str:
        """The quoted text at the position."""
        quote = self._text[self.position]
        begin = self.line
        self.position += 1
        parts: List[str] = []
        while True:
            match = re.compile(r"[^'\n]+" if quote == "'" else r'[^"\\\n]+').match(self._text, self.position)
            if match:
                parts.append(match.group())
                self.position = match.end()
            char = self._text[self.position : self.position + 1]
            following = self._text[self.position + 1 : self.position + 2]
            if not char:
                self.line = begin
                raise self._bad("the quoted text is not closed")
            if char == "\n":
                self._fold(parts)
            elif char == "\\":
                self._escape(parts, following)
            elif quote == "'" and following == "'":
                parts.append("'")
                self.position += 2
            else:
                self.position += 1
                return "".join(parts)

    # -- inside -------------------------------------------------------------------------------------------------------

    def _bad(self, why: str) -> "YamlSubsetError":
        begin = self._text.rfind("\n", 0, self.position) + 1
        return YamlSubsetError.at(self.line + 1, self._text[begin:].split("\n", 1)[0], why)

    def _fold(self, parts: List[str]) -> None:
        """Line breaks inside of a text: one is a blank, of more of them one fewer stay."""
        if parts:
            parts[-1] = parts[-1].rstrip(" \t")
        match = re.compile(r"(?:\n[ \t]*)+").match(self._text, self.position)
        assert match is not None
        breaks = match.group().count("\n")
        parts.append("\n" * (breaks - 1) or " ")
        self.position = match.end()
        self.line += breaks

    def _escape(self, parts: List[str], following: str) -> None:
        if following == "\n":
            match = re.compile(r"\\\n[ \t]*").match(self._text, self.position)
            assert match is not None
            self.position = match.end()
            self.line += 1
            return
        self.position += 2
        if following in _ESCAPES:
            parts.append(_ESCAPES[following])
            return
        length = _CODE_LENGTHS.get(following, 0)
        code = self._text[self.position : self.position + length]
        if not length or not re.match(r"^[0-9a-fA-F]+$", code) or len(code) < length or int(code, 16) > 0x10FFFF:
            raise self._bad("a quoted text has an unknown escape")
        self.position += length
        parts.append(chr(int(code, 16)))

    def _skip(self) -> str:
        """Goes over blanks, line breaks and comments; the next character, empty at the end."""
        while True:
            match = re.compile(r"[ \t]*").match(self._text, self.position)
            assert match is not None
            moved = match.end() > self.position
            self.position = match.end()
            char = self._text[self.position : self.position + 1]
            if char == "\n":
                self.position += 1
                self.line += 1
            elif char == "#" and (moved or self._text[self.position - 1 : self.position] == "\n"):
                end = self._text.find("\n", self.position)
                self.position = len(self._text) if end < 0 else end
            else:
                return char

    def _list(self) -> List[Any]:
        begin = self.line
        items: List[Any] = []
        self.position += 1
        while True:
            char = self._skip()
            if char == "]":
                self.position += 1
                return items
            item, is_pair = self._item(begin, "]")
            items.append(dict([item]) if is_pair else item[0])

    def _mapping(self) -> Dict[Any, Any]:
        begin = self.line
        result: Dict[Any, Any] = {}
        self.position += 1
        while True:
            char = self._skip()
            if char == "}":
                self.position += 1
                return result
            (key, value), _ = self._item(begin, "}")
            if isinstance(key, (list, dict)):
                raise self._bad("complex keys are not supported here")
            if key in result:
                raise self._bad("the key comes twice")
            result[key] = value

    def _item(self, begin: int, end: str) -> Tuple[Tuple[Any, Any], bool]:
        """One entry with the comma behind it: the key or item, the value, and whether it is a pair."""
        if self._text[self.position : self.position + 1] in ("", ","):
            raise self._not_closed(begin)
        found, value = self.value(), None
        is_pair = self._skip() == ":"
        if is_pair:
            if isinstance(found, (list, dict)):
                raise self._bad("complex keys are not supported here")
            self.position += 1
            if self._skip() not in (",", end, ""):
                value = self.value()
        char = self._skip()
        if char == ",":
            self.position += 1
        elif char != end:
            raise self._not_closed(begin)
        return (found, value), is_pair

    def _not_closed(self, begin: int) -> "YamlSubsetError":
        if self.position >= len(self._text):
            self.line = begin
            return self._bad("the list or mapping that begins in line {} is not closed".format(begin + 1))
        return self._bad("a comma or the end of the list or mapping is expected")

    def _plain(self) -> Any:
        words: List[str] = []
        pattern = re.compile(r"(?:[^ \t\n,\[\]{}:#]|:(?![ \t\n,\[\]{}]|$)|(?<![ \t\n])#)+")
        while True:
            match = pattern.match(self._text, self.position)
            if match is None:
                break
            words.append(match.group())
            self.position = match.end()
            before, line = self.position, self.line
            if self._skip() in ("", ",", "[", "]", "{", "}", ":", "#"):
                break
            if self.line - line > 1:
                self.position, self.line = before, line
                raise self._bad("an empty line inside of an unquoted text is not supported here")
        if not words:
            raise self._bad("a value is expected")
        return plain_value(" ".join(words)) if len(words) == 1 else " ".join(words)
