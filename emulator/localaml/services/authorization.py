"""Which caller may do what: one rule per rpc, kept around the servicers so that none can be forgotten.

The owner of the state dir may do everything. A run (its processes show its token) may

    read    its workspace, its experiment and the runs in it, its workspace's datastores with their data, datasets,
            models and environments, secrets that it can name, its snapshot
    write   to itself and to the runs below it; data into datastores, but not into the place of other runs' artifacts;
            to models that it, or a run below it, has registered
    make    runs below itself, or in its own experiment; datasets and models, and new versions of them

and nothing else: no compute targets, no settings of shared resources, nothing of other experiments or workspaces,
nothing of the admin service.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from google.protobuf import descriptor_pool

from localaml.domain.models import Run, RunKey
from localaml.domain.names import (
    ChildName,
    RunName,
    WorkspaceName,
    check_relative_path,
    parse_child,
    parse_run,
    parse_workspace,
)
from localaml.errors import PermissionDenied
from localaml.paths import ARTIFACTS, is_for_artifacts
from localaml.services.rpc import Caller, snake_case

if TYPE_CHECKING:
    from localaml.store import Store


class _Scope:
    """What one run may do. Its methods raise PermissionDenied, or InvalidArgument for a name that is none."""

    def __init__(self, store: Store, own: RunKey) -> None:
        self._store = store
        self._own = own

    def refuse(self, what: str) -> PermissionDenied:
        return PermissionDenied(
            "RUN_TOKEN_NOT_ALLOWED",
            f"The token of run {self._own.run_id!r} is not good for {what}. Do this from outside the job.",
            {"run_id": self._own.run_id},
        )

    def workspace(self, name: WorkspaceName) -> None:
        """It is the run's own workspace."""
        found = self._store.workspaces.find(name)
        if found is None or found.workspace_id != self._own.workspace_id:
            raise self.refuse("another workspace")

    def experiment(self, name: ChildName | RunName, experiment: str) -> None:
        """It is the run's own experiment."""
        self.workspace(name.workspace)
        if experiment != self._store.runs.get(self._own).name.experiment:
            raise self.refuse("another experiment")

    def descends(self, run_id: str) -> bool:
        """Whether a run is the run itself or below it."""
        seen: set[str] = set()
        current: str | None = run_id
        while current is not None and current not in seen:
            if current == self._own.run_id:
                return True
            seen.add(current)
            run = self._store.runs.find(RunKey(self._own.workspace_id, current))
            current = run.parent_run_id if run is not None else None
        return False

    def find(self, name: RunName) -> Run | None:
        self.workspace(name.workspace)
        return self._store.runs.find(RunKey(self._own.workspace_id, name.run_id))

    def read_run(self, name: RunName) -> None:
        """It is in the run's experiment, or below the run."""
        run = self.find(name)
        if run is None:
            # Of a missing run nothing can be read; in its own workspace the caller may learn that it is missing.
            return
        if run.name.experiment != self._store.runs.get(self._own).name.experiment and not self.descends(run.run_id):
            raise self.refuse("reading runs of another experiment")

    def write_run(self, name: RunName) -> None:
        """It is the run itself, or below it."""
        if self.find(name) is not None and not self.descends(name.run_id):
            raise self.refuse("changing another run")

    def write_files(self, datastore: str, paths: Iterable[str]) -> None:
        """None of them is where artifacts of runs are."""
        found = self._store.datastores.get(self._own.workspace_id, datastore)
        for path in paths:
            if is_for_artifacts(found.account_name, found.container_name, check_relative_path(path)):
                raise self.refuse(f"writing to {ARTIFACTS!r} of a datastore, where artifacts of runs are")

    def snapshot(self, snapshot_id: str) -> None:
        """It is what the run was made from."""
        if snapshot_id != self._store.runs.get(self._own).snapshot_id:
            raise self.refuse("other snapshots than its own")

    def write_model(self, name: ChildName, version: int) -> None:
        """It, or a run below it, has registered this version."""
        self.workspace(name.workspace)
        found = self._store.assets.find(self._own.workspace_id, "model", name.name, version or None)
        if found is not None and not self.descends(str(found.payload.get("registered_by", ""))):
            raise self.refuse("changing a model that it has not registered")

    def make_run(self, parent: str, parent_run_id: str) -> None:
        """It is to be below the run, or in the run's experiment and below none."""
        name = parse_child(parent, "experiments")
        self.experiment(name, name.name)
        if parent_run_id and not self.descends(parent_run_id):
            raise self.refuse("making runs below another run")


Rule = Callable[[_Scope, Any], None]


def _owner_only(scope: _Scope, request: Any) -> None:
    raise scope.refuse(f"{type(request).__name__.removesuffix('Request')}")


def _workspace(scope: _Scope, request: Any) -> None:
    scope.workspace(parse_workspace(request.name))


def _in_workspace(scope: _Scope, request: Any) -> None:
    scope.workspace(parse_workspace(request.parent))


def _datastore(scope: _Scope, request: Any) -> None:
    scope.workspace(parse_child(request.name, "datastores").workspace)


def _write_datastore(scope: _Scope, request: Any) -> None:
    _datastore(scope, request)
    scope.write_files(parse_child(request.name, "datastores").name, request.paths)


def _create_experiment(scope: _Scope, request: Any) -> None:
    workspace = parse_workspace(request.parent)
    scope.experiment(ChildName(workspace, "experiments", request.experiment_name), request.experiment_name)


def _experiment(scope: _Scope, request: Any) -> None:
    name = parse_child(request.name, "experiments")
    scope.experiment(name, name.name)


def _list_runs(scope: _Scope, request: Any) -> None:
    name = parse_child(request.parent, "experiments")
    if request.parent_run_id and scope.descends(request.parent_run_id):
        scope.workspace(name.workspace)
    else:
        scope.experiment(name, name.name)


def _make_run(scope: _Scope, request: Any) -> None:
    scope.make_run(request.parent, request.parent_run_id)


def _read_run(scope: _Scope, request: Any) -> None:
    scope.read_run(parse_run(request.name))


def _write_run(scope: _Scope, request: Any) -> None:
    scope.write_run(parse_run(request.name))


def _read_below_run(scope: _Scope, request: Any) -> None:
    scope.read_run(parse_run(request.parent))


def _write_below_run(scope: _Scope, request: Any) -> None:
    scope.write_run(parse_run(request.parent))


def _snapshot(scope: _Scope, request: Any) -> None:
    _in_workspace(scope, request)
    scope.snapshot(request.snapshot_id)


def _register_model(scope: _Scope, request: Any) -> None:
    workspace = parse_workspace(request.parent)
    scope.workspace(workspace)
    if request.run_id:
        scope.read_run(RunName(workspace, "-", request.run_id))


def _model(scope: _Scope, request: Any) -> None:
    scope.workspace(parse_child(request.name, "models").workspace)


def _write_model(scope: _Scope, request: Any) -> None:
    scope.write_model(parse_child(request.name, "models"), request.version)


def _environment(scope: _Scope, request: Any) -> None:
    scope.workspace(parse_child(request.name, "environments").workspace)


def _secret(scope: _Scope, request: Any) -> None:
    scope.workspace(parse_child(request.name, "secrets").workspace)


_V1 = "localaml.v1."

RULES: Mapping[str, Rule] = {
    f"{_V1}WorkspaceService/CreateWorkspace": _owner_only,
    f"{_V1}WorkspaceService/GetWorkspace": _workspace,
    f"{_V1}WorkspaceService/ListWorkspaces": _owner_only,
    f"{_V1}WorkspaceService/UpdateWorkspace": _owner_only,
    f"{_V1}WorkspaceService/DeleteWorkspace": _owner_only,
    f"{_V1}ComputeService/CreateComputeTarget": _owner_only,
    f"{_V1}ComputeService/GetComputeTarget": _owner_only,
    f"{_V1}ComputeService/ListComputeTargets": _owner_only,
    f"{_V1}ComputeService/WatchComputeTarget": _owner_only,
    f"{_V1}ComputeService/UpdateComputeTarget": _owner_only,
    f"{_V1}ComputeService/DeleteComputeTarget": _owner_only,
    f"{_V1}ComputeService/ListNodes": _owner_only,
    f"{_V1}ComputeService/ListVmSizes": _owner_only,
    f"{_V1}ComputeService/ListQuotas": _owner_only,
    f"{_V1}ComputeService/UpdateQuota": _owner_only,
    f"{_V1}DatastoreService/RegisterDatastore": _owner_only,
    f"{_V1}DatastoreService/GetDatastore": _datastore,
    f"{_V1}DatastoreService/ListDatastores": _in_workspace,
    f"{_V1}DatastoreService/UnregisterDatastore": _owner_only,
    f"{_V1}DatastoreService/ListDatastoreFiles": _datastore,
    f"{_V1}DatastoreService/CreateDatastoreUploadUrls": _write_datastore,
    f"{_V1}DatastoreService/CreateDatastoreDownloadUrls": _datastore,
    # A job may leave what it has made as a dataset. What others rely on it can add a version to, and not take away.
    f"{_V1}DatasetService/RegisterDataset": _in_workspace,
    f"{_V1}DatasetService/GetDataset": _in_workspace,
    f"{_V1}DatasetService/ListDatasets": _in_workspace,
    f"{_V1}DatasetService/UpdateDataset": _owner_only,
    f"{_V1}DatasetService/UnregisterDataset": _owner_only,
    f"{_V1}DatasetService/ListDatasetFiles": _in_workspace,
    f"{_V1}ExperimentService/CreateExperiment": _create_experiment,
    f"{_V1}ExperimentService/GetExperiment": _experiment,
    f"{_V1}ExperimentService/ListExperiments": _owner_only,
    f"{_V1}ExperimentService/UpdateExperiment": _owner_only,
    f"{_V1}ExperimentService/DeleteExperiment": _owner_only,
    f"{_V1}RunService/SubmitRun": _make_run,
    f"{_V1}RunService/CreateRun": _make_run,
    f"{_V1}RunService/GetRun": _read_run,
    f"{_V1}RunService/ListRuns": _list_runs,
    f"{_V1}RunService/WatchRun": _read_run,
    f"{_V1}RunService/CancelRun": _write_run,
    f"{_V1}RunService/CompleteRun": _write_run,
    f"{_V1}RunService/FailRun": _write_run,
    f"{_V1}RunService/UpdateRun": _write_run,
    f"{_V1}RunService/ListRunLogs": _read_run,
    f"{_V1}RunService/ReadRunLog": _read_run,
    f"{_V1}MetricService/LogMetrics": _write_below_run,
    f"{_V1}MetricService/ListMetrics": _read_below_run,
    f"{_V1}ArtifactService/ListArtifacts": _read_below_run,
    f"{_V1}ArtifactService/CreateArtifactUploadUrls": _write_below_run,
    f"{_V1}ArtifactService/CreateArtifactDownloadUrls": _read_below_run,
    f"{_V1}SnapshotService/CreateSnapshot": _in_workspace,
    f"{_V1}SnapshotService/GetSnapshot": _snapshot,
    f"{_V1}ModelService/RegisterModel": _register_model,
    f"{_V1}ModelService/CreateModelUploadUrls": _in_workspace,
    f"{_V1}ModelService/GetModel": _model,
    f"{_V1}ModelService/ListModels": _in_workspace,
    f"{_V1}ModelService/UpdateModel": _write_model,
    f"{_V1}ModelService/DeleteModel": _owner_only,
    f"{_V1}ModelService/CreateModelDownloadUrls": _model,
    f"{_V1}EnvironmentService/RegisterEnvironment": _owner_only,
    f"{_V1}EnvironmentService/GetEnvironment": _environment,
    f"{_V1}EnvironmentService/ListEnvironments": _in_workspace,
    f"{_V1}EnvironmentService/LabelEnvironment": _owner_only,
    f"{_V1}EnvironmentService/BuildEnvironment": _owner_only,
    f"{_V1}SecretService/SetSecret": _owner_only,
    f"{_V1}SecretService/GetSecret": _secret,
    f"{_V1}SecretService/ListSecrets": _owner_only,
    f"{_V1}SecretService/DeleteSecret": _owner_only,
    "localaml.admin.v1.AdminService/GetInfo": _owner_only,
    "localaml.admin.v1.AdminService/Shutdown": _owner_only,
    "localaml.admin.v1.AdminService/Reset": _owner_only,
    "localaml.admin.v1.FaultService/AddFault": _owner_only,
    "localaml.admin.v1.FaultService/ListFaults": _owner_only,
    "localaml.admin.v1.FaultService/ClearFaults": _owner_only,
    "localaml.admin.v1.EventService/ListEvents": _owner_only,
    "localaml.admin.v1.EventService/WatchEvents": _owner_only,
    "localaml.admin.v1.StateService/SaveState": _owner_only,
    "localaml.admin.v1.StateService/LoadState": _owner_only,
    "localaml.admin.v1.AdminService/GetClock": _owner_only,
    "localaml.admin.v1.AdminService/AdvanceClock": _owner_only,
    "localaml.admin.v1.AdminService/CountCalls": _owner_only,
}
"""What a run's token is good for, by rpc. The owner's is good for all."""


def authorize(store: Store, method: str, request: Any, caller: Caller) -> None:
    """Returns when the caller may do this.

    Args:
        method: `package.Service/Method`.

    Raises:
        PermissionDenied: ``RUN_TOKEN_NOT_ALLOWED``.
        InvalidArgument: the request names no resource.
    """
    if caller.is_owner:
        return
    if caller.run is None:
        raise PermissionDenied("CALLER_UNKNOWN", "This call needs a token: of the emulator's owner, or of a run.")
    RULES[method](_Scope(store, caller.run), request)


class Guarded:
    """A servicer whose rpcs answer authorised callers only.

    Raises KeyError when an rpc has no rule, AttributeError when the servicer has no method for it.
    """

    def __init__(self, servicer: Any, store: Store) -> None:
        self.SERVICE: str = servicer.SERVICE
        for method in descriptor_pool.Default().FindServiceByName(self.SERVICE).methods:
            path = f"{self.SERVICE}/{method.name}"
            _ = RULES[path]
            name = snake_case(method.name)
            guard = _guarded_stream if method.server_streaming else _guarded
            setattr(self, name, guard(getattr(servicer, name), store, path))

    def __getattr__(self, name: str) -> Any:
        # The methods are set one by one above; this tells type checkers so.
        raise AttributeError(f"{self.SERVICE} has no method {name!r}")


def _guarded(
    answer: Callable[[Any, Caller], Awaitable[Any]], store: Store, path: str
) -> Callable[[Any, Caller], Awaitable[Any]]:
    async def call(request: Any, caller: Caller) -> Any:
        authorize(store, path, request, caller)
        return await answer(request, caller)

    return call


def _guarded_stream(
    answers: Callable[[Any, Caller], AsyncGenerator[Any, None]], store: Store, path: str
) -> Callable[[Any, Caller], AsyncGenerator[Any, None]]:
    async def stream(request: Any, caller: Caller) -> AsyncGenerator[Any, None]:
        authorize(store, path, request, caller)
        async with aclosing(answers(request, caller)) as messages:
            async for message in messages:
                yield message

    return stream
