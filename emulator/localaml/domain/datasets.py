"""Datasets: which files belong together. Patterns, places in a view, and choices among files; no I/O.

Facts as observed on azureml-core 1.61 with its dataset runtime: a dataset with one source shows its files relative to
the folder that the source's fixed part names (a single file under its own name); one with several sources shows them
with the place that they come from, a URL as ``http%3A/%2Fhost%3Aport/path``. `*` and `?` do match a leading dot.
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import quote, urlsplit

from localaml.domain.names import check_relative_path
from localaml.errors import InvalidArgument

_T = TypeVar("_T")
_GLOB = re.compile(r"[*?\[]")
_MAX_SOURCES = 10_000


@dataclass(frozen=True, slots=True)
class DatasetSource:
    """Files of a datastore (`path`: a file, a folder or a pattern; empty for all), or one of the web."""

    datastore: str = ""
    path: str = ""
    url: str = ""


@dataclass(frozen=True, slots=True)
class FileSelection:
    """A choice among files, in their order.

    Attributes:
        kind: `take` (the first `count`), `skip` (all but those), `sample` (each by chance).
        complement: of a sample: the files that it leaves.
    """

    kind: str
    count: int = 0
    probability: float = 0.0
    seed: int = 0
    complement: bool = False


@dataclass(frozen=True, slots=True)
class DatasetDefinition:
    """What a dataset is. `table` is what clients note on reading it; None for datasets of files."""

    sources: tuple[DatasetSource, ...]
    selections: tuple[FileSelection, ...] = ()
    table: Mapping[str, Any] | None = None

    @property
    def is_single_file(self) -> bool:
        """Whether it can mean one file only, under a name that is known beforehand (given that it is no folder)."""
        return len(self.sources) == 1 and not self.selections and not has_pattern(self.sources[0].path)


def has_pattern(path: str) -> bool:
    """Whether a path of a source has to be looked up among all paths, not taken as it stands."""
    return bool(_GLOB.search(path))


def check_definition(definition: DatasetDefinition) -> DatasetDefinition:
    """The definition with clean paths.

    Raises InvalidArgument: ``DATASET_INVALID``, ``INVALID_PATH``.
    """
    if not definition.sources:
        raise InvalidArgument("DATASET_INVALID", "A dataset needs at least one path or URL.")
    if len(definition.sources) > _MAX_SOURCES:
        raise InvalidArgument(
            "DATASET_INVALID",
            f"A dataset has at most {_MAX_SOURCES} paths; this one has {len(definition.sources)}: use patterns.",
        )
    if definition.table is not None and definition.selections:
        raise InvalidArgument("DATASET_INVALID", "A choice among files is for datasets of files only.")
    for selection in definition.selections:
        if selection.kind == "sample" and not 0 <= selection.probability <= 1:
            raise InvalidArgument("DATASET_INVALID", f"A probability is from 0 to 1, not {selection.probability}.")
        if selection.count < 0:
            raise InvalidArgument("DATASET_INVALID", f"A number of files is not negative (it is {selection.count}).")
    return DatasetDefinition(
        tuple(_checked(source) for source in definition.sources), definition.selections, definition.table
    )


def _checked(source: DatasetSource) -> DatasetSource:
    if bool(source.url) == bool(source.datastore):
        raise InvalidArgument("DATASET_INVALID", "Each path of a dataset is one of a datastore, or a URL.")
    if source.url:
        url_place(source.url)
        url_name(source.url)
        return source
    path = source.path.strip("/")
    if path in ("", "."):
        return DatasetSource(source.datastore)
    clean = check_relative_path(path, "path of a dataset")
    pattern_of(clean)
    # The closing "/" says that a folder is meant.
    return DatasetSource(source.datastore, clean + "/" if source.path.endswith("/") else clean)


def url_place(url: str) -> str:
    """Where a file of the web is in the view of a dataset with several sources.

    Raises InvalidArgument ``DATASET_INVALID``, ``INVALID_PATH``.
    """
    parts = _web(url)
    rest = parts.path.lstrip("/") + (f"?{parts.query}" if parts.query else "")
    return check_relative_path(
        f"{parts.scheme}%3A/%2F{quote(parts.netloc, safe='')}/{rest}", "path of a file from the web"
    )


def url_name(url: str) -> str:
    """The file name of a URL. Raises InvalidArgument ``DATASET_INVALID`` when it has none."""
    name = _web(url).path.rpartition("/")[2]
    if not name:
        raise InvalidArgument("DATASET_INVALID", f"The URL {url[:200]!r} names no file; list the files one by one.")
    return check_relative_path(name, "name of a file from the web")


def _web(url: str) -> Any:
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError:
        host = None
    if not host or parts.scheme not in ("http", "https") or any(c <= " " or c == "\x7f" for c in url):
        raise InvalidArgument("DATASET_INVALID", f"{url[:200]!r} is no URL of a file: use http:// or https://.")
    if parts.username or parts.password or has_pattern(parts.path):
        raise InvalidArgument("DATASET_INVALID", "A URL of a dataset has no user, no password and no wildcards.")
    return parts


def pattern_of(path: str) -> re.Pattern[str]:
    """Paths that a pattern means. `**` stands for any number of folders, at the end for everything below.

    Where a wildcard is followed by something else, the first place where that fits is as good as any later one. So
    nothing is ever tried twice (the groups below are what `(?>...)` is in Python 3.11), and no pattern takes long.

    Raises InvalidArgument ``DATASET_INVALID``.
    """
    parts = path.split("/")
    once = _Once()
    runs: list[list[str]] = [[]]
    for part in parts[:-1]:
        if part == "**":
            runs.append([])
        else:
            runs[-1].append(_part(part, path, once) + "/")
    runs[-1].append(".+" if parts[-1] == "**" else _part(parts[-1], path, once))
    first, *others = ("".join(run) for run in runs)
    expression = first
    for number, run in enumerate(others):
        last = number == len(others) - 1
        expression += f"(?:[^/]+/)*{run}" if last and run != ".+" else once.first_fit("(?:[^/]+/)*?", run)
    return re.compile(expression, re.DOTALL)


class _Once:
    """Makes groups that are not tried again, each with a name of its own."""

    def __init__(self) -> None:
        self._count = 0

    def first_fit(self, skipped: str, wanted: str) -> str:
        """`wanted` at the first place where it fits, after what is skipped as little as possible."""
        if not wanted:
            return ""
        self._count += 1
        return f"(?=(?P<g{self._count}>{skipped}{wanted}))(?P=g{self._count})"


def _part(part: str, path: str, once: _Once) -> str:
    """A name with wildcards, without the `/` that follows it."""
    pieces, position = [""], 0
    while position < len(part):
        character = part[position]
        position += 1
        if character == "*":
            # Two stars inside a name mean what one means.
            if pieces[-1] or len(pieces) == 1:
                pieces.append("")
        elif character == "?":
            pieces[-1] += "[^/]"
        elif character == "[":
            end = part.find("]", position + 2 if part[position : position + 1] in ("!", "^") else position + 1)
            if end < 0:
                raise InvalidArgument("DATASET_INVALID", f"The pattern {path[:200]!r} has a '[' without its ']'.")
            pieces[-1] += _class(part[position:end], path)
            position = end + 1
        else:
            pieces[-1] += re.escape(character)
    if len(pieces) == 1:
        return pieces[0]
    between = "".join(once.first_fit("[^/]*?", piece) for piece in pieces[1:-1])
    return f"{pieces[0]}{between}[^/]*{pieces[-1]}"


def _class(inside: str, path: str) -> str:
    negated = inside[0] in "!^"
    inside = re.sub(r"([\\\[\]^&~|])", r"\\\1", inside[1:] if negated else inside)
    expression = f"(?!/)[{'^' if negated else ''}{inside}]"
    try:
        re.compile(expression)
    except re.error as error:
        raise InvalidArgument("DATASET_INVALID", f"The pattern {path[:200]!r} cannot be read: {error}.") from None
    return expression


def fixed_folder(pattern: str) -> str:
    """The folders that a pattern begins with, without any wildcard; ends with "/" unless empty."""
    folders: list[str] = []
    for part in pattern.split("/")[:-1]:
        if has_pattern(part):
            break
        folders.append(part)
    return "".join(f"{folder}/" for folder in folders)


def select(files: Sequence[_T], selections: Sequence[FileSelection]) -> list[_T]:
    """The files that the selections leave. The same seed chooses the same files, as long as they are the same."""
    chosen = list(files)
    for selection in selections:
        if selection.kind == "take":
            chosen = chosen[: selection.count]
        elif selection.kind == "skip":
            chosen = chosen[selection.count :]
        else:
            chance = random.Random(selection.seed)  # noqa: S311 - has to repeat, hides nothing
            chosen = [each for each in chosen if (chance.random() < selection.probability) is not selection.complement]
    return chosen


def definition_to_json(definition: DatasetDefinition) -> dict[str, Any]:
    """A definition as a JSON object; equal ones give equal objects."""
    content: dict[str, Any] = {
        "sources": [[source.datastore, source.path, source.url] for source in definition.sources],
        "selections": [
            [each.kind, each.count, each.probability, each.seed, each.complement] for each in definition.selections
        ],
    }
    if definition.table is not None:
        content["table"] = dict(definition.table)
    return content


def definition_from_json(content: Mapping[str, Any]) -> DatasetDefinition:
    """The reverse of `definition_to_json`."""
    return DatasetDefinition(
        tuple(DatasetSource(*source) for source in content["sources"]),
        tuple(FileSelection(*selection) for selection in content["selections"]),
        content.get("table"),
    )
