"""The part of a run that all others stand on: which run it is, and how its record is fetched."""

from typing import TYPE_CHECKING, Any, Dict, List, Mapping, Optional, Union

from azureml._localaml.path_text import path_text
from azureml._run_impl.states import state_of

if TYPE_CHECKING:
    from azureml._localaml.client import Client
    from azureml.core.experiment import Experiment

Tags = Union[None, str, Mapping[str, Optional[str]]]


class RunBase:
    """A run by name.

    Args:
        experiment: the run's experiment.
        run_id: the run's id.
        _run: the run's record (a Run message as JSON), when it is known; else it is fetched, unless `_fetch` is off.

    Raises:
        UserErrorException: the experiment has no such run.
    """

    def __init__(
        self, experiment: "Experiment", run_id: str, _run: Optional[Dict[str, Any]] = None, _fetch: bool = True
    ) -> None:
        self._experiment = experiment
        self._run_id = run_id
        self._record = _run
        if _run is None and _fetch:
            self._refresh()

    @property
    def experiment(self) -> "Experiment":
        """The run's experiment."""
        return self._experiment

    @property
    def id(self) -> str:
        """The run's id, e.g. ``tf-distr-hvd_1550674764_27f909d3``."""
        return self._run_id

    @property
    def _client(self) -> "Client":
        return self._experiment._client

    @property
    def _name(self) -> str:
        return "{}/runs/{}".format(self._experiment._resource_name, self._run_id)

    def _call(self, method: str, **request: Any) -> Dict[str, Any]:
        """A call of RunService about this run."""
        return self._client.call("RunService", method, dict(request, name=self._name))

    def _refresh(self) -> Dict[str, Any]:
        """Fetches the record."""
        self._record = self._call("GetRun")
        return self._record

    def _known(self) -> Dict[str, Any]:
        """The record as it was last seen; fetched when never seen."""
        return self._record if self._record is not None else self._refresh()

    @property
    def _status(self) -> str:
        """The state as it was last seen, without asking."""
        return state_of(self._record) if self._record is not None else "Running"


def tag_filter(tags: "Tags", what: str) -> Dict[str, str]:
    """A filter by tags or properties: a name, or name -> value (None: any). Empty values match any on the wire."""
    from azureml.exceptions import UserErrorException

    if tags is None:
        return {}
    if isinstance(tags, str):
        return {tags: ""}
    if isinstance(tags, Mapping):
        return {str(name): "" if value is None else str(value) for name, value in tags.items()}
    raise UserErrorException("{} must be a name or a dict of name and value, not {!r}.".format(what, tags))


def name_list(values: Any, what: str) -> List[str]:
    """One name or several. Raises UserErrorException for anything else."""
    from azureml.exceptions import UserErrorException

    values = path_text(values)
    if isinstance(values, str):
        return [values]
    try:
        names = [str(path_text(value)) for value in values]
    except TypeError:
        raise UserErrorException("{} must be a list of names, not {!r}.".format(what, values)) from None
    return names
