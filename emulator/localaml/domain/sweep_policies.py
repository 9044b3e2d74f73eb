"""Which children are stopped early.

A report of the primary metric is one interval. A child is judged when the number of its reports has come to a multiple
of the policy's interval that is at least its delay, and against what others had reported by that number: nobody is
stopped for having begun later. As Azure documents its policies; docs/hyperdrive.md
says where a choice was left.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

from localaml.domain.sweeps import Child, Policy, PolicyKind


def due(policy: Policy, child: Child) -> list[int]:
    """At which numbers of reports a child has to be judged that it has reached and was not judged at."""
    first = max(policy.interval, -(-policy.delay // policy.interval) * policy.interval)
    after = child.judged // policy.interval * policy.interval + policy.interval
    return list(range(max(first, after), len(child.reports) + 1, policy.interval))


def reason_to_stop(
    policy: Policy, child: Child, others: Sequence[Child], interval: int, *, maximize: bool
) -> str | None:
    """Why a child is to be stopped that has made `interval` reports; None: it may go on."""
    own = child.best(maximize, interval)
    if policy.kind is PolicyKind.BANDIT:
        return _bandit(policy, own, others, interval, maximize)
    peers = [other for other in others if len(other.reports) >= interval]
    if policy.kind is PolicyKind.MEDIAN_STOPPING:
        return _median(own, [child, *peers], interval, maximize)
    return _truncation(policy, own, peers, interval, maximize)


def _bandit(policy: Policy, own: float | None, others: Sequence[Child], interval: int, maximize: bool) -> str | None:
    found = [best for other in others if (best := other.best(maximize, interval)) is not None]
    if not found:
        return None
    best = (max if maximize else min)(found)
    if own is not None:
        if not _is_better(best, own, maximize):
            return None
        lower, higher = sorted((own, best))
        # Azure's example: with a factor of 0.2, Y goes on next to a best of 0.8 when Y + 0.2 Y is at least 0.8.
        slack = abs(lower) * policy.slack_factor if policy.slack_factor is not None else policy.slack_amount or 0.0
        if math.isinf(higher - lower):
            slack = 0.0
        if lower + slack >= higher:
            return None
    allowed = f"factor {policy.slack_factor}" if policy.slack_factor is not None else f"amount {policy.slack_amount}"
    return (
        f"Bandit: at interval {interval} its best is {_shown(own)}, the best run's {best:g}, more than slack {allowed}"
    )


def _median(own: float | None, peers: Sequence[Child], interval: int, maximize: bool) -> str | None:
    averages = []
    for peer in peers:
        numbers = [value for value in peer.reports[:interval] if not math.isnan(value)]
        if numbers:
            averages.append(statistics.fmean(numbers))
    if not averages:
        return None
    median = statistics.median(averages)
    if own is not None and not _is_better(median, own, maximize):
        return None
    return (
        f"MedianStopping: at interval {interval} its best is {_shown(own)}, "
        f"the median of {len(averages)} running averages {median:g}"
    )


def _truncation(policy: Policy, own: float | None, peers: Sequence[Child], interval: int, maximize: bool) -> str | None:
    count = len(peers) + 1
    cut = count * policy.percentage // 100
    bests = [peer.best(maximize, interval) for peer in peers]
    better = sum(best is not None and (own is None or _is_better(best, own, maximize)) for best in bests)
    # Among equals nobody is the worst.
    if better < count - cut:
        return None
    return (
        f"TruncationSelection: at interval {interval} its best is {_shown(own)}, among the lowest "
        f"{policy.percentage} % of {count} runs"
    )


def _is_better(one: float, other: float, maximize: bool) -> bool:
    return one > other if maximize else one < other


def _shown(value: float | None) -> str:
    return "not a number" if value is None else f"{value:g}"
