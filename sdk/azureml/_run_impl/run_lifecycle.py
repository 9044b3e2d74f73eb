"""Steering a run: its end, tags and properties, children."""

import sys
from typing import TYPE_CHECKING, Any, Dict, Iterator, List, Mapping, Optional, Sequence

from azureml._localaml.labels import read_labels, text_map
from azureml._run_impl.details import run_properties
from azureml._run_impl.run_base import RunBase, Tags, name_list, tag_filter
from azureml._run_impl.states import TERMINAL, state_filter

if TYPE_CHECKING:
    from azureml._run_impl.interactive import Collector
    from azureml.core.run import Run

_FLUSH_SECONDS = 120.0
_MAX_ID = 200


class RunLifecycle(RunBase):
    """What can be done to a run."""

    # Set on runs that this process performs (`Experiment.start_logging`): collects ./outputs at the end.
    _collector: "Optional[Collector]" = None

    def start(self) -> None:
        """Azure marks a run as started here. Runs of LocalAML that a caller performs are Running from the first
        moment."""

    def complete(self, _set_status: bool = True) -> None:
        """Ends a run that this process performs. Called in a submitted job it only sends what is left of metrics: the
        end of the script decides how the run ends."""
        self._finish("CompleteRun" if _set_status else None)

    def fail(self, error_details: Any = None, error_code: Optional[str] = None, _set_status: bool = True) -> None:
        """Ends a run as Failed; also one that is Completed. A submitted run is Failed at once, and its processes are
        ended as by `cancel`. Called in its own job it counts when the script has ended.

        Args:
            error_details: text or an exception.
            error_code: stable word for the kind of error.

        Raises:
            UserErrorException: the run was canceled.
        """
        message = "" if error_details is None else str(error_details)
        if isinstance(error_details, BaseException):
            message = "{}: {}".format(type(error_details).__name__, message)
        error = {"code": error_code or "", "message": message}
        self._finish("FailRun" if _set_status else None, error=error)

    def cancel(self) -> None:
        """Asks the run to end. Returns at once; `wait_for_completion` tells when it has.

        Raises:
            UserErrorException: the run has ended already.
        """
        self._record = self._call("CancelRun")

    def _finish(self, method: Optional[str], **request: Any) -> None:
        collector, self._collector = self._collector, None
        try:
            if collector is not None:
                collector.collect(self)
            self.flush(_FLUSH_SECONDS)
        except Exception as error:
            # The run is to end all the same; what was lost is said.
            why = getattr(error, "message", error)
            print("LocalAML: not everything of run {} was recorded: {}".format(self.id, why), file=sys.stderr)
        if method is not None:
            self._record = self._call(method, **request)

    def __enter__(self) -> "Run":
        return self  # type: ignore[return-value]  # only Run is made of this

    def __exit__(self, exit_type: Any, value: Any, traceback: Any) -> None:
        """Completes the run, or fails it with the exception that ends the block. A run that was ended inside the block
        (`complete`, `fail`, `cancel`) keeps that end, but one that is Completed can still be failed by an exception."""
        from azureml.exceptions import UserErrorException

        has_ended = self._status in (TERMINAL - {"Completed"})
        try:
            if has_ended:
                self._finish(None)
            elif exit_type is None:
                self.complete()
            else:
                self.fail(value if value is not None else exit_type.__name__)
        except UserErrorException as error:
            # Somebody else has ended it meanwhile.
            if getattr(error, "reason", "") != "ILLEGAL_RUN_TRANSITION":
                raise

    # Names and texts

    @property
    def type(self) -> Optional[str]:
        """``azureml.scriptrun`` for submitted runs; None for those made with `start_logging`."""
        return self._known().get("runType") or None

    @property
    def number(self) -> int:
        """The run's number in its experiment, from 1."""
        return int(self._known().get("number") or 0)

    @property
    def display_name(self) -> str:
        """The name that is shown; the run's id when none was given."""
        return self._refresh().get("displayName") or self.id

    @display_name.setter
    def display_name(self, value: str) -> None:
        self._record = self._call("UpdateRun", displayName=str(value))

    @property
    def name(self) -> str:
        """The name that is shown, as `display_name`."""
        return self.display_name

    @property
    def description(self) -> str:
        """A text for people."""
        return self._refresh().get("description") or ""

    @description.setter
    def description(self, value: str) -> None:
        self._record = self._call("UpdateRun", description=str(value))

    # Tags and properties

    @property
    def tags(self) -> Dict[str, Optional[str]]:
        """The tags now."""
        return self.get_tags()

    def get_tags(self) -> Dict[str, Optional[str]]:
        """The tags now. A tag without a value has None."""
        return read_labels(self._refresh().get("tags"))

    def tag(self, key: str, value: Optional[str] = None) -> None:
        """Sets one tag; without a value it is None."""
        self.set_tags({key: value})

    def set_tags(self, tags: Mapping[str, Optional[str]]) -> None:
        """Sets tags; others stay."""
        self._record = self._call("UpdateRun", setTags=text_map(tags, "tags"))

    def remove_tags(self, tags: Any) -> None:
        """Removes tags by name (one or a list). Returns nothing; missing ones are fine."""
        self._record = self._call("UpdateRun", removeTags=name_list(tags, "tags"))

    @property
    def properties(self) -> Dict[str, Optional[str]]:
        """The properties now."""
        return self.get_properties()

    def get_properties(self) -> Dict[str, Optional[str]]:
        """The properties now."""
        return run_properties(self._refresh())

    def add_properties(self, properties: Mapping[str, Any]) -> None:
        """Adds properties. They cannot be changed: UserErrorException for a name that has another value already."""
        self._record = self._call("UpdateRun", addProperties=text_map(properties, "properties"))

    # Parents and children

    @property
    def parent(self) -> "Optional[Run]":
        """The run that this one is a child of, or None."""
        from azureml.core.run import get_run

        parent_id = self._known().get("parentRunId")
        return get_run(self._experiment, parent_id) if parent_id else None

    def child_run(
        self, name: Optional[str] = None, run_id: Optional[str] = None, outputs: Optional[str] = None
    ) -> "Run":
        """Makes a child that this process performs; end it with `complete`, or use `with`.

        Args:
            name: the name that is shown.
            run_id: default: made of this run's id.
            outputs: folder to upload when the child completes.
        """
        return self._new_child(name, run_id, outputs, {})

    def create_children(
        self, count: Optional[int] = None, tag_key: Optional[str] = None, tag_values: Optional[Sequence[Any]] = None
    ) -> "List[Run]":
        """Makes several children: `count` of them, or one for each of `tag_values`, tagged with it under `tag_key`."""
        from azureml._run_impl.definition import whole_number
        from azureml.exceptions import UserErrorException

        if (tag_key is None) != (tag_values is None):
            raise UserErrorException("create_children needs tag_key and tag_values together.")
        if tag_values is None:
            if count is None:
                raise UserErrorException("create_children needs count, or tag_key and tag_values.")
            return [self._new_child(None, None, None, {}) for _ in range(whole_number(count, "count"))]
        values = list(tag_values)
        if count is not None and count != len(values):
            raise UserErrorException("count is {}, but there are {} tag_values.".format(count, len(values)))
        return [self._new_child(None, None, None, {str(tag_key): str(value)}) for value in values]

    def submit_child(self, config: Any, tags: Optional[Mapping[str, str]] = None, **kwargs: Any) -> "Run":
        """Submits an experiment (ScriptRunConfig, Estimator, ...) as a child of this run."""
        from azureml._run_impl.submission import submit

        return submit(self._experiment, config, tags, parent_run_id=self.id, **kwargs)

    def get_children(
        self,
        recursive: bool = False,
        tags: Tags = None,
        properties: Tags = None,
        type: Optional[str] = None,
        status: Optional[str] = None,
        _rehydrate_runs: bool = True,
    ) -> "Iterator[Run]":
        """The children, newest first; with `recursive` all descendants. Filters: see `Run.list`."""
        return list_runs(self._experiment, type, tags, properties, status, parent_run_id=self.id, recursive=recursive)

    def _new_child(
        self, name: Optional[str], run_id: Optional[str], outputs: Optional[str], tags: Dict[str, str]
    ) -> "Run":
        import uuid

        from azureml.core.run import Run

        request: Dict[str, Any] = {
            "parent": self._experiment._resource_name,
            "runId": run_id or "{}_{}".format(self.id[:_MAX_ID], uuid.uuid4().hex[:8]),
            "parentRunId": self.id,
            "requestId": str(uuid.uuid4()),
            "tags": tags,
        }
        if name:
            request["displayName"] = name
        child = Run._of(self._experiment, self._client.call("RunService", "CreateRun", request))
        if outputs:
            from azureml._run_impl.interactive import Collector

            child._collector = Collector(outputs)
        return child

    @property
    def _is_over(self) -> bool:
        return self._status in TERMINAL

    if TYPE_CHECKING:  # another part of a run has this

        def flush(self, timeout_seconds: float = 300) -> None: ...


def list_runs(
    experiment: Any,
    type: Optional[str] = None,
    tags: Tags = None,
    properties: Tags = None,
    status: Optional[str] = None,
    parent: Optional[str] = None,
    target: Optional[str] = None,
    **more: Any,
) -> "Iterator[Run]":
    """Runs page by page, newest first. The filters are checked now, not at the first run.

    Args:
        experiment: theirs; for runs of several experiments, one in the workspace, with `parent`.
        parent: resource name to list below, instead of the experiment's.
        more: further fields of ListRunsRequest in snake_case.
    """
    from azureml._run_impl.config_element import camel_case

    request: Dict[str, Any] = {"parent": parent or experiment._resource_name}
    request.update({camel_case(name): value for name, value in more.items() if value})
    if type:
        request["runType"] = type
    if status:
        request["state"] = state_filter(status)
    if target:
        request["target"] = target
    request["tags"] = tag_filter(tags, "tags")
    request["properties"] = tag_filter(properties, "properties")
    return _each_run(experiment, request)


def _each_run(experiment: Any, request: Dict[str, Any]) -> "Iterator[Run]":
    from azureml.core.run import Run

    for record in experiment._client.pages("RunService", "ListRuns", request, "runs"):
        yield Run._of(experiment, record)
