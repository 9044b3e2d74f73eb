"""From the arguments of an estimator, of whatever kind, to a run configuration."""

from typing import Any, Dict, Mapping, Optional, Sequence

from azureml._localaml.deprecation import warn_deprecated
from azureml._run_impl.arguments import add_reference, flatten_script_params, is_data_reference, is_datastore
from azureml._run_impl.dataset_inputs import add_input, is_dataset_input
from azureml._run_impl.definition import target_name
from azureml._run_impl.resume import resume_arguments
from azureml.core.runconfig import RunConfiguration
from azureml.train._checks import count, one_of
from azureml.train.estimator._distribution import Backends, distribute
from azureml.train.estimator._environment import EnvironmentArguments

# Names of arguments in the course of time: the old one, and what it is called now.
_RENAMED = {
    "custom_docker_base_image": "custom_docker_image",
    "conda_dependencies_file_path": "conda_dependencies_file",
    "pip_requirements_file_path": "pip_requirements_file",
}


def given(variables: Mapping[str, Any]) -> Dict[str, Any]:
    """The arguments of a constructor: its local variables when it has none of its own yet."""
    return {name: value for name, value in variables.items() if name not in ("self", "__class__")}


def run_configuration(
    arguments: Mapping[str, Any],
    backends: Backends,
    estimator: str,
    packages: Sequence[str] = (),
    python: Optional[str] = None,
) -> RunConfiguration:
    """The run configuration of an estimator.

    Args:
        arguments: by their names in the signatures; some kinds do not have all of them.
        estimator: what the kind is called.
        packages: pip packages to install unless the arguments name them.
        python: the Python version that goes with them, unless the arguments name one.

    Raises:
        TrainingException, UserErrorException: see `Estimator`.
    """
    for old, new in _RENAMED.items():
        if arguments.get(old) is not None:
            warn_deprecated(old, new)
    script = arguments["entry_script"]
    config = RunConfiguration(script=script)
    config.script = script  # none is refused at submit, with a text that says so
    _set_target(config, arguments["compute_target"], arguments["vm_size"], arguments["vm_priority"])
    distribute(config, arguments, backends, estimator)
    config.environment = _environment(arguments, packages, python).make(arguments["source_directory"] or ".")
    config.arguments = flatten_script_params(arguments["script_params"] or {}, config.data_references, config.data)
    for value in arguments["inputs"] or ():
        _add_input(config, value)
    if arguments["resume_from"] is not None:
        config.arguments += resume_arguments(config, arguments["resume_from"])
    if arguments.get("source_directory_data_store") is not None:
        config.source_directory_data_store = target_name(arguments["source_directory_data_store"])
    if arguments["max_run_duration_seconds"] is not None:
        seconds = count(arguments["max_run_duration_seconds"], "max_run_duration_seconds")
        config.max_run_duration_seconds = seconds
    return config


def _environment(arguments: Mapping[str, Any], packages: Sequence[str], python: Optional[str]) -> EnvironmentArguments:
    current = {new: one_of(arguments[new], arguments.get(old), new, old) for old, new in _RENAMED.items()}
    return EnvironmentArguments(
        use_gpu=arguments.get("use_gpu", False),
        use_docker=arguments["use_docker"],
        custom_docker_image=current["custom_docker_image"],
        image_registry_details=arguments["image_registry_details"],
        user_managed=arguments["user_managed"],
        conda_packages=arguments["conda_packages"],
        pip_packages=arguments["pip_packages"],
        conda_dependencies_file=current["conda_dependencies_file"],
        pip_requirements_file=current["pip_requirements_file"],
        environment_variables=arguments["environment_variables"],
        environment_definition=arguments["environment_definition"],
        shm_size=arguments["shm_size"],
        default_packages=packages,
        default_python=python,
    )


def _set_target(
    config: RunConfiguration, compute_target: Any, vm_size: Optional[str], vm_priority: Optional[str]
) -> None:
    from azureml.exceptions import TrainingException

    if compute_target is None and not vm_size:
        raise TrainingException("Either compute_target or vm_size must be given.")
    if vm_priority is not None and str(vm_priority).lower() not in ("dedicated", "lowpriority"):
        raise TrainingException("vm_priority must be 'dedicated' or 'lowpriority', not {!r}.".format(vm_priority))
    if compute_target is not None:
        if not isinstance(compute_target, str) and not hasattr(compute_target, "name"):
            raise TrainingException(
                "compute_target must be a ComputeTarget or a name, not {!r}.".format(compute_target)
            )
        config.target = compute_target
        if config.target != "amlcompute":
            return
    config.target = "amlcompute"
    config.amlcompute.vm_size = vm_size
    config.amlcompute.vm_priority = vm_priority


def _add_input(config: RunConfiguration, value: Any) -> None:
    from azureml.exceptions import UserErrorException

    if is_dataset_input(value):
        add_input(value, config.data)
        return
    if is_datastore(value):
        value = value.as_mount()
    if not is_data_reference(value):
        raise UserErrorException(
            "inputs must hold DataReference objects or named datasets (as_named_input), not {}.".format(
                type(value).__name__
            )
        )
    add_reference(value, config.data_references)
