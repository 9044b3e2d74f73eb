"""Records as proto messages."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from google.protobuf.timestamp_pb2 import Timestamp

from localaml.domain.models import (
    Datastore,
    ErrorInfo,
    Experiment,
    MetricRecord,
    Node,
    Run,
    Snapshot,
    Workspace,
)
from localaml.domain.states import AllocationState, NodeState, ProvisioningState, RunState
from localaml.errors import LocalAmlError, unreadable_record
from localaml_proto.v1 import (
    artifact_pb2,
    compute_pb2,
    datastore_pb2,
    experiment_pb2,
    metric_pb2,
    resources_pb2,
    run_definition_pb2,
    run_pb2,
    snapshot_pb2,
    workspace_pb2,
)

if TYPE_CHECKING:
    from localaml.domain.quotas import Usage
    from localaml.domain.vm_sizes import VmSize
    from localaml.jobs.cluster_status import ClusterStatus

# The stubs of enums say `int` where the messages want the enum's own type: names are good for both.
RUN_STATES: Mapping[RunState, str] = {state: f"RUN_STATE_{state.name}" for state in RunState}
_STATES_OF_RUNS = {int(run_pb2.RunState.Value(name)): state for state, name in RUN_STATES.items()}
_NODE_STATES = {state: f"NODE_STATE_{state.name}" for state in NodeState}
_PROVISIONING = {state: f"PROVISIONING_STATE_{state.name}" for state in ProvisioningState}
_ALLOCATION = {state: f"ALLOCATION_STATE_{state.name}" for state in AllocationState}


def run_state(number: run_pb2.RunState) -> RunState | None:
    """The state of a filter; None for RUN_STATE_UNSPECIFIED and for numbers that this version does not know."""
    return _STATES_OF_RUNS.get(int(number))


def timestamp(time: datetime | None) -> Timestamp | None:
    """None stays None: an unset field."""
    if time is None:
        return None
    made = Timestamp()
    made.FromDatetime(time)
    return made


def error_message(error: ErrorInfo) -> resources_pb2.ErrorDetail:
    return resources_pb2.ErrorDetail(code=error.code, message=error.message, metadata=error.metadata)


def error_record(error: resources_pb2.ErrorDetail) -> ErrorInfo:
    return ErrorInfo(error.code, error.message, dict(error.metadata))


_P = ParamSpec("_P")
_M = TypeVar("_M")


def of_record(what: str) -> Callable[[Callable[_P, _M]], Callable[_P, _M]]:
    """Of a function that makes the message of a record: what is wrong with the record is told as that.

    The function raises FailedPrecondition ``RECORD_UNREADABLE`` then.
    """

    def decorate(make: Callable[_P, _M]) -> Callable[_P, _M]:
        @functools.wraps(make)
        def made(*args: _P.args, **kwargs: _P.kwargs) -> _M:
            try:
                return make(*args, **kwargs)
            except LocalAmlError:
                raise
            except Exception as error:
                # Its values are what the store holds, and may be anything: as when the store reads them.
                raise unreadable_record(f"{type(error).__name__}: {error}", f"The {what}") from error

        return made

    return decorate


@of_record("workspace")
def workspace_message(workspace: Workspace) -> workspace_pb2.Workspace:
    return workspace_pb2.Workspace(
        name=str(workspace.name),
        workspace_id=workspace.workspace_id,
        friendly_name=workspace.friendly_name,
        description=workspace.description,
        location=workspace.location,
        sku=workspace.sku,
        tags=workspace.tags,
        create_time=timestamp(workspace.created_at),
        default_datastore=workspace.default_datastore,
    )


@of_record("experiment")
def experiment_message(experiment: Experiment) -> experiment_pb2.Experiment:
    return experiment_pb2.Experiment(
        name=str(experiment.name),
        experiment_id=experiment.experiment_id,
        description=experiment.description,
        tags=experiment.tags,
        create_time=timestamp(experiment.created_at),
        archive_time=timestamp(experiment.archived_at),
    )


@of_record("datastore")
def datastore_message(datastore: Datastore, *, is_default: bool) -> datastore_pb2.Datastore:
    """Without the secret."""
    return datastore_pb2.Datastore(
        name=str(datastore.name),
        datastore_type=datastore.datastore_type,
        account_name=datastore.account_name,
        container_name=datastore.container_name,
        protocol=datastore.protocol,
        endpoint=datastore.endpoint,
        is_default=is_default,
        create_time=timestamp(datastore.created_at),
        credential_type=datastore.credential_type,
        settings=datastore.settings,
    )


@of_record("compute target")
def cluster_message(status: ClusterStatus) -> compute_pb2.ComputeTarget:
    cluster = status.cluster
    counts = {state.value: 0 for state in NodeState}
    for node in status.nodes:
        counts[node.state.value] += 1
    return compute_pb2.ComputeTarget(
        name=str(cluster.name),
        compute_type="AmlCompute",
        vm_size=cluster.vm_size,
        vm_priority=cluster.vm_priority,
        scale_settings=compute_pb2.ScaleSettings(
            min_node_count=cluster.scale.min_node_count,
            max_node_count=cluster.scale.max_node_count,
            idle_seconds_before_scaledown=cluster.scale.idle_seconds_before_scaledown,
        ),
        provisioning_state=_PROVISIONING[cluster.provisioning_state],
        allocation_state=_ALLOCATION[status.allocation_state],
        current_node_count=status.current_node_count,
        target_node_count=status.target_node_count,
        node_state_counts=compute_pb2.NodeStateCounts(**counts),
        create_time=timestamp(cluster.created_at),
        update_time=timestamp(cluster.updated_at),
        allocation_state_transition_time=timestamp(cluster.allocation_state_changed_at),
        provisioning_state_transition_time=timestamp(cluster.provisioning_state_changed_at),
        errors=[error_message(error) for error in cluster.errors],
        tags=cluster.tags,
        description=cluster.description,
    )


@of_record("node")
def node_message(node: Node, note: str = "") -> compute_pb2.Node:
    return compute_pb2.Node(
        node_id=node.node_id,
        state=_NODE_STATES[node.state],
        run_id=node.run_id or "",
        host_name=node.host_name,
        create_time=timestamp(node.created_at),
        state_transition_time=timestamp(node.state_changed_at),
        note=note,
    )


def vm_size_message(size: VmSize) -> compute_pb2.VmSize:
    return compute_pb2.VmSize(
        name=size.name,
        family=size.family,
        cores=size.cores,
        gpus=size.gpus,
        memory_gb=size.memory_gb,
        max_resource_volume_mb=size.disk_mb,
    )


def quota_message(usage: Usage) -> compute_pb2.Quota:
    return compute_pb2.Quota(vm_family=usage.family, cores_in_use=usage.cores, core_limit=usage.limit)


@of_record("run")
def run_message(run: Run) -> run_pb2.Run:
    definition = run_definition_pb2.RunDefinition.FromString(run.definition) if run.definition else None
    if definition is not None:
        # What an older version let in, or a newer one has stored, means nothing here, and can be nested without end.
        definition.DiscardUnknownFields()
    return run_pb2.Run(
        name=str(run.name),
        run_id=run.run_id,
        number=run.number,
        display_name=run.display_name,
        description=run.description,
        run_type=run.run_type,
        state=RUN_STATES[run.state],
        create_time=timestamp(run.created_at),
        start_time=timestamp(run.started_at),
        end_time=timestamp(run.ended_at),
        tags=run.tags,
        properties=run.properties,
        parent_run_id=run.parent_run_id or "",
        root_run_id=run.root_run_id or run.run_id,
        target=run.target,
        error=error_message(run.error) if run.error is not None else None,
        warnings=[error_message(warning) for warning in run.warnings],
        definition=definition,
        snapshot_id=run.snapshot_id,
        node_ids=run.node_ids,
        state_changes=[
            run_pb2.RunStateChange(state=RUN_STATES[change.state], time=timestamp(change.at), cause=change.cause)
            for change in run.state_changes
        ],
        submitted=run.submitted,
        attempt=run.attempt,
    )


@of_record("artifact")
def artifact_message(path: str, size_bytes: int, created_at: datetime) -> artifact_pb2.Artifact:
    return artifact_pb2.Artifact(path=path, size_bytes=size_bytes, create_time=timestamp(created_at))


@of_record("snapshot")
def snapshot_message(snapshot: Snapshot) -> snapshot_pb2.Snapshot:
    return snapshot_pb2.Snapshot(
        snapshot_id=snapshot.snapshot_id,
        create_time=timestamp(snapshot.created_at),
        size_bytes=snapshot.size_bytes,
        file_count=len(snapshot.entries),
    )


def signed_url(path: str, signed: tuple[str, int], size_bytes: int | None = None) -> resources_pb2.SignedUrl:
    """`signed` is what `UrlSigner.sign` gave."""
    return resources_pb2.SignedUrl(path=path, url=signed[0], expire_time_seconds=signed[1], size_bytes=size_bytes)


def metric_series(records: Sequence[MetricRecord]) -> Iterable[metric_pb2.MetricSeries]:
    """Consecutive records of one metric as one series each; a step that is missing begins a new series, too."""
    start = 0
    for end in range(1, len(records) + 1):
        first = records[start]
        if end < len(records):
            record = records[end]
            if (
                record.name == first.name
                and record.metric_type == first.metric_type
                and record.description == first.description
                and (record.step is None) == (first.step is None)
            ):
                continue
        part = records[start:end]
        yield metric_pb2.MetricSeries(
            name=first.name,
            type=metric_pb2.MetricType.Name(first.metric_type),
            values_json=[record.value_json for record in part],
            times_micros=[record.time_micros for record in part],
            steps=[record.step for record in part if record.step is not None],
            description=first.description,
        )
        start = end
