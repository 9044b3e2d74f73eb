"""What faults say: the errors that callers, clusters and runs get to see, in the words that Azure has for them."""

from __future__ import annotations

from localaml.domain.faults import FaultKind, FaultRule
from localaml.domain.models import Cluster
from localaml.errors import (
    AlreadyExists,
    FailedPrecondition,
    Internal,
    InvalidArgument,
    LocalAmlError,
    NotFound,
    PermissionDenied,
    ResourceExhausted,
    Unauthenticated,
    Unavailable,
    Unimplemented,
    disk_full,
)

_BY_CODE: dict[str, type[LocalAmlError]] = {
    kind.grpc_code: kind
    for kind in (
        AlreadyExists,
        FailedPrecondition,
        Internal,
        InvalidArgument,
        NotFound,
        PermissionDenied,
        ResourceExhausted,
        Unauthenticated,
        Unavailable,
        Unimplemented,
    )
}


def error_of(rule: FaultRule, cluster: Cluster | None = None) -> LocalAmlError:
    """The error of a rule that strikes. Its metadata names the fault; ``retry_after`` are seconds."""
    fault = {"fault_id": rule.fault_id}
    where = f" of {cluster.name.name!r}" if cluster is not None else ""
    size = cluster.vm_size if cluster is not None else "this VM size"
    match rule.kind:
        case FaultKind.ERROR:
            reason = rule.effect.reason or "INJECTED_FAULT"
            message = rule.effect.message or f"This failed on purpose (fault {rule.fault_id})."
            return _BY_CODE[rule.effect.code](reason, message, fault)
        case FaultKind.THROTTLE:
            message = rule.effect.message or "Too many requests. Call again later."
            facts = {**fault, "retry_after": f"{rule.effect.retry_after_seconds:g}"}
            return ResourceExhausted("THROTTLED", message, facts)
        case FaultKind.DISK_FULL:
            error = disk_full()
            error.metadata.update(fault)
            return error
        case FaultKind.DATASTORE_UNREACHABLE:
            return Unavailable("DATASTORE_UNREACHABLE", "The datastore cannot be reached. Try again later.", fault)
        case FaultKind.PROVISIONING_FAILED:
            text = f"AllocationFailed: a node{where} could not be provisioned. Try again later."
            return Unavailable("PROVISIONING_FAILED", text, {**fault, "azure_code": "AllocationFailed"})
        case FaultKind.OUT_OF_QUOTA:
            text = (
                f"ClusterCoreQuotaReached: operation results in exceeding quota limits of Core. The nodes{where} need "
                "more cores than are left."
            )
            return FailedPrecondition("QUOTA_EXCEEDED", text, {**fault, "azure_code": "ClusterCoreQuotaReached"})
        case FaultKind.SKU_NOT_AVAILABLE:
            text = f"SkuNotAvailable: the VM size {size} is not available in this region. Choose another one."
            return FailedPrecondition("SKU_NOT_AVAILABLE", text, {**fault, "azure_code": "SkuNotAvailable"})
        case FaultKind.IMAGE_BUILD_FAILED:
            text = "The build of the run's image failed: see azureml-logs/20_image_build_log.txt."
            return FailedPrecondition("IMAGE_BUILD_FAILED", text, fault)
        case _:
            raise ValueError(f"{rule.kind.value} is no error")
