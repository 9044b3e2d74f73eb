"""`Experiment`: a named group of runs."""

from typing import TYPE_CHECKING, Any, Dict, Iterator, List, Mapping, Optional

from azureml._localaml.labels import read_labels, text_map
from azureml._run_impl.run_base import Tags, name_list, tag_filter

if TYPE_CHECKING:
    from azureml._localaml.client import Client
    from azureml.core.run import Run
    from azureml.core.workspace import Workspace


class ViewType:
    """Which experiments `Experiment.list` shows."""

    ActiveOnly = "ActiveOnly"
    ArchivedOnly = "ArchivedOnly"
    All = "All"


_VIEWS = {
    ViewType.ActiveOnly: "EXPERIMENT_VIEW_ACTIVE_ONLY",
    ViewType.ArchivedOnly: "EXPERIMENT_VIEW_ARCHIVED_ONLY",
    ViewType.All: "EXPERIMENT_VIEW_ALL",
}


class Experiment:
    """An experiment; made when it does not exist.

    Args:
        workspace: the workspace.
        name: 1 to 256 letters, digits, `-` or `_`, beginning with a letter or digit.
        _create_in_cloud: make it now; else at the first submit.

    Raises:
        UserErrorException: not a good name.
    """

    # Only a place to list runs of a whole workspace from; see `_scope`.
    _is_scope = False

    def __init__(
        self,
        workspace: "Workspace",
        name: str,
        _skip_name_validation: bool = False,
        _id: Optional[str] = None,
        _archived_time: Any = None,
        _create_in_cloud: bool = True,
        _experiment_dto: Optional[Dict[str, Any]] = None,
        **kwargs: Any,
    ) -> None:
        from azureml.exceptions import UserErrorException

        if not isinstance(name, str) or not name:
            raise UserErrorException("An experiment's name must be text, not {!r}.".format(name))
        if not hasattr(workspace, "_resource_name"):
            raise UserErrorException("An experiment needs a Workspace, not {!r}.".format(workspace))
        self._workspace = workspace
        self._experiment_name = name
        self._record = _experiment_dto
        self._known_id = _id
        if _create_in_cloud and _experiment_dto is None:
            request = {"parent": workspace._resource_name, "experimentName": name}
            self._record = self._client.call("ExperimentService", "CreateExperiment", request)

    def submit(self, config: Any, tags: Optional[Mapping[str, str]] = None, **kwargs: Any) -> "Run":
        """Submits an Estimator, a ScriptRunConfig, or a RunConfiguration (for the current folder). Returns at once.

        Args:
            tags: tags of the run.
            run_id: the run's id, instead of a new one.

        Raises:
            UserErrorException: it cannot work as it is: unknown target or datastore, missing script, more nodes than
                the cluster may have...
            SnapshotException: the source folder cannot be packed.
        """
        from azureml._run_impl.submission import submit

        return submit(self, config, tags, **kwargs)

    def start_logging(self, *args: Any, **kwargs: Any) -> "Run":
        """Begins a run that this process performs. End it with `run.complete()`, or use `with`.

        Args:
            outputs: folder whose files are uploaded when the run completes (default: ``outputs``; made when missing).
            snapshot_directory: folder to take a snapshot of (default: the current one); None: none.
            display_name: the name that is shown.
            run_id: the run's id, instead of a new one.
        """
        from azureml._run_impl.interactive import start_logging
        from azureml.exceptions import UserErrorException

        if args:
            raise UserErrorException("start_logging takes keyword arguments only, e.g. snapshot_directory=None.")
        unknown = set(kwargs) - {"outputs", "snapshot_directory", "display_name", "run_id"}
        if unknown:
            raise UserErrorException("start_logging does not know {}.".format(", ".join(sorted(unknown))))
        return start_logging(
            self,
            kwargs.get("outputs"),
            kwargs.get("snapshot_directory", "."),
            kwargs.get("display_name"),
            kwargs.get("run_id"),
        )

    def get_runs(
        self, type: Optional[str] = None, tags: Tags = None, properties: Tags = None, include_children: bool = False
    ) -> "Iterator[Run]":
        """The runs, newest first. Filters: see `Run.list`."""
        from azureml._run_impl.run_lifecycle import list_runs

        return list_runs(self, type, tags, properties, include_children=include_children)

    # What it is

    @property
    def workspace(self) -> "Workspace":
        """The workspace."""
        return self._workspace

    @property
    def workspace_object(self) -> "Workspace":
        """The workspace (an old name)."""
        return self.workspace

    @property
    def name(self) -> str:
        """The experiment's name."""
        return self._experiment_name

    @property
    def id(self) -> str:
        """The experiment's GUID."""
        return self._known_id or str(self._known().get("experimentId") or "")

    @property
    def archived_time(self) -> Any:
        """When it was archived (aware UTC), or None."""
        from azureml._localaml.wire import timestamp

        return timestamp(self.refresh(), "archiveTime")

    @property
    def tags(self) -> Dict[str, Optional[str]]:
        """The tags now. A tag without a value has None."""
        return read_labels(self.refresh().get("tags"))

    def refresh(self) -> Dict[str, Any]:
        """Fetches the experiment's record again."""
        self._record = self._client.call("ExperimentService", "GetExperiment", {"name": self._resource_name})
        return self._record

    # Changes

    def tag(self, key: str, value: Optional[str] = None) -> None:
        """Sets one tag."""
        self.set_tags({key: value})

    def set_tags(self, tags: Mapping[str, Optional[str]]) -> None:
        """Sets tags; others stay."""
        self._update(setTags=text_map(tags, "tags"))

    def remove_tags(self, tags: Any) -> None:
        """Removes tags by name."""
        self._update(removeTags=name_list(tags, "tags"))

    def archive(self) -> None:
        """Leaves it out of lists; its runs stay."""
        self._update(archived=True)

    def reactivate(self, new_name: Optional[str] = None) -> None:
        """Undoes `archive`. A new name is not supported."""
        if new_name is not None and new_name != self.name:
            from azureml._localaml.unsupported import unsupported

            raise unsupported("Experiment.reactivate(new_name=...)")
        self._update(archived=False)

    # Lists

    @staticmethod
    def list(
        workspace: "Workspace",
        experiment_name: Optional[str] = None,
        view_type: str = ViewType.ActiveOnly,
        tags: Tags = None,
    ) -> "List[Experiment]":
        """The experiments of a workspace, by name.

        Args:
            experiment_name: only this one.
            view_type: ``ActiveOnly``, ``ArchivedOnly`` or ``All``.
            tags: a name, or a dict of names and values; all must match.
        """
        from azureml.exceptions import UserErrorException

        if view_type not in _VIEWS:
            raise UserErrorException("view_type is one of {}, not {!r}.".format(", ".join(_VIEWS), view_type))
        request = {
            "parent": workspace._resource_name,
            "view": _VIEWS[view_type],
            "tags": tag_filter(tags, "tags"),
        }
        records = workspace._client.pages("ExperimentService", "ListExperiments", request, "experiments")
        found = [Experiment(workspace, _short_name(record["name"]), _experiment_dto=record) for record in records]
        return [item for item in found if experiment_name is None or item.name == experiment_name]

    @staticmethod
    def delete(workspace: "Workspace", experiment_id: str) -> None:
        """Deletes an experiment that has no runs.

        Args:
            experiment_id: its GUID.

        Raises:
            UserErrorException: there is none of this id, or it has runs.
        """
        from azureml.exceptions import UserErrorException

        for experiment in Experiment.list(workspace, view_type=ViewType.All):
            if experiment.id == experiment_id:
                workspace._client.call("ExperimentService", "DeleteExperiment", {"name": experiment._resource_name})
                return
        raise UserErrorException(
            "The workspace {} has no experiment with the id {}.".format(workspace.name, experiment_id)
        )

    @staticmethod
    def from_directory(path: str, auth: Any = None) -> "Experiment":
        """Not supported."""
        from azureml._localaml.unsupported import unsupported

        raise unsupported("Experiment.from_directory", "Use Experiment(workspace, name).")

    @classmethod
    def get_docs_url(cls) -> str:
        """Where Azure documents this class."""
        return "https://docs.microsoft.com/python/api/azureml-core/azureml.core.experiment.experiment"

    def get_portal_url(self) -> str:
        """The address of the experiment's page at the emulator."""
        return self._page("")

    # For the other modules of the SDK

    @property
    def _client(self) -> "Client":
        return self.workspace._client

    @property
    def _workspace_resource_name(self) -> str:
        return self.workspace._resource_name

    @property
    def _resource_name(self) -> str:
        return "{}/experiments/{}".format(self._workspace_resource_name, self._experiment_name)

    @classmethod
    def _of_run(cls, workspace: "Workspace", record: Mapping[str, Any]) -> "Experiment":
        """The experiment of a Run message, without asking for it."""
        return cls(workspace, str(record["name"]).split("/")[-3], _create_in_cloud=False)

    @classmethod
    def _scope(cls, workspace: "Workspace") -> "Experiment":
        """Stands for all experiments of a workspace in lists of runs."""
        scope = cls(workspace, "-", _create_in_cloud=False)
        scope._is_scope = True
        return scope

    def _page(self, tail: str) -> str:
        workspace = self.workspace
        return "{}/experiments/{}{}?wsid=/subscriptions/{}/resourcegroups/{}/workspaces/{}".format(
            self._client.endpoint.http_address,
            self._experiment_name,
            tail,
            workspace.subscription_id,
            workspace.resource_group,
            workspace.name,
        )

    def _known(self) -> Dict[str, Any]:
        return self._record if self._record is not None else self.refresh()

    def _update(self, **changes: Any) -> None:
        request = dict(changes, name=self._resource_name)
        self._record = self._client.call("ExperimentService", "UpdateExperiment", request)

    def __str__(self) -> str:
        return "Experiment(Name: {},\nWorkspace: {})".format(self.name, self.workspace.name)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        from azureml._run_impl.html import table

        return table(
            (
                ("Name", self.name),
                ("Workspace", self.workspace.name),
                ("Report Page", self.get_portal_url()),
                ("Docs Page", self.get_docs_url()),
            )
        )

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Experiment) and self._resource_name == other._resource_name

    def __hash__(self) -> int:
        return hash(self._experiment_name)


def _short_name(resource_name: str) -> str:
    return resource_name.rpartition("/")[2]
