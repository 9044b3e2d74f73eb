"""Which files of a source folder do not travel: `.amlignore`, else `.gitignore`, with git's pattern language.

The language is that of https://git-scm.com/docs/gitignore: the last pattern that matches decides, `!` takes back, a
file below an excluded folder cannot be taken back. As in Azure only the file at the root of the source folder counts.
"""

import os
import re
from typing import List, NamedTuple, Optional, Pattern, Tuple

# Never of use to a job: the history of versions, and bytecode that belongs to this interpreter.
_ALWAYS = (".git", "__pycache__")
IGNORE_FILES = (".amlignore", ".gitignore")


class _Rule(NamedTuple):
    pattern: Pattern[str]
    exclude: bool
    folders_only: bool


class IgnoreRules:
    """The rules of one ignore file."""

    def __init__(self, lines: List[str]) -> None:
        self._rules = [rule for rule in map(_parse, lines) if rule is not None]

    @classmethod
    def of_folder(cls, folder: str) -> "IgnoreRules":
        """The rules for a source folder: of `.amlignore` when there is one, else of `.gitignore`, else none."""
        for name in IGNORE_FILES:
            path = os.path.join(folder, name)
            if os.path.isfile(path):
                with open(path, encoding="utf-8-sig", errors="surrogateescape") as file:
                    return cls(file.read().split("\n"))
        return cls([])

    def excludes(self, path: str, is_folder: bool) -> bool:
        """Whether a file or folder stays behind. Ask for its folders first: below an excluded one everything is, too.

        Args:
            path: relative to the source folder, with `/`, without a leading or trailing one.
        """
        if path.rpartition("/")[2] in _ALWAYS and is_folder:
            return True
        for rule in reversed(self._rules):
            if (is_folder or not rule.folders_only) and rule.pattern.match(path):
                return rule.exclude
        return False


def _parse(line: str) -> "Optional[_Rule]":
    line = _strip_end(line[:-1] if line.endswith("\r") else line)
    if not line or line.startswith("#"):
        return None
    exclude = not line.startswith("!")
    if not exclude:
        line = line[1:]
    folders_only = line.endswith("/")
    if folders_only:
        line = line[:-1]
    anchored = "/" in line
    if line.startswith("/"):
        line = line[1:]
    if not line:
        return None
    expression = _translate(line)
    if expression is None:
        return None
    return _Rule(re.compile(("" if anchored else "(?:.*/)?") + expression + r"\Z", re.DOTALL), exclude, folders_only)


def _strip_end(line: str) -> str:
    """Takes trailing spaces away, unless they are quoted with a backslash."""
    end = len(line)
    while end and line[end - 1] == " ":
        quotes = 0
        while end - 2 - quotes >= 0 and line[end - 2 - quotes] == "\\":
            quotes += 1
        if quotes % 2:
            break
        end -= 1
    return line[:end]


def _translate(glob: str) -> Optional[str]:
    """A git glob as a regular expression; None when it can match nothing (an open bracket, a lone backslash)."""
    result: List[str] = []
    position, end = 0, len(glob)
    while position < end:
        char = glob[position]
        position += 1
        if char == "*":
            stars = position - 1
            while position < end and glob[position] == "*":
                position += 1
            starts = stars == 0 or glob[stars - 1] == "/"
            if position - stars == 2 and starts and position == end:
                # `a/**`: all below a, not a itself; `**` alone: everything
                result.append(".+")
            elif position - stars == 2 and starts and glob[position] == "/":
                position += 1
                result.append("(?:.*/)?")
            else:
                result.append("[^/]*")
        elif char == "?":
            result.append("[^/]")
        elif char == "[":
            found = _bracket(glob, position)
            if found is None:
                return None
            expression, position = found
            result.append(expression)
        elif char == "\\":
            if position == end:
                return None
            result.append(re.escape(glob[position]))
            position += 1
        else:
            result.append(re.escape(char))
    return "".join(result)


_CLASSES = {
    "alnum": "a-zA-Z0-9",
    "alpha": "a-zA-Z",
    "blank": r" \t",
    "cntrl": r"\x00-\x1f\x7f",
    "digit": "0-9",
    "graph": "!-~",
    "lower": "a-z",
    "print": " -~",
    "punct": r"!-/:-@\[-`{-~",
    "space": r" \t\n\r\f\v",
    "upper": "A-Z",
    "xdigit": "0-9a-fA-F",
}


def _bracket(glob: str, position: int) -> Optional[Tuple[str, int]]:
    """The character class that begins behind `[`: its regular expression and the position behind `]`."""
    negated = position < len(glob) and glob[position] in "!^"
    if negated:
        position += 1
    parts: List[str] = []
    first = True
    while position < len(glob):
        char = glob[position]
        if char == "]" and not first:
            # A slash is never matched by a class.
            inner = "".join(parts)
            if negated:
                return "[^/{}]".format(inner), position + 1
            return ("(?!/)[{}]".format(inner) if inner else "(?!)"), position + 1
        first = False
        if glob.startswith("[:", position):
            close = glob.find(":]", position + 2)
            if close >= 0:
                members = _CLASSES.get(glob[position + 2 : close])
                if members is None:
                    return None
                parts.append(members)
                position = close + 2
                continue
        char, position = _class_char(glob, position)
        if glob.startswith("-", position) and position + 1 < len(glob) and glob[position + 1] != "]":
            upper, position = _class_char(glob, position + 1)
            # Backwards it is empty, but for its first end, as in git.
            parts.append(re.escape(char) if char > upper else "{}-{}".format(re.escape(char), re.escape(upper)))
        else:
            parts.append(re.escape(char))
    return None


def _class_char(glob: str, position: int) -> Tuple[str, int]:
    if glob[position] == "\\" and position + 1 < len(glob):
        return glob[position + 1], position + 2
    return glob[position], position + 1
