"""The table at the end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from statistics import median

from campaigns.kills.checks import Finding
from campaigns.kills.checks.runs import RunCheck
from campaigns.kills.killer import Killer
from campaigns.kills.ledger import Ledger

_MOST_SHOWN = 40


def show(
    killer: Killer, ledger: Ledger, runs: RunCheck | None, findings: Sequence[Finding], seconds: float, folder: str
) -> None:
    """Prints what was done and found."""
    lines = [
        ("seconds", f"{seconds:.0f}"),
        ("kills", f"{killer.kills.total()}: {_counts(killer.kills)}"),
        ("orderly stops", str(killer.orderly_stops)),
        ("states of runs at kills", _counts(killer.states)),
        ("start until it serves", _spread(killer.starts)),
        ("calls of clients", _counts(ledger.calls)),
    ]
    if runs is not None:
        lines += [
            ("runs by end", f"{runs.ends.total()}: {_counts(runs.ends)}"),
            ("compared", f"{runs.files} files, {runs.lines} lines of logs, {runs.values} values of metrics"),
        ]
    kinds = Counter(finding.kind for finding in findings)
    for kind in ("lost", "wrong", "stuck", "orphan", "leftover", "damaged", "unexpected"):
        lines.append((kind, str(kinds[kind])))
    width = max(len(name) for name, _ in lines)
    for name, text in lines:
        print(f"{name:<{width}}  {text}")
    for finding in findings[:_MOST_SHOWN]:
        print(f"{finding.kind.upper()}: {finding.text}")
    if len(findings) > _MOST_SHOWN:
        print(f"... and {len(findings) - _MOST_SHOWN} more, all in {folder}/findings.txt")
    print(f"kept for a look: {folder}" if findings else "Nothing was lost, nothing was left.", flush=True)


def _counts(counter: Iterable[str] | Counter[str]) -> str:
    return ", ".join(f"{name} {count}" for name, count in Counter(counter).most_common()) or "none"


def _spread(seconds: Sequence[float]) -> str:
    if not seconds:
        return "-"
    return f"median {median(seconds):.2f} s, most {max(seconds):.2f} s"
