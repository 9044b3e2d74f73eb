"""Answers for runs."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import replace

from localaml.domain.models import ErrorInfo, Run, RunKey, Workspace
from localaml.domain.names import RunName, check_name, parse_child
from localaml.domain.node_folders import check_absolute_paths
from localaml.domain.run_lifecycle import RunEvent
from localaml.domain.states import RunState
from localaml.errors import AlreadyExists, FailedPrecondition, InvalidArgument, NotFound
from localaml.jobs.children import performed_by
from localaml.jobs.early_ends import was_failed_by_caller
from localaml.jobs.run_book import RunBook
from localaml.jobs.targets import check_target, runs_in_containers
from localaml.paths import StatePaths
from localaml.services.container_definition import sealed_password
from localaml.services.context import ServiceContext
from localaml.services.definition import check_definition, run_target
from localaml.services.experiments import ensure_experiment
from localaml.services.labels import check_labels, merged_labels
from localaml.services.messages import error_record, run_message, run_state
from localaml.services.paging import decode_number, fill_page, items_of, page_size
from localaml.services.python_definition import check_package_sources
from localaml.services.rpc import Caller
from localaml.services.run_logs import RunLogs
from localaml.services.sweep_definition import as_sweep, check_sweep
from localaml.store import RunFilter
from localaml_proto.v1 import run_pb2

SCRIPT_RUN = "azureml.scriptrun"
# So that a run id made from it stays within the limit of run ids.
_MAX_EXPERIMENT_IN_RUN_ID = 200


class RunService:
    """`localaml.v1.RunService`."""

    SERVICE = "localaml.v1.RunService"

    def __init__(self, context: ServiceContext) -> None:
        self._context = context
        self._logs = RunLogs(context)

    # -- making runs --------------------------------------------------------------------------------------------------

    async def submit_run(self, request: run_pb2.SubmitRunRequest, caller: Caller) -> run_pb2.Run:
        context = self._context
        workspace, experiment = self._parent(request.parent)
        workspace_id = workspace.workspace_id
        checked = check_definition(
            request.definition,
            store=context.store,
            workspace_id=workspace_id,
            snapshot_id=request.snapshot_id,
            docker_has_effect=runs_in_containers(
                context.runtime, context.store, workspace_id, run_target(request.definition)
            ),
        )
        check_absolute_paths(checked.spec, StatePaths(context.settings.state_dir).runs)
        await check_package_sources(
            checked.spec.environment,
            context.settings.environments.allowed_package_folders,
            by_job=not caller.is_owner,
        )
        is_sweep = request.definition.HasField("sweep")
        if is_sweep:
            check_sweep(request.definition)
        properties = {"azureml.runsource": "experiment", **request.properties}
        run = self._new_run(
            workspace,
            experiment,
            run_id=request.run_id or (f"HD_{context.identifiers.guid()}" if is_sweep else ""),
            parent_run_id=request.parent_run_id,
            snapshot_id=request.snapshot_id,
            tags=request.tags,
            properties=properties,
            request_id=request.request_id,
        )
        run = replace(
            run,
            run_type=request.run_type or SCRIPT_RUN,
            submitted=True,
            target=checked.target,
            warnings=checked.warnings,
            definition=checked.stored,
            execution=sealed_password(request.definition, run.key, context.sealer),
        )
        if is_sweep:
            run = as_sweep(run)
        if (existing := self._same_request(run)) is not None:
            return run_message(existing)
        _, is_new = ensure_experiment(context, workspace, experiment)
        amlcompute = request.definition.amlcompute
        try:
            if is_sweep:
                check_target(context.store, run, checked.spec, amlcompute.vm_size)
                return run_message(context.orchestrator.sweeps.submit(run))
            run = context.orchestrator.submit_run(
                run, checked.spec, vm_size=amlcompute.vm_size, vm_priority=amlcompute.vm_priority
            )
        except BaseException:
            # A submit that was refused leaves nothing behind.
            if is_new:
                context.store.experiments.delete(workspace_id, experiment)
            raise
        return run_message(run)

    async def create_run(self, request: run_pb2.CreateRunRequest, caller: Caller) -> run_pb2.Run:
        context = self._context
        workspace, experiment = self._parent(request.parent)
        run = self._new_run(
            workspace,
            experiment,
            run_id=request.run_id,
            parent_run_id=request.parent_run_id,
            snapshot_id=request.snapshot_id,
            tags=request.tags,
            properties=request.properties,
            request_id=request.request_id,
        )
        run = replace(
            run,
            run_type=request.run_type,
            display_name=request.display_name,
            execution=performed_by(caller.run),
        )
        if (existing := self._same_request(run)) is not None:
            return run_message(existing)
        if request.snapshot_id:
            context.store.snapshots.get(workspace.workspace_id, request.snapshot_id)
        with context.store.transaction():
            ensure_experiment(context, workspace, experiment)
            book, cause = RunBook(context.store, context.clock), "performed by its caller"
            run = book.insert(book.born(run, RunEvent.BEGIN, cause), cause)
        return run_message(run)

    def _parent(self, name: str) -> tuple[Workspace, str]:
        """The workspace and the (checked) experiment of a resource name."""
        parsed = parse_child(name, "experiments")
        check_name("experiment", parsed.name)
        return self._context.workspace(parsed.workspace), parsed.name

    def _new_run(
        self,
        workspace: Workspace,
        experiment: str,
        *,
        run_id: str,
        parent_run_id: str,
        snapshot_id: str,
        tags: Mapping[str, str],
        properties: Mapping[str, str],
        request_id: str,
    ) -> Run:
        """What submitted and performed runs have in common."""
        context = self._context
        check_labels(tags, "tag")
        check_labels(properties, "property")
        now = context.clock.now()
        if run_id:
            check_name("run id", run_id)
        else:
            run_id = context.identifiers.run_id(experiment[:_MAX_EXPERIMENT_IN_RUN_ID], now)
        root_run_id = run_id
        if parent_run_id:
            parent = context.store.runs.find(RunKey(workspace.workspace_id, parent_run_id))
            if parent is None:
                raise NotFound(
                    "PARENT_RUN_NOT_FOUND",
                    f"The parent run {parent_run_id[:64]!r} does not exist in workspace {workspace.name.workspace!r}.",
                )
            root_run_id = parent.root_run_id or parent.run_id
        snapshot_property = {"ContentSnapshotId": snapshot_id} if snapshot_id else {}
        return Run(
            name=RunName(workspace.name, experiment, run_id),
            workspace_id=workspace.workspace_id,
            number=0,
            run_type="",
            state=RunState.NOT_STARTED,
            created_at=now,
            submitted=False,
            tags=dict(tags),
            properties={**snapshot_property, **properties},
            parent_run_id=parent_run_id or None,
            root_run_id=root_run_id,
            snapshot_id=snapshot_id,
            request_id=request_id,
        )

    def _same_request(self, run: Run) -> Run | None:
        """The run that an earlier, equal request made.

        Raises AlreadyExists ``RUN_EXISTS`` when another request made a run of this id.
        """
        runs = self._context.store.runs
        by_request = runs.find_request(run.workspace_id, run.request_id)
        if by_request is not None:
            return by_request
        existing = runs.find(run.key)
        if existing is None:
            return None
        # The target is compared as part of the definition: a cluster made for the run has a name of its own.
        if run.submitted and existing.submitted and _essence(existing) == _essence(run):
            return existing
        raise AlreadyExists(
            "RUN_EXISTS",
            f"A run {run.run_id!r} exists already in workspace {run.name.workspace.workspace!r}, "
            "made by another request. Take another run id, or leave it out.",
            {"run_id": run.run_id},
        )

    # -- looking at runs ----------------------------------------------------------------------------------------------

    async def get_run(self, request: run_pb2.GetRunRequest, caller: Caller) -> run_pb2.Run:
        return run_message(self._context.run(request.name))

    async def list_runs(self, request: run_pb2.ListRunsRequest, caller: Caller) -> run_pb2.ListRunsResponse:
        parsed = parse_child(request.parent, "experiments")
        workspace = self._context.workspace(parsed.workspace)
        size = page_size(request.page)
        state = run_state(request.state)
        if state is None and request.state != run_pb2.RUN_STATE_UNSPECIFIED:
            raise InvalidArgument("RUN_STATE_UNKNOWN", f"There is no run state of number {int(request.state)}.")
        wanted = RunFilter(
            experiment=None if parsed.name == "-" else parsed.name,
            parent_run_id=request.parent_run_id or None,
            recursive=request.recursive,
            include_children=request.include_children,
            run_type=request.run_type or None,
            state=state,
            target=request.target or None,
            tags=dict(request.tags),
            properties=dict(request.properties),
        )
        # Read as far as the page goes, and no further: what is left out of it costs nothing.
        found = self._context.store.runs.scan_stored(workspace.workspace_id, wanted, decode_number(request.page))
        items = items_of(((str(position), each) for position, each in found), run_message)
        response = run_pb2.ListRunsResponse()
        response.next_page_token = fill_page(response.runs, items, size, response.unreadable)
        return response

    async def watch_run(self, request: run_pb2.WatchRunRequest, caller: Caller) -> AsyncGenerator[run_pb2.Run, None]:
        run = self._context.run(request.name)
        last: Run | None = None
        with self._context.store.changes.subscribe(run.key) as subscription:
            while True:
                run = self._context.store.runs.get(run.key)
                if run != last:
                    yield run_message(run)
                    last = run
                if run.state.is_terminal:
                    return
                await subscription.wait()

    async def list_run_logs(self, request: run_pb2.ListRunLogsRequest, caller: Caller) -> run_pb2.ListRunLogsResponse:
        return self._logs.urls(self._context.run(request.name), caller.run)

    async def read_run_log(
        self, request: run_pb2.ReadRunLogRequest, caller: Caller
    ) -> AsyncGenerator[run_pb2.ReadRunLogResponse, None]:
        run = self._context.run(request.name)
        async with aclosing(self._logs.read(run, request.log_name, request.offset, request.follow)) as chunks:
            async for chunk in chunks:
                yield chunk

    # -- steering runs ------------------------------------------------------------------------------------------------

    async def cancel_run(self, request: run_pb2.CancelRunRequest, caller: Caller) -> run_pb2.Run:
        run = self._context.run(request.name)
        # Public notebooks cancel a run after they have failed it: its processes are ending, and Failed it stays.
        if was_failed_by_caller(run):
            return run_message(run)
        return run_message(await self._context.orchestrator.cancel_run(run.key))

    async def complete_run(self, request: run_pb2.CompleteRunRequest, caller: Caller) -> run_pb2.Run:
        key = self._context.run(request.name).key
        return run_message(self._context.orchestrator.ends.complete(key))

    async def fail_run(self, request: run_pb2.FailRunRequest, caller: Caller) -> run_pb2.Run:
        key = self._context.run(request.name).key
        error = error_record(request.error) if request.HasField("error") else ErrorInfo("", "")
        by_script = caller.run == key
        return run_message(await self._context.orchestrator.ends.fail(key, error, by_script=by_script))

    async def update_run(self, request: run_pb2.UpdateRunRequest, caller: Caller) -> run_pb2.Run:
        run = self._context.run(request.name)
        for key, value in request.add_properties.items():
            if run.properties.get(key, value) != value:
                raise FailedPrecondition(
                    "PROPERTY_IMMUTABLE",
                    f"Run {run.run_id!r} has the property {key!r} already, with the value "
                    f"{run.properties[key][:200]!r}: properties cannot be changed. Use a tag for what changes.",
                    {"property": key},
                )
        tags = merged_labels(run.tags, request.set_tags, "tag")
        for key in request.remove_tags:
            tags.pop(key, None)
        properties = merged_labels(run.properties, request.add_properties, "property")
        changed = replace(run, tags=tags, properties=properties)
        if request.HasField("display_name"):
            changed = replace(changed, display_name=request.display_name)
        if request.HasField("description"):
            changed = replace(changed, description=request.description)
        if changed != run:
            self._context.store.runs.update(changed)
        return run_message(changed)


def _essence(run: Run) -> tuple[object, ...]:
    """What two submits must have in common to be taken for one."""
    return run.name, run.definition, run.snapshot_id, run.parent_run_id, run.run_type
