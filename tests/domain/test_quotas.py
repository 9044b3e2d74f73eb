"""How many cores a workspace's clusters may have."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localaml.domain import quotas
from localaml.domain.models import Cluster, ScaleSettings
from localaml.domain.names import ChildName, WorkspaceName
from localaml.domain.states import ProvisioningState
from localaml.domain.vm_sizes import VM_SIZES, find_vm_size
from localaml.errors import FailedPrecondition, InvalidArgument

NOW = datetime(2026, 1, 1, tzinfo=timezone.utc)


def cluster(vm_size: str = "Standard_D2_v2", priority: str = "dedicated", low: int = 0) -> Cluster:
    name = ChildName(WorkspaceName("s", "g", "w"), "computes", "cpu")
    scale = ScaleSettings(low, 4, 60)
    return Cluster(name, "wid", vm_size, priority, scale, ProvisioningState.SUCCEEDED, NOW, NOW, NOW, NOW)


def usage(used: list[tuple[Cluster, int]], limits: dict[str, int], family: str) -> quotas.Usage:
    [found] = [each for each in quotas.usages(used, limits) if each.family == family]
    return found


def test_dedicated_cores_count_by_family_and_low_priority_ones_together() -> None:
    used = [
        (cluster("Standard_D2_v2"), 3),
        (cluster("Standard_D3_v2"), 1),
        (cluster("Standard_NC6"), 2),
        (cluster("Standard_D2_v2", "lowpriority"), 5),
        (cluster("Standard_NC6", "lowpriority"), 1),
    ]
    cores = {each.family: each.cores for each in quotas.usages(used, {})}
    assert {name: count for name, count in cores.items() if count} == {
        "standardDv2Family": 3 * 2 + 4,
        "standardNCFamily": 12,
        quotas.LOW_PRIORITY: 16,
    }
    assert set(cores) == {size.family for size in VM_SIZES} | {quotas.LOW_PRIORITY}


def test_a_minimum_over_the_quota_is_refused() -> None:
    quotas.check_minimum(cluster(low=4), {})
    quotas.check_minimum(cluster(low=2), {"standardDv2Family": 4})
    with pytest.raises(FailedPrecondition, match="ClusterMinNodesExceedCoreQuota") as caught:
        quotas.check_minimum(cluster(low=3), {"standardDv2Family": 4})
    assert caught.value.reason == "QUOTA_EXCEEDED"
    quotas.check_minimum(cluster(priority="lowpriority", low=3), {"standardDv2Family": 4})


@given(st.sampled_from(VM_SIZES), st.integers(0, 50), st.integers(0, 500), st.integers(0, 20))
def test_what_is_allowed_fits_and_no_more_would(size: object, present: int, limit: int, wanted: int) -> None:
    name = size.name  # type: ignore[attr-defined]
    made = cluster(name)
    family = quotas.family_of(made)
    now = usage([(made, present)], {family: limit}, family)
    count, error = quotas.allowed(made, wanted, now)
    cores = find_vm_size(name).cores
    assert 0 <= count <= wanted
    assert count == 0 or now.cores + count * cores <= limit
    assert (error is None) == (count == wanted)
    if error is not None:
        assert error.code == "ClusterCoreQuotaReached" and str(limit) in error.message
        assert now.cores + (count + 1) * cores > limit


def test_families_by_name() -> None:
    assert quotas.find_family("STANDARDDV2FAMILY") == "standardDv2Family"
    assert quotas.find_family("lowprioritycores") == quotas.LOW_PRIORITY
    with pytest.raises(InvalidArgument, match="standardDv2Family"):
        quotas.find_family("standardZFamily")


@pytest.mark.parametrize("cores", [-1, 10**12])
def test_a_limit_has_bounds(cores: int) -> None:
    with pytest.raises(InvalidArgument):
        quotas.check_limit(cores)
