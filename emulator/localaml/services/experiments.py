"""Answers for experiments."""

from __future__ import annotations

from dataclasses import replace

from localaml.domain.models import Experiment, Workspace
from localaml.domain.names import ChildName, check_name, parse_child
from localaml.errors import FailedPrecondition
from localaml.services.context import ServiceContext
from localaml.services.labels import merged_labels
from localaml.services.messages import experiment_message
from localaml.services.paging import decode_token, fill_page, is_readable, items_of, page_size
from localaml.services.rpc import Caller
from localaml_proto.v1 import experiment_pb2


class ExperimentService:
    """`localaml.v1.ExperimentService`."""

    SERVICE = "localaml.v1.ExperimentService"

    def __init__(self, context: ServiceContext) -> None:
        self._context = context

    async def create_experiment(
        self, request: experiment_pb2.CreateExperimentRequest, caller: Caller
    ) -> experiment_pb2.Experiment:
        workspace = self._context.workspace(request.parent)
        check_name("experiment", request.experiment_name)
        experiment, _ = ensure_experiment(self._context, workspace, request.experiment_name)
        return experiment_message(experiment)

    async def get_experiment(
        self, request: experiment_pb2.GetExperimentRequest, caller: Caller
    ) -> experiment_pb2.Experiment:
        return experiment_message(self._experiment(request.name))

    async def list_experiments(
        self, request: experiment_pb2.ListExperimentsRequest, caller: Caller
    ) -> experiment_pb2.ListExperimentsResponse:
        workspace = self._context.workspace(request.parent)
        size, after = page_size(request.page), decode_token(request.page)
        view = request.view or experiment_pb2.EXPERIMENT_VIEW_ACTIVE_ONLY

        def wanted(experiment: Experiment) -> bool:
            archived = experiment.archived_at is not None
            if view == experiment_pb2.EXPERIMENT_VIEW_ACTIVE_ONLY and archived:
                return False
            if view == experiment_pb2.EXPERIMENT_VIEW_ARCHIVED_ONLY and not archived:
                return False
            tags = experiment.tags
            return all(key in tags and value in ("", tags[key]) for key, value in request.tags.items())

        found = (
            (each.id, each)
            for each in self._context.store.experiments.stored(workspace.workspace_id)
            if each.id > after and (not is_readable(each) or wanted(each.read()))
        )
        items = items_of(found, experiment_message)
        response = experiment_pb2.ListExperimentsResponse()
        response.next_page_token = fill_page(response.experiments, items, size, response.unreadable)
        return response

    async def update_experiment(
        self, request: experiment_pb2.UpdateExperimentRequest, caller: Caller
    ) -> experiment_pb2.Experiment:
        experiment = self._experiment(request.name)
        if request.HasField("description"):
            experiment = replace(experiment, description=request.description)
        tags = merged_labels(experiment.tags, request.set_tags, "tag")
        for key in request.remove_tags:
            tags.pop(key, None)
        experiment = replace(experiment, tags=tags)
        if request.HasField("archived") and request.archived != (experiment.archived_at is not None):
            experiment = replace(experiment, archived_at=self._context.clock.now() if request.archived else None)
        self._context.store.experiments.update(experiment)
        return experiment_message(experiment)

    async def delete_experiment(
        self, request: experiment_pb2.DeleteExperimentRequest, caller: Caller
    ) -> experiment_pb2.DeleteExperimentResponse:
        experiment = self._experiment(request.name)
        store = self._context.store
        count = store.runs.count(experiment.workspace_id, experiment.name.name)
        if count:
            raise FailedPrecondition(
                "EXPERIMENT_HAS_RUNS",
                f"Experiment {experiment.name.name!r} has {count} runs and cannot be deleted. Archive it instead.",
                {"run_count": str(count)},
            )
        store.experiments.delete(experiment.workspace_id, experiment.name.name)
        return experiment_pb2.DeleteExperimentResponse()

    def _experiment(self, name: str) -> Experiment:
        parsed = parse_child(name, "experiments")
        check_name("experiment", parsed.name)
        workspace = self._context.workspace(parsed.workspace)
        return self._context.store.experiments.get(workspace.workspace_id, parsed.name)


def ensure_experiment(context: ServiceContext, workspace: Workspace, name: str) -> tuple[Experiment, bool]:
    """The experiment of this (checked) name, made when missing, and whether it was made just now."""
    existing = context.store.experiments.find(workspace.workspace_id, name)
    if existing is not None:
        return existing, False
    experiment = Experiment(
        name=ChildName(workspace.name, "experiments", name),
        workspace_id=workspace.workspace_id,
        experiment_id=context.identifiers.guid(),
        created_at=context.clock.now(),
    )
    context.store.experiments.insert(experiment)
    return experiment, True
