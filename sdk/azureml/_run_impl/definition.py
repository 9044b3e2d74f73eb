"""From a `RunConfiguration` to the RunDefinition that the emulator gets, and back to what users are shown of it."""

from typing import TYPE_CHECKING, Any, Dict, List, Mapping, Optional

from azureml._localaml.path_text import path_text
from azureml._run_impl.arguments import as_words
from azureml._run_impl.dataset_inputs import SaveDataset, data_entries, not_saved, shown_data
from azureml._run_impl.dockerfiles import dockerfile_text
from azureml._run_impl.unused_settings import refuse_unsupported, settings_without_effect

if TYPE_CHECKING:
    from azureml.core.environment import Environment
    from azureml.core.runconfig import RunConfiguration

JsonObject = Dict[str, Any]


def target_name(target: Any) -> str:
    """The name of a compute target that is given as an object or by name. Raises UserErrorException for anything
    else."""
    from azureml.exceptions import UserErrorException

    name = target if isinstance(target, str) else getattr(target, "name", None)
    if not isinstance(name, str) or not name:
        raise UserErrorException("A compute target must be a ComputeTarget or its name, not {!r}.".format(target))
    return name


def whole_number(value: Any, what: str, least: int = 1) -> int:
    """`value` as an int. Raises UserErrorException when it is none or too small."""
    from azureml.exceptions import UserErrorException

    try:
        number = int(value)
        if isinstance(value, bool) or number != float(value):
            raise ValueError
    except (TypeError, ValueError):
        raise UserErrorException("{} must be a whole number, not {!r}.".format(what, value)) from None
    if number < least:
        raise UserErrorException("{} must be at least {}, not {}.".format(what, least, number))
    return number


def run_definition(config: "RunConfiguration", save_dataset: SaveDataset = not_saved) -> "JsonObject":
    """The RunDefinition (proto3 JSON) of a configuration.

    Args:
        save_dataset: stores a dataset in the run's workspace; returns its id.

    Raises:
        UserErrorException: something in it has no meaning, or is not supported.
    """
    from azureml.exceptions import UserErrorException

    refuse_unsupported(config)
    references = dict(config.data_references)
    inputs = dict(config.data)
    arguments = as_words(config.arguments or (), references, inputs)
    node_count = whole_number(config.node_count, "node_count")
    definition: JsonObject = {
        "arguments": arguments,
        "target": config.target,
        "framework": config.framework or "Python",
        "communicator": config.communicator or "None",
        "nodeCount": node_count,
        "environment": _environment(config.environment),
        "history": _without_none(
            {
                "outputCollection": bool(config.history.output_collection),
                "snapshotProject": bool(config.history.snapshot_project),
                "directoriesToWatch": [path_text(folder) for folder in config.history.directories_to_watch or ()],
            }
        ),
        "mpi": {
            "processCountPerNode": whole_number(config.mpi.process_count_per_node, "process_count_per_node"),
            "nodeCount": node_count,
        },
        "tensorflow": {
            "workerCount": whole_number(config.tensorflow.worker_count, "worker_count"),
            "parameterServerCount": whole_number(config.tensorflow.parameter_server_count, "parameter_server_count", 0),
        },
        "dataReferences": {name: _reference(name, reference) for name, reference in references.items()},
        "environmentVariables": _texts(config.environment_variables, "environment_variables"),
    }
    if config.command:
        if config.script or arguments:
            raise UserErrorException("Give either a script with arguments or a command, not both.")
        definition["command"] = _command(config.command, references, inputs)
        definition["dataReferences"] = {name: _reference(name, item) for name, item in references.items()}
    else:
        definition["script"] = config.script
    if inputs:
        definition["data"] = data_entries(inputs, save_dataset)
    if config.max_run_duration_seconds:
        seconds = whole_number(config.max_run_duration_seconds, "max_run_duration_seconds")
        definition["maxRunDurationSeconds"] = str(seconds)
    if config.communicator and config.communicator.lower() in ("nccl", "gloo"):
        processes = config.pytorch.process_count
        definition["pytorch"] = _without_none(
            {
                "communicationBackend": config.communicator,
                "processCount": None if processes is None else whole_number(processes, "process_count"),
                "nodeCount": node_count,
            }
        )
    if config.source_directory_data_store:
        definition["sourceDirectoryDataStore"] = target_name(config.source_directory_data_store)
    if config.target == "amlcompute":
        definition["amlcompute"] = _without_none(config.amlcompute._to_dict())
    # `use_docker` counts for nothing, as on AmlCompute: whether nodes are containers is the cluster's to say.
    if config.docker._to_dict() != type(config.docker)()._to_dict():
        definition["docker"] = _without_none(config.docker._to_dict())
    without_effect = settings_without_effect(config)
    if without_effect:
        definition["settingsWithoutEffect"] = without_effect
    return definition


def _environment(environment: "Environment") -> "JsonObject":
    python, docker = environment.python, environment.docker
    python_part: JsonObject = {
        "interpreterPath": python.interpreter_path or "python",
        "userManagedDependencies": bool(python.user_managed_dependencies),
        "baseCondaEnvironment": python._base_conda_environment,
    }
    if not python.user_managed_dependencies and python.conda_dependencies is not None:
        python_part["condaDependencies"] = python.conda_dependencies.as_dict()
    registry = docker.base_image_registry
    docker_part: JsonObject = {
        "enabled": bool(docker.enabled),
        "baseImage": docker.base_image,
        "baseDockerfile": dockerfile_text(docker.base_dockerfile),
        "sharedVolumes": bool(docker.shared_volumes),
        "gpuSupport": bool(docker.gpu_support),
        "shmSize": docker.shm_size,
        "arguments": [str(word) for word in docker.arguments or ()],
    }
    if registry is not None and (registry.address or registry.username):
        docker_part["baseImageRegistry"] = _without_none(registry._to_dict())
    return _without_none(
        {
            "name": environment.name,
            "version": environment.version,
            "python": _without_none(python_part),
            "docker": _without_none(docker_part),
            "environmentVariables": _texts(environment.environment_variables, "environment_variables"),
        }
    )


def _reference(name: str, reference: Any) -> "JsonObject":
    from azureml.exceptions import UserErrorException

    mode = str(reference.mode or "mount").lower()
    if mode not in ("mount", "download", "upload"):
        raise UserErrorException(
            "The data reference {!r} has the mode {!r}; use 'mount', 'download' or 'upload'.".format(
                name, reference.mode
            )
        )
    return _without_none(
        {
            "dataStoreName": reference.data_store_name,
            "mode": mode,
            "pathOnDataStore": reference.path_on_data_store,
            "pathOnCompute": reference.path_on_compute,
            "overwrite": bool(reference.overwrite),
        }
    )


def _command(command: Any, references: Any, inputs: Any) -> List[str]:
    # A whole line is the shell's, as in Azure (`&&`, `$VARIABLE`); a list is taken word by word.
    if isinstance(command, str):
        return ["/bin/sh", "-c", command]
    return as_words(command, references, inputs)


def _texts(values: Optional[Mapping[str, Any]], what: str) -> Dict[str, str]:
    from azureml.exceptions import UserErrorException

    if values is not None and not isinstance(values, Mapping):
        raise UserErrorException("{} must be a dict of name and value, not {!r}.".format(what, values))
    return {str(name): str(value) for name, value in (values or {}).items()}


def _without_none(values: "JsonObject") -> "JsonObject":
    return {key: value for key, value in values.items() if value is not None}


class RunDefinitionView(Dict[str, Any]):
    """A run definition for reading. Keys are answered in both spellings that Azure has used: `arguments` and
    `Arguments`."""

    def __missing__(self, key: str) -> Any:
        other = _other_spelling(key)
        if dict.__contains__(self, other):
            return dict.__getitem__(self, other)
        raise KeyError(key)

    def __contains__(self, key: object) -> bool:
        return dict.__contains__(self, key) or (isinstance(key, str) and dict.__contains__(self, _other_spelling(key)))

    def get(self, key: str, default: Any = None) -> Any:
        return self[key] if key in self else default  # noqa: SIM401 - it is what `get` is made of


def _other_spelling(key: str) -> str:
    return "amlCompute" if key.lower() == "amlcompute" else key[:1].swapcase() + key[1:]


def _view(value: Any) -> Any:
    if isinstance(value, dict):
        return RunDefinitionView((key, _view(item)) for key, item in value.items())
    return [_view(item) for item in value] if isinstance(value, list) else value


def shown_definition(definition: "JsonObject") -> "RunDefinitionView":
    """A run's definition as `get_details` shows it: all of Azure's keys, also those with default values."""
    environment = definition.get("environment") or {}
    docker, python = environment.get("docker") or {}, environment.get("python") or {}
    shown: JsonObject = {
        "script": definition.get("script"),
        "command": definition.get("command") or "",
        "useAbsolutePath": False,
        "arguments": definition.get("arguments") or [],
        "sourceDirectoryDataStore": definition.get("sourceDirectoryDataStore"),
        "framework": definition.get("framework") or "Python",
        "communicator": definition.get("communicator") or "None",
        "target": definition.get("target"),
        "dataReferences": {
            name: {
                "dataStoreName": reference.get("dataStoreName"),
                "mode": str(reference.get("mode") or "mount").capitalize(),
                "pathOnDataStore": reference.get("pathOnDataStore"),
                "pathOnCompute": reference.get("pathOnCompute"),
                "overwrite": reference.get("overwrite", False),
            }
            for name, reference in (definition.get("dataReferences") or {}).items()
        },
        "data": shown_data(definition.get("data") or {}),
        "outputData": {},
        "jobName": None,
        "autoPrepareEnvironment": True,
        "maxRunDurationSeconds": int(definition.get("maxRunDurationSeconds") or 0) or None,
        "nodeCount": definition.get("nodeCount") or 1,
        "environment": {
            "name": environment.get("name"),
            "version": environment.get("version"),
            "python": {
                "interpreterPath": python.get("interpreterPath") or "python",
                "userManagedDependencies": python.get("userManagedDependencies", False),
                "condaDependencies": python.get("condaDependencies") or {},
                "baseCondaEnvironment": python.get("baseCondaEnvironment"),
            },
            "environmentVariables": environment.get("environmentVariables") or {},
            "docker": {
                "baseImage": docker.get("baseImage"),
                "baseDockerfile": docker.get("baseDockerfile"),
                "enabled": docker.get("enabled", False),
                "sharedVolumes": docker.get("sharedVolumes", False),
                "gpuSupport": docker.get("gpuSupport", False),
                "shmSize": docker.get("shmSize"),
                "arguments": docker.get("arguments") or [],
                "baseImageRegistry": {
                    "address": (docker.get("baseImageRegistry") or {}).get("address"),
                    "username": (docker.get("baseImageRegistry") or {}).get("username"),
                    "password": None,
                },
            },
        },
        "history": {
            "outputCollection": (definition.get("history") or {}).get("outputCollection", True),
            "directoriesToWatch": (definition.get("history") or {}).get("directoriesToWatch") or [],
        },
        "amlCompute": {
            "name": (definition.get("amlcompute") or {}).get("name"),
            "vmSize": (definition.get("amlcompute") or {}).get("vmSize"),
            "vmPriority": (definition.get("amlcompute") or {}).get("vmPriority"),
            "retainCluster": (definition.get("amlcompute") or {}).get("retainCluster", False),
            "clusterMaxNodeCount": (definition.get("amlcompute") or {}).get("clusterMaxNodeCount"),
        },
        "tensorflow": {
            "workerCount": (definition.get("tensorflow") or {}).get("workerCount") or 1,
            # 0 is a count, too.
            "parameterServerCount": (definition.get("tensorflow") or {}).get("parameterServerCount", 1),
        },
        "mpi": {"processCountPerNode": (definition.get("mpi") or {}).get("processCountPerNode") or 1},
        "pytorch": {
            "communicationBackend": (definition.get("pytorch") or {}).get("communicationBackend"),
            "processCount": (definition.get("pytorch") or {}).get("processCount"),
        },
        "environmentVariables": definition.get("environmentVariables") or {},
    }
    view: RunDefinitionView = _view(shown)
    return view
