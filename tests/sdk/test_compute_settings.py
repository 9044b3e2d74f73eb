"""Settings and status of clusters, without an emulator."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

import pytest

from azureml.core.compute import AmlCompute, ComputeTarget, ComputeTargetException
from azureml.core.compute.amlcompute import AmlComputeNodeStateCounts, AmlComputeStatus, ScaleSettings
from azureml.exceptions import UserErrorException


def test_numbers_may_be_text() -> None:
    """Notebooks pass them from environment variables."""
    config = AmlCompute.provisioning_configuration(
        vm_size="STANDARD_D2_V2", min_nodes="1", max_nodes="4", idle_seconds_before_scaledown="120"
    )
    assert vars(config.scale_settings) == {
        "minimum_node_count": 1,
        "maximum_node_count": 4,
        "idle_seconds_before_scaledown": 120,
    }


def test_defaults() -> None:
    config = AmlCompute.provisioning_configuration(max_nodes=1)
    assert config.scale_settings.serialize() == {
        "minNodeCount": 0,
        "maxNodeCount": 1,
        "nodeIdleTimeBeforeScaleDown": "PT1800S",
    }
    assert config.vm_priority == "dedicated"
    none = AmlCompute.provisioning_configuration(max_nodes=1, idle_seconds_before_scaledown=None)
    assert none.scale_settings.idle_seconds_before_scaledown == 1800


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({}, "max_nodes is missing"),
        ({"max_nodes": 0}, "1 or more"),
        ({"max_nodes": 1, "min_nodes": 2}, "less than min_nodes"),
        ({"max_nodes": "many"}, "whole number"),
        ({"max_nodes": 1.5}, "whole number"),
        ({"max_nodes": True}, "whole number"),
        ({"max_nodes": 1, "min_nodes": -1}, "whole number"),
        ({"max_nodes": 1, "vm_priority": "cheap"}, "'cheap'"),
        ({"max_nodes": 1, "vnet_name": "v"}, "virtual network"),
        ({"max_nodes": 1, "tags": ["x"]}, "tags"),
    ],
)
def test_settings_that_do_not_fit_are_refused(settings: dict[str, Any], text: str) -> None:
    with pytest.raises(ComputeTargetException, match=text):
        AmlCompute.provisioning_configuration(vm_size="STANDARD_D2_V2", **settings)


def test_a_bad_idle_time_is_a_user_error() -> None:
    with pytest.raises(UserErrorException, match="seconds"):
        AmlCompute.provisioning_configuration(max_nodes=1, idle_seconds_before_scaledown=-1)


def test_the_status_has_the_recorded_keys() -> None:
    now = datetime(2019, 2, 20, 12, tzinfo=timezone.utc)
    status = AmlComputeStatus(
        "Steady", now, now, 2, None, now, AmlComputeNodeStateCounts(idle_node_count=2), "Succeeded", now,
        ScaleSettings(0, 4, 1800), 2, "Dedicated", "STANDARD_D2_V2",
    )  # fmt: skip
    form = status.serialize()
    assert form == {
        "currentNodeCount": 2,
        "targetNodeCount": 2,
        "nodeStateCounts": {
            "preparingNodeCount": 0, "runningNodeCount": 0, "idleNodeCount": 2, "unusableNodeCount": 0,
            "leavingNodeCount": 0, "preemptedNodeCount": 0,
        },
        "allocationState": "Steady",
        "allocationStateTransitionTime": "2019-02-20T12:00:00+00:00",
        "errors": None,
        "creationTime": "2019-02-20T12:00:00+00:00",
        "modifiedTime": "2019-02-20T12:00:00+00:00",
        "provisioningState": "Succeeded",
        "provisioningStateTransitionTime": "2019-02-20T12:00:00+00:00",
        "scaleSettings": {"minNodeCount": 0, "maxNodeCount": 4, "nodeIdleTimeBeforeScaleDown": "PT1800S"},
        "vmPriority": "Dedicated",
        "vmSize": "STANDARD_D2_V2",
    }  # fmt: skip
    again = AmlComputeStatus.deserialize(form)
    assert again is not None
    assert again.serialize() == form


@pytest.mark.parametrize(("text", "seconds"), [("PT1800S", 1800), ("PT30M", 1800), ("PT1H5S", 3605), ("P1D", 86400)])
def test_durations_are_read_in_all_forms(text: str, seconds: int) -> None:
    settings = ScaleSettings.deserialize({"maxNodeCount": 1, "nodeIdleTimeBeforeScaleDown": text})
    assert settings is not None
    assert settings.idle_seconds_before_scaledown == seconds


def test_attach_and_wrong_configurations_are_refused_by_name() -> None:
    workspace: Any = None  # nothing here asks it

    class RemoteComputeAttachConfiguration:
        pass

    with pytest.raises(UserErrorException, match="RemoteComputeAttachConfiguration"):
        ComputeTarget.attach(workspace, "vm", RemoteComputeAttachConfiguration())
    with pytest.raises(UserErrorException, match="provisioning configuration"):
        ComputeTarget.create(workspace, "vm", object())
    with pytest.raises(ImportError, match="AksCompute"):
        from azureml.core.compute import AksCompute  # type: ignore[attr-defined]  # noqa: F401  # that is the test
