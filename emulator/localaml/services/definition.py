"""From a `RunDefinition` message to a `JobSpec`: every check that can be made before a run is accepted.

What a setting means follows Azure's run configuration (azureml-core 1.61, `azureml.core.runconfig`).
"""

from __future__ import annotations

import difflib
import posixpath
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from localaml.domain.docker_arguments import parse_docker_arguments
from localaml.domain.job import DataMode, DataReference, JobSpec, Launch
from localaml.domain.models import Datastore, ErrorInfo, Run, Snapshot
from localaml.domain.names import check_name, check_relative_path, check_variable_name
from localaml.errors import InvalidArgument, Unimplemented
from localaml.jobs.datastore_data import data_prefix
from localaml.jobs.targets import LOCAL_TARGET, RUN_BASED_TARGET
from localaml.paths import ARTIFACTS, is_for_artifacts
from localaml.services.container_definition import container_spec, stored_password
from localaml.services.dataset_inputs import check_consumptions, check_datasets, dataset_input
from localaml.services.definition_warnings import definition_warnings
from localaml.services.python_definition import python_environment
from localaml.store.codec import known
from localaml_proto.v1 import run_definition_pb2

if TYPE_CHECKING:
    from localaml.services.sealing import SecretSealer
    from localaml.store import Store

_FRAMEWORKS = ("", "python", "tensorflow", "pytorch", "chainer", "cntk", "scikit-learn", "sklearn", "keras")
_OTHER_FRAMEWORKS = ("pyspark", "spark", "r")
_MPI = ("mpi", "intelmpi", "openmpi")
_PARAMETER_SERVER = "parameterserver"
_RENDEZVOUS = ("nccl", "gloo")
# What each communicator belongs to; `python` is what configurations say that were made by hand.
_FRAMEWORKS_OF = {
    _PARAMETER_SERVER: ("tensorflow",),
    **dict.fromkeys(_RENDEZVOUS, ("pytorch", "python", "")),
}
_OTHER_COMMUNICATORS = ("collectiveallreduce", "horovod", "paralleltask")
_MODES = {mode.value: mode for mode in DataMode}
_MAX_PROCESSES = 256
_LONGEST_COMPARED = 100
_MOST_COMPARED = 500
_REFERENCE = re.compile(r"\$\{?AZUREML_DATAREFERENCE_([A-Za-z0-9_]+)")
_Definition = run_definition_pb2.RunDefinition


@dataclass(frozen=True, slots=True)
class CheckedDefinition:
    """A definition that can be performed.

    Attributes:
        stored: the message as it is kept with the run: without passwords.
        target: `local`, `amlcompute`, or a cluster's name.
        warnings: settings that have no effect here.
    """

    spec: JobSpec
    stored: bytes
    target: str
    warnings: tuple[ErrorInfo, ...]


def check_definition(
    definition: _Definition, *, store: Store, workspace_id: str, snapshot_id: str, docker_has_effect: bool = False
) -> CheckedDefinition:
    """Checks a definition against what there is.

    Args:
        docker_has_effect: whether the run's nodes are containers.

    Raises:
        InvalidArgument: it can never work; the reason says what is wrong.
        NotFound: ``SNAPSHOT_NOT_FOUND``, ``DATASTORE_NOT_FOUND``, ``DATASET_NOT_FOUND``.
        FailedPrecondition: ``DATASTORE_NOT_SUPPORTED``.
        Unimplemented: LocalAML cannot do it (yet); the message names it.
    """
    spec = job_spec(definition)
    target = run_target(definition)
    if docker_has_effect:
        parse_docker_arguments(spec.container.arguments)
    _check_snapshot(spec, store.snapshots.get(workspace_id, snapshot_id) if snapshot_id else None)
    for reference in spec.data_references:
        _check_data(reference, store.datastores.get(workspace_id, reference.datastore))
    if definition.source_directory_data_store:
        store.datastores.get(workspace_id, definition.source_directory_data_store)
    kept = _Definition()
    kept.CopyFrom(definition)
    check_datasets(spec.datasets, store, workspace_id, kept)
    if kept.environment.docker.HasField("base_image_registry"):
        kept.environment.docker.base_image_registry.ClearField("password")
    return CheckedDefinition(spec, kept.SerializeToString(), target, definition_warnings(definition, docker_has_effect))


def stored_job_spec(run: Run, sealer: SecretSealer | None = None) -> JobSpec:
    """The job of a run that was accepted before; `sealer` opens the password of its image's registry."""
    return job_spec(_Definition.FromString(run.definition), stored_password(run, sealer))


def job_spec(definition: _Definition, password: str = "") -> JobSpec:
    """The job that a definition describes: all checks that need nothing but the definition.

    Args:
        password: of the image's registry, where the definition has it no more.

    Raises InvalidArgument or Unimplemented.
    """
    _check_framework(definition.framework)
    launch = _launch(definition.communicator, definition.framework)
    counts = _counts(definition, launch)
    script, command = _program(definition)
    references = tuple(_reference(name, value) for name, value in sorted(definition.data_references.items()))
    datasets = tuple(dataset_input(name, value) for name, value in sorted(definition.data.items()))
    _check_words((*command, *definition.arguments), {reference.name for reference in references})
    check_consumptions((*command, *definition.arguments), [each.name for each in datasets])
    history = definition.history
    if definition.max_run_duration_seconds < 0:
        raise InvalidArgument(
            "MAX_RUN_DURATION_INVALID",
            f"max_run_duration_seconds must not be negative (it is {definition.max_run_duration_seconds}); "
            f"0 means no limit.",
        )
    return JobSpec(
        script=script,
        command=command,
        arguments=tuple(definition.arguments),
        launch=launch,
        node_count=counts.nodes,
        processes_per_node=counts.per_node,
        worker_count=counts.workers,
        server_count=counts.servers,
        environment=python_environment(definition.environment.python, launch),
        environment_variables=_variables(definition),
        data_references=references,
        datasets=datasets,
        max_run_duration_seconds=definition.max_run_duration_seconds,
        container=container_spec(definition, password),
        collect_outputs=history.output_collection if history.HasField("output_collection") else True,
        directories_to_watch=tuple(
            check_relative_path(path, "directory to watch") for path in history.directories_to_watch or ("logs",)
        ),
    )


def run_target(definition: _Definition) -> str:
    """`local`, `amlcompute`, or a cluster's name. Raises InvalidArgument ``INVALID_NAME``."""
    value = definition.target
    if not value or value.lower() == LOCAL_TARGET:
        return LOCAL_TARGET
    if value.lower() == RUN_BASED_TARGET:
        return RUN_BASED_TARGET
    return check_name("compute target", value)


def _check_framework(value: str) -> None:
    framework = value.lower()
    if framework in _OTHER_FRAMEWORKS:
        raise Unimplemented(
            "FRAMEWORK_NOT_SUPPORTED", f"LocalAML does not support the framework {value!r}: run the script with Python."
        )
    if framework not in _FRAMEWORKS:
        raise InvalidArgument(
            "FRAMEWORK_UNKNOWN", f"{value[:64]!r} is not a framework: use Python, TensorFlow, PyTorch, Chainer or CNTK."
        )


def _launch(value: str, framework: str) -> Launch:
    communicator = value.lower()
    if communicator in ("", "none"):
        return Launch.SINGLE
    if communicator in _MPI:
        return Launch.MPI
    if communicator in _FRAMEWORKS_OF:
        allowed = _FRAMEWORKS_OF[communicator]
        if framework.lower() not in allowed:
            name = {"tensorflow": "TensorFlow", "pytorch": "PyTorch"}[allowed[0]]
            raise InvalidArgument(
                "DISTRIBUTED_BACKEND_OF_OTHER_FRAMEWORK",
                f"The distributed backend {value!r} belongs to the framework {name}, and the run's framework is "
                f"{framework!r}: set the framework to {name!r}, or use 'mpi'.",
                {"communicator": value, "framework": framework},
            )
        return Launch.PARAMETER_SERVER if communicator == _PARAMETER_SERVER else Launch.RENDEZVOUS
    if communicator in _OTHER_COMMUNICATORS:
        raise Unimplemented(
            "DISTRIBUTED_BACKEND_NOT_SUPPORTED",
            f"LocalAML does not support the distributed backend {value!r}: use 'mpi', parameter servers, Gloo or NCCL.",
            {"communicator": value},
        )
    raise InvalidArgument(
        "DISTRIBUTED_BACKEND_UNKNOWN",
        f"{value[:64]!r} is not a distributed backend: use Mpi, ParameterServer, Gloo or Nccl, or none.",
    )


@dataclass(frozen=True, slots=True)
class _Counts:
    nodes: int
    per_node: int = 1
    workers: int = 0
    servers: int = 0


def _counts(definition: _Definition, launch: Launch) -> _Counts:
    """Nodes and processes."""
    node_count = definition.node_count
    if launch is Launch.PARAMETER_SERVER:
        return _with_servers(definition, _at_least_1("node_count", node_count, "NODE_COUNT_INVALID"))
    wanted = {Launch.MPI: definition.mpi.node_count, Launch.RENDEZVOUS: definition.pytorch.node_count}.get(launch, 0)
    if wanted > 1 and node_count in (0, 1):
        node_count = wanted
    _at_least_1("node_count", node_count, "NODE_COUNT_INVALID")
    if launch is Launch.RENDEZVOUS:
        return _Counts(node_count, _ranks_per_node(definition.pytorch.process_count or node_count, node_count))
    per_node = _at_least_1("process_count_per_node", definition.mpi.process_count_per_node or 1)
    if per_node > _MAX_PROCESSES:
        raise _too_many("process_count_per_node", per_node)
    if launch is Launch.SINGLE and (node_count > 1 or per_node > 1):
        raise InvalidArgument(
            "DISTRIBUTED_BACKEND_MISSING",
            f"A run with {node_count} nodes and {per_node} processes on each needs a distributed backend: set "
            "distributed_backend='mpi' (or distributed_training=Mpi()), or use one node and one process.",
        )
    return _Counts(node_count, per_node)


def _with_servers(definition: _Definition, node_count: int) -> _Counts:
    part = definition.tensorflow
    workers = _at_least_1("worker_count", part.worker_count or 1)
    # None at all is what strategies without servers ask for (MultiWorkerMirroredStrategy).
    servers = part.parameter_server_count if part.HasField("parameter_server_count") else 1
    if servers < 0:
        raise InvalidArgument(
            "PROCESS_COUNT_INVALID", f"parameter_server_count must not be negative (it is {servers})."
        )
    if workers + servers > _MAX_PROCESSES:
        raise _too_many("worker_count + parameter_server_count", workers + servers)
    return _Counts(node_count, workers=workers, servers=servers)


def _ranks_per_node(process_count: int, node_count: int) -> int:
    _at_least_1("process_count", process_count)
    if process_count % node_count:
        raise InvalidArgument(
            "PROCESS_COUNT_INVALID",
            f"process_count {process_count} cannot be spread evenly over {node_count} nodes: use a multiple of "
            "node_count (process_count counts the processes of all nodes together).",
        )
    if process_count > _MAX_PROCESSES:
        raise _too_many("process_count", process_count)
    return process_count // node_count


def _at_least_1(what: str, value: int, reason: str = "PROCESS_COUNT_INVALID") -> int:
    if value < 1:
        raise InvalidArgument(reason, f"{what} must be at least 1 (it is {value}).")
    return value


def _too_many(what: str, value: int) -> InvalidArgument:
    return InvalidArgument(
        "PROCESS_COUNT_INVALID",
        f"{what} must be at most {_MAX_PROCESSES} (it is {value}): all nodes share this machine.",
    )


def _program(definition: _Definition) -> tuple[str, tuple[str, ...]]:
    """The script, or the command."""
    command = tuple(definition.command)
    if command and definition.script:
        raise InvalidArgument("SCRIPT_AND_COMMAND", "Give either a script with arguments or a command, not both.")
    if command:
        if not command[0].strip():
            raise InvalidArgument("COMMAND_EMPTY", "The command begins with an empty word: name a program.")
        return "", command
    if not definition.script:
        raise InvalidArgument("ENTRY_SCRIPT_MISSING", "The run has no entry script: set entry_script (or a command).")
    script = definition.script.replace("\\", "/")
    if script.startswith("/") or ".." in script.split("/") or re.match(r"[A-Za-z]:/", script):
        raise InvalidArgument(
            "ENTRY_SCRIPT_OUTSIDE",
            f"The entry script {definition.script[:200]!r} lies outside the source folder. "
            "Move it in, or choose a source folder that holds it; the entry script's path is relative to it.",
        )
    if script.lower().endswith(".ipynb"):
        raise InvalidArgument(
            "ENTRY_SCRIPT_IS_NOTEBOOK",
            f"The entry script {definition.script[:200]!r} is a notebook, which Python cannot run. Make a script of it "
            "(jupyter nbconvert --to script NOTEBOOK), or submit a script that runs it, by papermill for example.",
        )
    return check_relative_path(script, "entry script"), ()


def _check_snapshot(spec: JobSpec, snapshot: Snapshot | None) -> None:
    if not spec.script:
        return
    if snapshot is None:
        raise InvalidArgument("SNAPSHOT_MISSING", "A run with an entry script needs a snapshot of its source folder.")
    paths = [entry.path for entry in snapshot.entries]
    if spec.script in paths:
        return
    similar = _similar(spec.script, paths)
    hint = f"Did you mean {' or '.join(repr(path) for path in similar)}?" if similar else known(_scripts(paths))
    raise InvalidArgument(
        "ENTRY_SCRIPT_NOT_FOUND",
        f"There is no entry script {spec.script!r} in the source folder (or .amlignore leaves it out). {hint}",
        {"script": spec.script},
    )


def _similar(script: str, paths: list[str]) -> list[str]:
    same_name = [path for path in paths if posixpath.basename(path) == posixpath.basename(script)]
    # How long names are compared grows with the third power of their lengths.
    short = [path for path in _scripts(paths) if len(path) <= _LONGEST_COMPARED][:_MOST_COMPARED]
    close = difflib.get_close_matches(script, short, 3, 0.6) if len(script) <= _LONGEST_COMPARED else []
    return list(dict.fromkeys([*same_name[:3], *close]))[:3]


def _scripts(paths: Iterable[str]) -> list[str]:
    paths = list(paths)
    return [path for path in paths if path.endswith((".py", ".sh"))] or paths


def _reference(name: str, value: run_definition_pb2.DataReferenceConfiguration) -> DataReference:
    check_name("data reference", name)
    mode = _MODES.get(value.mode.lower() or "mount")
    if mode is None:
        raise InvalidArgument(
            "DATA_REFERENCE_MODE_UNKNOWN",
            f"Data reference {name!r} has the mode {value.mode[:64]!r}: use 'mount', 'download' or 'upload'.",
        )
    if not value.data_store_name:
        raise InvalidArgument("DATA_REFERENCE_INVALID", f"Data reference {name!r} names no datastore.")
    on_datastore = value.path_on_data_store.strip("/")
    if on_datastore not in ("", "."):
        on_datastore = check_relative_path(on_datastore, f"path on the datastore of data reference {name!r}")
    return DataReference(
        name=name,
        datastore=value.data_store_name,
        mode=mode,
        path_on_datastore="" if on_datastore == "." else on_datastore,
        path_on_compute=_path_on_compute(name, value.path_on_compute),
        overwrite=value.overwrite,
    )


def _check_data(reference: DataReference, datastore: Datastore) -> None:
    data_prefix(datastore)
    if reference.mode is DataMode.UPLOAD and is_for_artifacts(
        datastore.account_name, datastore.container_name, reference.path_on_datastore
    ):
        raise InvalidArgument(
            "ARTIFACTS_READ_ONLY",
            f"Data reference {reference.name!r}: {ARTIFACTS!r} of datastore {reference.datastore!r} holds artifacts of "
            "runs, which jobs can read and not write. Upload to another folder, or leave the files in ./outputs.",
            {"data_reference": reference.name},
        )


def _path_on_compute(name: str, path: str) -> str:
    """Relative to the work folder, or absolute: then `domain.node_folders` and `jobs.data` check where it leads."""
    if path in ("", "."):
        return ""
    checked = check_relative_path(path.lstrip("/"), f"path on the compute of data reference {name!r}")
    return f"/{checked}" if path.startswith("/") else checked


def _check_words(words: Iterable[str], references: set[str]) -> None:
    for word in words:
        if "\0" in word:
            raise InvalidArgument("ARGUMENT_INVALID", f"The argument {word[:64]!r} has a NUL character.")
        for name in _REFERENCE.findall(word):
            if name not in references:
                raise InvalidArgument(
                    "DATA_REFERENCE_UNKNOWN",
                    f"The argument {word[:200]!r} uses data reference {name!r}, which the run does not have. "
                    f"{known(references)} Name it in inputs, or pass the DataReference itself.",
                )


def _variables(definition: _Definition) -> dict[str, str]:
    variables = {**definition.environment.environment_variables, **definition.environment_variables}
    for name, value in variables.items():
        # A value goes to the processes as it is, with all its lines.
        check_variable_name(name)
        if "\0" in value:
            raise InvalidArgument(
                "ENVIRONMENT_VARIABLE_INVALID",
                f"The environment variable {name[:64]!r} cannot be set: its value has a NUL character.",
            )
    return variables
