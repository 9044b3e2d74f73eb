"""Quotas of cores, in the dicts that Azure's resource provider answers with.

Keys as observed on azureml-core 1.61, which hands the provider's answers on as they are.
"""

from typing import TYPE_CHECKING, Any, Dict, List, Optional, Sequence, Union

from azureml.exceptions import AzureMLException, ComputeTargetException

if TYPE_CHECKING:
    from azureml.core.workspace import Workspace

_LOW_PRIORITY = "lowPriorityCores"


class AmlComputeQuotas:
    """The part of `AmlCompute` that deals with quotas. They are a workspace's own; its region does not matter."""

    @staticmethod
    def list_usages(workspace: "Workspace", show_all: bool = False, location: Optional[str] = None) -> List[Any]:
        """Cores in use and the limit, by family of VM sizes.

        Args:
            show_all: also the families of which nothing is in use.
        """
        return [
            {
                **_common(workspace, quota, "usages"),
                "currentValue": quota.get("coresInUse", 0),
                "limit": quota.get("coreLimit", 0),
            }
            for quota in _quotas(workspace)
            if show_all or quota.get("coresInUse")
        ]

    @staticmethod
    def list_quotas(workspace: "Workspace", location: Optional[str] = None) -> List[Any]:
        """The limits, by family of VM sizes."""
        return [
            {**_common(workspace, quota, "quotas"), "limit": quota.get("coreLimit", 0)} for quota in _quotas(workspace)
        ]

    @staticmethod
    def update_quotas(
        workspace: "Workspace",
        vm_family: Union[str, Sequence[str]],
        limit: Union[int, Sequence[int], None] = None,
        location: Optional[str] = None,
    ) -> List[Any]:
        """Sets the limit of one family, or of several with a limit each.

        Returns:
            The limits of all families then.

        Raises:
            ComputeTargetException: no such family, or no limit for each.
        """
        families = [vm_family] if isinstance(vm_family, str) else list(vm_family)
        limits = [limit] if isinstance(limit, int) or limit is None else list(limit)
        if len(limits) != len(families) or not all(isinstance(each, int) and each >= 0 for each in limits):
            raise ComputeTargetException("update_quotas needs a limit (a number of cores) for each vm_family.")
        for family, cores in zip(families, limits):
            request = {"parent": workspace._resource_name, "vmFamily": str(family), "coreLimit": cores}
            try:
                workspace._client.call("ComputeService", "UpdateQuota", request)
            except AzureMLException as error:
                if error.grpc_code != "INVALID_ARGUMENT":
                    raise
                raise ComputeTargetException(error.message, inner_exception=error) from None
        return AmlComputeQuotas.list_quotas(workspace)


def _quotas(workspace: "Workspace") -> List[Dict[str, Any]]:
    answer = workspace._client.call("ComputeService", "ListQuotas", {"parent": workspace._resource_name})
    return list(answer.get("quotas") or ())


def _common(workspace: "Workspace", quota: Dict[str, Any], what: str) -> Dict[str, Any]:
    family = quota["vmFamily"]
    is_low_priority = family == _LOW_PRIORITY
    kind = "lowPriorityCores" if is_low_priority else "dedicatedCores"
    return {
        "id": "{}/{}/{}".format(workspace._arm_id, what, family),
        "type": "Microsoft.MachineLearningServices/workspaces/{}/{}".format(kind, what),
        "unit": "Count",
        "name": {
            "value": family,
            "localizedValue": "Low-priority vCPUs"
            if is_low_priority
            else "{} Cluster Dedicated vCPUs".format(family.replace("Family", " Family")),
        },
    }
