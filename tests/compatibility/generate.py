"""Writes docs/compatibility-api.md. With --check: exits 1 when what is there is stale."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from tests.compatibility.surface import ERAS
from tests.compatibility.verdicts import Verdict, parameters_of, verdicts

DOCUMENT = Path(__file__).parents[2] / "docs" / "compatibility-api.md"

_HEAD = """\
# The API, name by name

Every public class, method, property, function and parameter of `azureml-core` and `azureml-train-core` 1.0.8 (January
2019) and 1.61 in the areas that LocalAML covers, compared with ours by `inspect.signature`; of `azureml-widgets`,
`azureml-tensorboard` and `azureml-telemetry` the latest. What features do, and the tests that prove them:
[compatibility.md](compatibility.md).

This file is generated: `scripts/generate-compatibility`. `tests/compatibility` fails when it is stale, when a name or a
parameter disappears or gets another default, when a parameter is never read and not listed, and when a name that is
listed as not supported does anything but raise an error that names it.

- **yes**: there, with every parameter and default of that version.
- **no**: raises an error that names it; the remark says why.
- **no effect**: parameters that are accepted and change nothing here.
- **refused**: parameters that raise an error when they are given.
- An empty field: that version does not have the name.

"Notebooks" counts the public sample notebooks that use the name, of 43.
"""


def render() -> str:
    """The document."""
    found = list(verdicts())
    lines = [_HEAD, *_totals(found)]
    for (module, cls), group in itertools.groupby(found, key=lambda item: (item.name.module, item.name.cls)):
        lines += _section(module, cls, list(group))
    return "\n".join(lines) + "\n"


def _totals(found: list[Verdict]) -> Iterator[str]:
    yield "| | " + " | ".join(ERAS) + " |"
    yield "|---|" + "---:|" * len(ERAS)
    rows: dict[str, list[int]] = {}
    for index in range(len(ERAS)):
        there = [item for item in found if item.name.eras[index] is not None]
        supported = [item for item in there if item.is_supported]
        parameters = [(item, name) for item in supported for name in parameters_of(item.name, index)]
        rows.setdefault("names", []).append(len(there))
        rows.setdefault("supported", []).append(len(supported))
        rows.setdefault("not supported", []).append(len(there) - len(supported))
        rows.setdefault("parameters of the supported ones", []).append(len(parameters))
        rows.setdefault("of them without effect", []).append(
            sum(name in item.without_effect for item, name in parameters)
        )
        rows.setdefault("of them refused", []).append(sum(name in item.refused for item, name in parameters))
    for title, numbers in rows.items():
        yield f"| {title} | " + " | ".join(map(str, numbers)) + " |"
    yield ""


def _section(module: str, cls: str, group: list[Verdict]) -> Iterator[str]:
    yield f"## `{module}.{cls}`" if cls else f"## `{module}`: functions"
    yield ""
    reasons = {item.reason for item in group}
    if len(group) > 1 and len(reasons) == 1 and (reason := reasons.pop()):
        listed = ", ".join(f"`{item.name.member}`" for item in group if not item.name.member.startswith("__"))
        yield f"Not supported: {reason}" + (f" Names: {listed}." if listed else "")
        yield ""
        return
    yield "| Name | " + " | ".join(ERAS) + " | Notebooks | Remarks |"
    yield "|---|" + "---|" * len(ERAS) + "---:|---|"
    for item in group:
        yield _row(item)
    yield ""


def _row(item: Verdict) -> str:
    name = item.name
    marks = ["" if era is None else "yes" if item.is_supported else "no" for era in name.eras]
    latest = name.eras[1] or name.eras[0] or ""
    if name.member == "__class__":
        written = name.cls
    elif name.member == "__init__":
        written = name.cls + latest
    elif latest.startswith("("):
        written = name.member + latest
    else:
        written = name.member
    cells = [f"`{written}`", *marks, str(item.notebooks or ""), " ".join(_remarks(item))]
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _remarks(item: Verdict) -> Iterable[str]:
    if item.reason:
        yield item.reason
        return
    if item.different:
        yield item.different
    for title, listed in (("No effect", item.without_effect), ("Refused", item.refused)):
        if listed:
            yield f"{title}: " + "; ".join(f"`{name}` ({why})" if name else why for name, why in listed.items()) + "."


def main() -> int:
    text = render()
    if "--check" in sys.argv[1:]:
        if DOCUMENT.read_text("utf-8") == text:
            return 0
        print("docs/compatibility-api.md is stale: run scripts/generate-compatibility", file=sys.stderr)
        return 1
    DOCUMENT.write_text(text, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
