"""Quotas of cores: how many a workspace's clusters may have, by family of VM sizes. Pure.

As in Azure: dedicated cores count by family, low-priority ones all together. What counts is the nodes that a cluster
has; a minimum over the quota is refused at once, growth beyond it stops with an error in the cluster's status.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from localaml.domain.models import Cluster, ErrorInfo
from localaml.domain.vm_sizes import VM_SIZES, find_vm_size
from localaml.errors import FailedPrecondition, InvalidArgument

LOW_PRIORITY = "lowPriorityCores"
# Enough for whoever does not care: a quota that matters is one that was set.
DEFAULT_CORES = 10_000
_MOST_CORES = 10_000_000


@dataclass(frozen=True, slots=True)
class Usage:
    """Cores of one family: in use, and at most."""

    family: str
    cores: int
    limit: int


def families() -> list[str]:
    """All families that have a quota, in the order of `VM_SIZES`."""
    return [*dict.fromkeys(size.family for size in VM_SIZES), LOW_PRIORITY]


def find_family(name: str) -> str:
    """The family of that name, in any case. Raises InvalidArgument ``VM_FAMILY_UNKNOWN``."""
    for family in families():
        if family.lower() == name.lower():
            return family
    raise InvalidArgument(
        "VM_FAMILY_UNKNOWN",
        f"There is no family of VM sizes {name[:64]!r}. There are: {', '.join(families())}.",
        {"vm_family": name[:64]},
    )


def check_limit(cores: int) -> int:
    """Raises InvalidArgument ``QUOTA_INVALID``."""
    if not 0 <= cores <= _MOST_CORES:
        raise InvalidArgument("QUOTA_INVALID", f"A quota is a number of cores from 0 to {_MOST_CORES}, not {cores}.")
    return cores


def family_of(cluster: Cluster) -> str:
    """What a cluster's cores count for."""
    return LOW_PRIORITY if cluster.vm_priority == "lowpriority" else find_vm_size(cluster.vm_size).family


def usages(clusters: Iterable[tuple[Cluster, int]], limits: Mapping[str, int]) -> list[Usage]:
    """The usage of every family.

    Args:
        clusters: those of one workspace, each with the number of its nodes.
        limits: quotas that were set.
    """
    used = dict.fromkeys(families(), 0)
    for cluster, nodes in clusters:
        used[family_of(cluster)] += nodes * find_vm_size(cluster.vm_size).cores
    return [Usage(family, cores, limits.get(family, DEFAULT_CORES)) for family, cores in used.items()]


def check_minimum(cluster: Cluster, limits: Mapping[str, int]) -> None:
    """Checks that a cluster's minimum can ever be had.

    Raises:
        FailedPrecondition: ``QUOTA_EXCEEDED``.
    """
    size, minimum = find_vm_size(cluster.vm_size), cluster.scale.min_node_count
    limit = limits.get(family_of(cluster), DEFAULT_CORES)
    if minimum * size.cores > limit:
        raise FailedPrecondition(
            "QUOTA_EXCEEDED",
            f"ClusterMinNodesExceedCoreQuota: {minimum} nodes of {size.name} have {minimum * size.cores} cores, but "
            f"the quota of {family_of(cluster)} is {limit}. Ask for fewer nodes, or raise it with "
            "AmlCompute.update_quotas or 'localaml compute quota'.",
            {"vm_family": family_of(cluster), "limit": str(limit), "cores": str(minimum * size.cores)},
        )


def allowed(cluster: Cluster, wanted: int, usage: Usage) -> tuple[int, ErrorInfo | None]:
    """How many of the wanted nodes the quota has room for; with the error for the cluster's status when not for all.

    Args:
        usage: of the cluster's family, with all nodes that there are.
    """
    size = find_vm_size(cluster.vm_size)
    fitting = max(0, (usage.limit - usage.cores) // size.cores)
    if fitting >= wanted:
        return wanted, None
    return fitting, ErrorInfo(
        "ClusterCoreQuotaReached",
        f"Operation results in exceeding quota limits of {usage.family}. Maximum allowed: {usage.limit}, current in "
        f"use: {usage.cores}, additional requested: {wanted * size.cores}.",
        {"vm_family": usage.family, "limit": str(usage.limit), "in_use": str(usage.cores)},
    )
