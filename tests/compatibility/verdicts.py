"""From the facts and our decisions to one verdict per name."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from tests.compatibility.surface import ERAS, Name, names, read, wanted

Parameters = dict[str, str]


@dataclass
class Verdict:
    """What `docs/compatibility-api.md` says about one name.

    Attributes:
        reason: why it is not supported, or empty.
        without_effect, refused, different: parameter (or "" for the name itself) -> remark.
        notebooks: how many of the 43 public notebooks use the name.
    """

    name: Name
    reason: str = ""
    without_effect: Parameters = field(default_factory=dict)
    refused: Parameters = field(default_factory=dict)
    different: str = ""
    notebooks: int = 0

    @property
    def is_supported(self) -> bool:
        return not self.reason


@cache
def declared() -> dict[str, Any]:
    """Our decisions."""
    content: dict[str, Any] = read("declared.json")
    return content


def reason_against(path: str) -> str:
    """Why a name is not supported: declared for itself, its class or its module; empty when it is supported."""
    parts = path.split(".")
    for length in range(len(parts), 0, -1):
        reason: str = declared()["not_supported"].get(".".join(parts[:length]), "")
        if reason:
            return reason
    return ""


def verdicts() -> Iterator[Verdict]:
    """One per name of the surface."""
    used = _used()
    content = declared()
    for name in names():
        refused = {item: text["why"] for item, text in content["refused"].get(name.path, {}).items()}
        yield Verdict(
            name,
            reason_against(name.path),
            content["without_effect"].get(name.path, {}),
            refused,
            content["different"].get(name.path, ""),
            used.get(_usage_key(name), 0),
        )


def parameters_of(name: Name, era: int) -> list[str]:
    """The public parameters that a call has in an era."""
    text = name.eras[era]
    if text is None or not text.startswith("("):
        return []
    return [item for item in wanted(text) if not item.startswith("_") and item not in ("args", "kwargs")]


@cache
def _used() -> dict[str, int]:
    """Notebooks by the name as the count has it; reads and writes of one attribute are one name."""
    found: dict[str, int] = {}
    for api, _, count, _ in read("usage.json"):
        key = api.removesuffix(" (with)").removesuffix(" (except)")
        found[key] = max(count, found.get(key, 0))
    return found


# Notebooks have objects; the count calls them by these names.
_COUNTED_AS = {
    "AbstractAzureStorageDatastore": "Datastore",
    "AbstractDatastore": "Datastore",
    "AzureBlobDatastore": "Datastore",
    "AbstractDataset": "Dataset",
    "AmlCompute": "ComputeTarget",
}


def _usage_key(name: Name) -> str:
    if name.member == "__init__":
        return f"{name.cls}()"
    if not name.cls:
        return f"{name.member}()"
    own = f"{name.cls}.{name.member}"
    return own if own in _used() else f"{_COUNTED_AS.get(name.cls, name.cls)}.{name.member}"


def era_of(index: int) -> str:
    """``1.0.8`` or ``1.61``."""
    return ERAS[index]
