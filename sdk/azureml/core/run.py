"""`Run`: one execution, as it is seen from outside and from inside the job."""

import os
from typing import TYPE_CHECKING, Any, Callable, Dict, Iterator, Optional, Tuple

from azureml._localaml.lazy import lazy_names
from azureml._localaml.unsupported import unsupported
from azureml._run_impl.run_base import RunBase, Tags
from azureml._run_impl.run_files import RunFiles
from azureml._run_impl.run_following import RunFollowing
from azureml._run_impl.run_lifecycle import RunLifecycle, list_runs
from azureml._run_impl.run_metrics import RunMetrics

if TYPE_CHECKING:
    from azureml._run_impl.dataset_inputs import InputDatasets
    from azureml.core.environment import Environment
    from azureml.core.experiment import Experiment
    from azureml.core.workspace import Workspace

__all__ = ["Run", "get_run"]


class Run(RunMetrics, RunFiles, RunFollowing, RunLifecycle):
    """A run.

    Args:
        experiment: the run's experiment.
        run_id: its id.
        outputs: folder to upload as ``outputs/`` when the run is completed here.

    Raises:
        UserErrorException: the experiment has no such run.
    """

    def __init__(self, experiment: "Experiment", run_id: str, outputs: Optional[str] = None, **kwargs: Any) -> None:
        RunBase.__init__(self, experiment, run_id, kwargs.get("_run"), kwargs.get("_fetch", True))
        if outputs:
            from azureml._run_impl.interactive import Collector

            self._collector = Collector(outputs)

    # Ways to get one

    @classmethod
    def get_context(cls, allow_offline: bool = True, used_for_context_manager: bool = False, **kwargs: Any) -> Any:
        """The run that this process belongs to. Outside a job: an offline run that prints what is logged.

        Raises:
            RunEnvironmentException: outside a job, with `allow_offline` off.
        """
        from azureml._run_impl.context import current_run

        return current_run(allow_offline)

    @classmethod
    def get_submitted_run(cls, **kwargs: Any) -> Any:
        """The old name of `get_context`."""
        return cls.get_context(**kwargs)

    @staticmethod
    def get(workspace: "Workspace", run_id: str) -> "Run":
        """A run by its id, in whichever experiment it is. Raises UserErrorException when there is none."""
        from azureml.core.experiment import Experiment

        name = "{}/experiments/-/runs/{}".format(workspace._resource_name, run_id)
        record = workspace._client.call("RunService", "GetRun", {"name": name})
        return Run._of(Experiment._of_run(workspace, record), record)

    @staticmethod
    def list(
        experiment: "Experiment",
        type: Optional[str] = None,
        tags: Tags = None,
        properties: Tags = None,
        status: Optional[str] = None,
        include_children: bool = False,
        _rehydrate_runs: bool = True,
    ) -> "Iterator[Run]":
        """The experiment's runs, newest first.

        Args:
            type: only this type, e.g. ``azureml.scriptrun``.
            tags, properties: a name, or a dict of names and values (None: any value); all must match.
            status: only in this state, e.g. ``Completed``.
            include_children: also runs that have a parent.
        """
        return list_runs(experiment, type, tags, properties, status, include_children=include_children)

    @staticmethod
    def list_by_compute(
        compute: Any,
        type: Optional[str] = None,
        tags: Tags = None,
        properties: Tags = None,
        status: Optional[str] = None,
    ) -> "Iterator[Run]":
        """The runs on a compute target, newest first. Filters: see `list`."""
        from azureml.core.experiment import Experiment

        scope = Experiment._scope(compute.workspace)
        return list_runs(scope, type, tags, properties, status, target=compute.name, include_children=True)

    @staticmethod
    def add_type_provider(runtype: str, run_factory: "Callable[..., Run]") -> None:
        """Lets runs of a type be objects of another class: `run_factory(experiment, run record as dict)`."""
        _TYPE_PROVIDERS[runtype] = run_factory

    @classmethod
    def _of(cls, experiment: Any, record: Dict[str, Any]) -> "Run":
        """The run object that fits a Run message."""
        run_type = record.get("runType") or ""
        if experiment._is_scope:
            experiment = type(experiment)._of_run(experiment.workspace, record)
        factory = _TYPE_PROVIDERS.get(run_type)
        if factory is not None:
            return factory(experiment, record)
        if run_type == "hyperdrive":
            from azureml.train.hyperdrive.run import HyperDriveRun

            return HyperDriveRun(experiment, record["runId"], _run=record)
        from azureml.core.script_run import ScriptRun

        chosen = ScriptRun if run_type == ScriptRun.RUN_TYPE else Run
        return chosen(experiment, record["runId"], _run=record)

    # Secrets and environment

    def get_secret(self, name: str) -> Optional[str]:
        """The value of a secret of the workspace's key vault; None when there is none of that name."""
        return self._experiment.workspace.get_default_keyvault().get_secret(name)

    def get_secrets(self, secrets: Any) -> Dict[str, Optional[str]]:
        """The values of several secrets by name; None for those that there are not."""
        return self._experiment.workspace.get_default_keyvault().get_secrets(secrets)

    # What LocalAML lacks

    @property
    def input_datasets(self) -> "InputDatasets":
        """The input datasets by name. In the run's own job, a mounted or downloaded one is the path of its files."""
        from azureml._run_impl.dataset_inputs import InputDatasets

        entries = (self._known().get("definition") or {}).get("data") or {}
        in_job = os.environ.get("AZUREML_RUN_ID") == self._run_id
        return InputDatasets(self._experiment.workspace, entries, in_job)

    @property
    def output_datasets(self) -> Any:
        """Not supported."""
        raise unsupported("Run.output_datasets", "Write to ./outputs or to a mounted datastore.")

    def get_environment(self) -> "Environment":
        """The environment that the run was submitted with. Raises UserErrorException when it was not submitted."""
        from azureml.core._environment_registry import environment_of_definition
        from azureml.core.runconfig import EnvironmentDefinition
        from azureml.exceptions import UserErrorException

        definition = self._known().get("definition")
        if not definition:
            raise UserErrorException("The run {} was not submitted and has no environment.".format(self.id))
        return environment_of_definition(definition.get("environment") or {}, EnvironmentDefinition)

    # What it looks like

    @property
    def run_id(self) -> str:
        """The run's id; the same as `id`."""
        return self.id

    def get_portal_url(self) -> str:
        """The address of the run's page at the emulator."""
        return self._experiment._page("/runs/" + self.id)

    @classmethod
    def get_docs_url(cls) -> str:
        """Where Azure documents this class."""
        module = cls.__module__ if cls.__module__.startswith("azureml.core.") else Run.__module__
        name = cls.__name__ if module == cls.__module__ else Run.__name__
        return "https://docs.microsoft.com/python/api/azureml-core/{}.{}".format(module, name.lower())

    def _facts(self) -> Tuple[Tuple[str, str], ...]:
        return (
            ("Experiment", self._experiment.name),
            ("Id", self.id),
            ("Type", str((self._record or {}).get("runType") or None)),
            ("Status", self._status),
        )

    def __str__(self) -> str:
        return "Run({})".format(",\n".join("{}: {}".format(name, value) for name, value in self._facts()))

    __repr__ = __str__

    def _repr_html_(self) -> str:
        from azureml._run_impl.html import table

        pages = (("Details Page", self.get_portal_url()), ("Docs Page", self.get_docs_url()))
        return table((*self._facts(), *pages))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Run) and (self._name, self._client) == (other._name, other._client)

    def __hash__(self) -> int:
        return hash(self._run_id)


# By run type. Part of Azure's interface (`Run.add_type_provider`): whoever defines a run class registers it for the
# process.
_TYPE_PROVIDERS: "Dict[str, Callable[..., Run]]" = {}


def get_run(experiment: "Experiment", run_id: str, rehydrate: bool = True, clean_up: bool = True) -> "Run":
    """A run of an experiment by its id.

    Args:
        rehydrate: give an object of the class that fits the run's type, else a plain `Run`.

    Raises:
        UserErrorException: the experiment has no such run.
    """
    run = Run(experiment, run_id)
    return Run._of(experiment, run._known()) if rehydrate else run


# Names that projects import from here: Azure's module has them, because it uses them.
_LENT = {
    "ActivityFailedException": "azureml.exceptions",
    "Datastore": "azureml.core.datastore",
    "Environment": "azureml.core.environment",
    "Keyvault": "azureml.core.keyvault",
    "RunEnvironmentException": "azureml.exceptions",
    "RunStatus": "azureml._restclient.constants",
    "UserErrorException": "azureml.exceptions",
    # Scripts look for these to tell whether they run offline.
    "_OfflineRun": "azureml._run_impl.offline",
}

_lent, __dir__ = lazy_names(__name__, _LENT)


def __getattr__(name: str) -> Any:
    return Run if name == "_SubmittedRun" else _lent(name)
