"""The public signatures, against tables of names and defaults of azureml-core / azureml-train-core 1.0.8 and 1.61.

The tables are facts read off the published packages. A signature must take every argument of both, under its name and
with its default; where it takes arguments by position, in the order of 1.61.
"""

from __future__ import annotations

import ast
import importlib
import inspect
from typing import Any

import pytest

_ESTIMATOR_1_0_8 = (
    "source_directory, *, compute_target=None, vm_size=None, vm_priority=None, entry_script=None, script_params=None, "
    "node_count=1, process_count_per_node=1, distributed_backend=None, use_gpu=False, use_docker=True, "
    "custom_docker_base_image=None, conda_packages=None, pip_packages=None, pip_requirements_file_path=None, "
    "environment_definition=None, inputs=None, source_directory_data_store=None"
)
_ESTIMATOR_1_61 = (
    "source_directory, *, compute_target=None, vm_size=None, vm_priority=None, entry_script=None, script_params=None, "
    "node_count=1, process_count_per_node=1, distributed_backend=None, distributed_training=None, use_gpu=False, "
    "use_docker=True, custom_docker_base_image=None, custom_docker_image=None, image_registry_details=None, "
    "user_managed=False, conda_packages=None, pip_packages=None, conda_dependencies_file_path=None, "
    "pip_requirements_file_path=None, conda_dependencies_file=None, pip_requirements_file=None, "
    "environment_variables=None, environment_definition=None, inputs=None, source_directory_data_store=None, "
    "shm_size=None, resume_from=None, max_run_duration_seconds=None, _disable_validation=True, "
    "_show_lint_warnings=False, _show_package_warnings=False"
)
_FRAMEWORK_1_61 = _ESTIMATOR_1_61.replace(
    "_disable_validation", "framework_version=None, _enable_optimized_mode=False, _disable_validation"
)
_SERVERS = "process_count_per_node=1, worker_count=1, parameter_server_count=1"
# 1.0.8 has no Chainer, and no SKLearn.
_CHAINER_1_0_17 = _ESTIMATOR_1_0_8.replace(
    "custom_docker_base_image=None", "custom_docker_image=None, image_registry_details=None, user_managed=False"
)
_SKLEARN_1_61 = (
    "source_directory, *, compute_target=None, vm_size=None, vm_priority=None, entry_script=None, script_params=None, "
    "use_docker=True, custom_docker_image=None, image_registry_details=None, user_managed=False, conda_packages=None, "
    "pip_packages=None, conda_dependencies_file_path=None, pip_requirements_file_path=None, "
    "conda_dependencies_file=None, pip_requirements_file=None, environment_variables=None, "
    "environment_definition=None, inputs=None, shm_size=None, resume_from=None, max_run_duration_seconds=None, "
    "framework_version=None, _enable_optimized_mode=False, _disable_validation=True, _show_lint_warnings=False, "
    "_show_package_warnings=False"
)
_REGISTER_MODEL_1_61 = (
    "model_name, model_path=None, tags=None, properties=None, model_framework=None, model_framework_version=None, "
    "description=None, datasets=None, sample_input_dataset=None, sample_output_dataset=None, "
    "resource_configuration=None, **kwargs"
)

# Names in defaults.
_CONSTANTS = {
    "MAX_DURATION_SECONDS_DEFAULT": 2592000,
    "_DEFAULT_SHM_SIZE": "2g",
    "CPU": "cpu",
    "ActiveOnly": "ActiveOnly",
    # LocalAML takes a Python that the machine has; Azure pins 3.6.2 (1.0.8) or 3.8.13 (1.61).
    "PYTHON_DEFAULT_VERSION": None,
}

_RUN_1_0_8 = {
    "__init__": "experiment, run_id, outputs=None, **kwargs",
    "get_context": "allow_offline=True, **kwargs",
    "get_submitted_run": "**kwargs",
    "add_type_provider": "runtype, run_factory",
    "list": (
        "experiment, type=None, tags=None, properties=None, status=None, include_children=False, _rehydrate_runs=True"
    ),
    "get_status": "",
    "get_details": "",
    "get_children": "recursive=False, tags=None, properties=None, type=None, status=None, _rehydrate_runs=True",
    "get_metrics": "name=None, recursive=False, run_type=None, populate=False",
    "start": "",
    "complete": "",
    "fail": "",
    "__enter__": "",
    "__exit__": "exit_type, value, traceback",
    "child_run": "name=None, run_id=None, outputs=None",
    "tag": "key, value=None",
    "set_tags": "tags",
    "get_tags": "",
    "add_properties": "properties",
    "get_properties": "",
    "log": "name, value, description=''",
    "log_list": "name, value, description=''",
    "log_row": "name, description=None, **kwargs",
    "log_table": "name, value, description=''",
    "log_confusion_matrix": "name, value, description=''",
    "log_accuracy_table": "name, value, description=''",
    "log_residuals": "name, value, description=''",
    "log_predictions": "name, value, description=''",
    "log_image": "name, path=None, plot=None",
    "upload_file": "name, path_or_stream",
    "get_file_names": "",
    "download_file": "name, output_file_path=None",
    "take_snapshot": "file_or_folder_path",
    "restore_snapshot": "snapshot_id=None, path=None",
    "get_snapshot_id": "",
    "register_model": "model_name, model_path=None, tags=None, properties=None, **kwargs",
}
_RUN_1_61 = {
    "get_context": "allow_offline=True, used_for_context_manager=False, **kwargs",
    "get_secret": "name",
    "get_secrets": "secrets",
    "list_by_compute": "compute, type=None, tags=None, properties=None, status=None",
    "get": "workspace, run_id",
    "submit_child": "config, tags=None, **kwargs",
    "wait_for_completion": "show_output=False, wait_post_processing=False, raise_on_error=True",
    "clean": "",
    "get_all_logs": "destination=None",
    "get_details_with_logs": "",
    "get_detailed_status": "",
    "get_environment": "",
    "complete": "_set_status=True",
    "fail": "error_details=None, error_code=None, _set_status=True",
    "cancel": "",
    "flush": "timeout_seconds=300",
    "create_children": "count=None, tag_key=None, tag_values=None",
    "remove_tags": "tags",
    "log": "name, value, description='', step=None",
    "log_image": "name, path=None, plot=None, description=''",
    "upload_file": "name, path_or_stream, datastore_name=None",
    "upload_folder": "name, path, datastore_name=None",
    "upload_files": "names, paths, return_artifacts=False, timeout_seconds=None, datastore_name=None",
    "download_file": "name, output_file_path=None, _validate_checksum=False",
    "download_files": (
        "prefix=None, output_directory=None, output_paths=None, batch_size=100, append_prefix=True, "
        "timeout_seconds=None"
    ),
    "register_model": _REGISTER_MODEL_1_61,
}
_RUN_PROPERTIES = "id name display_name description type number parent status experiment tags properties"

_EXPERIMENT_1_0_8 = {
    "__init__": "workspace, name, **kwargs",
    "submit": "config, tags=None, **kwargs",
    "start_logging": "*args, **kwargs",
    "from_directory": "path, auth=None",
    "get_runs": "type=None, tags=None, properties=None, include_children=False",
    "list": "workspace",
    "get_docs_url": "",
}
_EXPERIMENT_1_61 = {
    "__init__": (
        "workspace, name, _skip_name_validation=False, _id=None, _archived_time=None, _create_in_cloud=True, "
        "_experiment_dto=None, **kwargs"
    ),
    "archive": "",
    "reactivate": "new_name=None",
    "tag": "key, value=None",
    "set_tags": "tags",
    "remove_tags": "tags",
    "refresh": "",
    "list": "workspace, experiment_name=None, view_type=ActiveOnly, tags=None",
    "delete": "workspace, experiment_id",
}
_CONDA = {
    "__init__": "conda_dependencies_file_path=None, _underlying_structure=None",
    "create": (
        "pip_indexurl=None, pip_packages=None, conda_packages=None, python_version=PYTHON_DEFAULT_VERSION, "
        "pin_sdk_version=True"
    ),
    "merge_requirements": "requirements",
    "sdk_origin_url": "",
    "set_pip_index_url": "index_url",
    "get_default_number_of_packages": "",
    "get_python_version": "",
    "set_python_version": "version",
    "add_channel": "channel",
    "remove_channel": "channel",
    "add_conda_package": "conda_package",
    "remove_conda_package": "conda_package",
    "add_pip_package": "pip_package",
    "set_pip_option": "pip_option",
    "remove_pip_option": "pip_option",
    "remove_pip_package": "pip_package",
    "set_pip_requirements": "pip_requirements",
    "add_cntk_package": "core_type=CPU",
    "add_tensorflow_pip_package": "core_type=CPU, version=None",
    "add_tensorflow_conda_package": "core_type=CPU, version=None",
    "save_to_file": "base_directory, conda_file_path=None",
    "save": "path=None",
    "serialize_to_string": "",
    "as_dict": "",
}
_ENVIRONMENT = {
    "__init__": "name, **kwargs",
    "register": "workspace",
    "label": "workspace, name, version, labels",
    "clone": "new_name",
    "get": "workspace, name, version=None, label=None",
    "list": "workspace",
    "from_dockerfile": "name, dockerfile, conda_specification=None, pip_requirements=None",
    "from_docker_image": "name, image, container_registry=None, conda_specification=None, pip_requirements=None",
    "from_docker_build_context": "name, docker_build_context",
    "from_conda_specification": "name, file_path",
    "from_existing_conda_environment": "name, conda_environment_name",
    "from_pip_requirements": "name, file_path, pip_version=None",
    "add_private_pip_wheel": "workspace, file_path, exist_ok=False",
    "get_image_details": "workspace",
    "build": "workspace, image_build_compute=None",
    "build_local": "workspace, platform=None, **kwargs",
    "save_to_directory": "path, overwrite=False",
    "load_from_directory": "path",
}

# (module, class, {method: arguments})
_TABLE = [
    ("azureml.core.run", "Run", _RUN_1_0_8),
    ("azureml.core.run", "Run", _RUN_1_61),
    (
        "azureml.core.script_run",
        "ScriptRun",
        {"__init__": "experiment, run_id, directory=None, _run_config=None, **kwargs"},
    ),
    ("azureml.core.script_run", "ScriptRun", {"wait_for_completion": "show_output=False, wait_post_processing=False"}),
    ("azureml.core.experiment", "Experiment", _EXPERIMENT_1_0_8),
    ("azureml.core.experiment", "Experiment", _EXPERIMENT_1_61),
    (
        "azureml.core.script_run_config",
        "ScriptRunConfig",
        {
            "__init__": (
                "source_directory, script=None, arguments=None, run_config=None, _telemetry_values=None, "
                "compute_target=None, environment=None, distributed_job_config=None, resume_from=None, "
                "max_run_duration_seconds=MAX_DURATION_SECONDS_DEFAULT, command=None, docker_runtime_config=None"
            )
        },
    ),
    (
        "azureml.core.runconfig",
        "RunConfiguration",
        {
            "__init__": (
                "script=None, arguments=None, framework=None, communicator=None, conda_dependencies=None, "
                "_history_enabled=None, _path=None, _name=None, command=None"
            ),
            "save": "path=None, name=None, separate_environment_yaml=False",
            "load": "path, name=None",
            "delete": "path, name",
        },
    ),
    ("azureml.core.runconfig", "MpiConfiguration", {"__init__": "process_count_per_node=1, node_count=1"}),
    ("azureml.core.runconfig", "TensorflowConfiguration", {"__init__": "worker_count=1, parameter_server_count=1"}),
    (
        "azureml.core.runconfig",
        "PyTorchConfiguration",
        {"__init__": "communication_backend='Nccl', process_count=None, node_count=1"},
    ),
    (
        "azureml.core.runconfig",
        "DataReferenceConfiguration",
        {
            "__init__": (
                "datastore_name=None, mode='mount', path_on_datastore=None, path_on_compute=None, overwrite=False"
            )
        },
    ),
    (
        "azureml.core.runconfig",
        "DockerConfiguration",
        {"__init__": "use_docker=False, shared_volumes=True, arguments=[], shm_size=_DEFAULT_SHM_SIZE"},
    ),
    ("azureml.core.runconfig", "EnvironmentDefinition", {"__init__": "name=None"}),
    ("azureml.core.runconfig", "AmlComputeConfiguration", {"__init__": ""}),
    ("azureml.core.runconfig", "HistoryConfiguration", {"__init__": ""}),
    ("azureml.core.runconfig", "SparkConfiguration", {"__init__": ""}),
    ("azureml.core.runconfig", "HdiConfiguration", {"__init__": ""}),
    ("azureml.core.runconfig", "ParallelTaskConfiguration", {"__init__": ""}),
    (
        "azureml.core.runconfig",
        "Data",
        {
            "__init__": (
                "data_location=None, create_output_directories=None, mechanism='direct', "
                "environment_variable_name=None, path_on_compute=None, overwrite=False, options=None"
            ),
            "create": "data",
        },
    ),
    (
        "azureml.core.runconfig",
        "OutputData",
        {"__init__": "output_location=None, mechanism='mount', additional_options=None"},
    ),
    (
        "azureml.core.runconfig",
        "ApplicationEndpointConfiguration",
        {"__init__": "type=None, port=None, properties=None"},
    ),
    ("azureml.core.runconfig", "ContainerRegistry", {"__init__": ""}),
    ("azureml.core.runconfig", "PythonEnvironment", {"__init__": ""}),
    ("azureml.core.runconfig", "DockerEnvironment", {"__init__": ""}),
    ("azureml.core.container_registry", "ContainerRegistry", {"__init__": ""}),
    ("azureml.core.environment", "Environment", _ENVIRONMENT),
    ("azureml.core.environment", "PythonSection", {"__init__": "**kwargs"}),
    ("azureml.core.environment", "DockerSection", {"__init__": "**kwargs"}),
    (
        "azureml.core.environment",
        "DockerBuildContext",
        {
            "__init__": "location_type=None, location=None, dockerfile_path='Dockerfile'",
            "from_local_directory": "workspace, path, dockerfile_path='Dockerfile'",
        },
    ),
    ("azureml.core.conda_dependencies", "CondaDependencies", _CONDA),
    ("azureml.train.estimator", "Estimator", {"__init__": _ESTIMATOR_1_0_8}),
    ("azureml.train.estimator", "Estimator", {"__init__": _ESTIMATOR_1_61}),
    (
        "azureml.train.estimator",
        "MMLBaseEstimator",
        {"__init__": "source_directory, *, compute_target, estimator_config=None"},
    ),
    ("azureml.train.dnn", "PyTorch", {"__init__": _ESTIMATOR_1_0_8}),
    ("azureml.train.dnn", "PyTorch", {"__init__": _FRAMEWORK_1_61, "get_supported_versions": ""}),
    ("azureml.train.dnn", "TensorFlow", {"__init__": _ESTIMATOR_1_0_8.replace("process_count_per_node=1", _SERVERS)}),
    ("azureml.train.dnn", "TensorFlow", {"__init__": _FRAMEWORK_1_61.replace("process_count_per_node=1", _SERVERS)}),
    ("azureml.train.dnn", "Chainer", {"__init__": _CHAINER_1_0_17}),
    ("azureml.train.dnn", "Chainer", {"__init__": _FRAMEWORK_1_61}),
    ("azureml.train.sklearn", "SKLearn", {"__init__": _SKLEARN_1_61}),
    ("azureml.train.dnn", "Gloo", {"__init__": ""}),
    ("azureml.train.dnn", "Nccl", {"__init__": ""}),
    ("azureml.train.dnn", "Mpi", {"__init__": "process_count_per_node=1"}),
    ("azureml.train.dnn", "ParameterServer", {"__init__": "worker_count=1, parameter_server_count=1"}),
    ("azureml.telemetry", "", {"set_diagnostics_collection": "send_diagnostics=True, verbosity=20"}),
    ("azureml.core.run", "", {"get_run": "experiment, run_id, rehydrate=True, clean_up=True"}),
]
_CASES = [
    pytest.param(module, cls, method, arguments, id=f"{cls}.{method}({arguments[:30]})")
    for module, cls, methods in _TABLE
    for method, arguments in methods.items()
]

# (module, class, attributes of an object)
_ATTRIBUTES = [
    (
        "azureml.core.runconfig",
        "RunConfiguration",
        "script command arguments framework communicator auto_prepare_environment max_run_duration_seconds node_count "
        "priority environment history spark docker hdi tensorflow mpi pytorch paralleltask data_references data "
        "datacaches output_data amlcompute kubernetescompute services source_directory_data_store "
        "auto_cluster_compute_specification credential_passthrough environment_variables target",
    ),
    ("azureml.core.runconfig", "EnvironmentDefinition", "python environment_variables docker spark databricks"),
    (
        "azureml.core.runconfig",
        "PythonEnvironment",
        "interpreter_path user_managed_dependencies conda_dependencies_file conda_dependencies",
    ),
    (
        "azureml.core.runconfig",
        "DockerEnvironment",
        "enabled gpu_support shared_volumes arguments base_image base_image_registry base_dockerfile shm_size platform "
        "build_context",
    ),
    ("azureml.core.runconfig", "HistoryConfiguration", "output_collection snapshot_project directories_to_watch"),
    ("azureml.core.runconfig", "AmlComputeConfiguration", "vm_size vm_priority"),
    (
        "azureml.core.runconfig",
        "DataReferenceConfiguration",
        "data_store_name path_on_data_store path_on_compute mode overwrite",
    ),
    ("azureml.core.container_registry", "ContainerRegistry", "address username password registry_identity"),
    (
        "azureml.core.environment",
        "RSection",
        "r_version user_managed rscript_path snapshot_date cran_packages github_packages custom_url_packages "
        "bioconductor_packages",
    ),
]


def _wanted(arguments: str) -> dict[str, inspect.Parameter]:
    """The parameters of a table's entry."""
    node = ast.parse(f"def f({arguments}): pass").body[0]
    assert isinstance(node, ast.FunctionDef)
    for name in ast.walk(node.args):
        if isinstance(name, ast.Name):
            assert name.id in _CONSTANTS, f"{name.id} is a constant that the test does not know"
    space: dict[str, Any] = {}
    exec(f"def f({arguments}): pass", dict(_CONSTANTS), space)
    return dict(inspect.signature(space["f"]).parameters)


def _ours(module: str, cls: str, method: str) -> dict[str, inspect.Parameter]:
    holder: Any = importlib.import_module(module)
    if cls:
        holder = getattr(holder, cls)
    parameters = dict(inspect.signature(getattr(holder, method)).parameters)
    parameters.pop("self", None)
    return parameters


@pytest.mark.parametrize(("module", "cls", "method", "arguments"), _CASES)
def test_arguments(module: str, cls: str, method: str, arguments: str) -> None:
    ours = _ours(module, cls, method)
    catches_all = any(item.kind is item.VAR_KEYWORD for item in ours.values())
    by_position = [name for name, item in ours.items() if item.kind is item.POSITIONAL_OR_KEYWORD]
    wanted_by_position = []
    for name, wanted in _wanted(arguments).items():
        if wanted.kind in (wanted.VAR_KEYWORD, wanted.VAR_POSITIONAL):
            assert any(item.kind is wanted.kind for item in ours.values()), f"{cls}.{method} must take {wanted}"
            continue
        assert name in ours or catches_all, f"{cls}.{method} must take {name}"
        if name not in ours:
            continue
        assert ours[name].default == wanted.default, f"{cls}.{method}: the default of {name}"
        if wanted.kind is wanted.POSITIONAL_OR_KEYWORD:
            wanted_by_position.append(name)
    if cls != "Experiment" or method != "list":
        assert by_position[: len(wanted_by_position)] == wanted_by_position, "arguments by position, in their order"


@pytest.mark.parametrize(("module", "cls", "attributes"), _ATTRIBUTES)
def test_attributes(module: str, cls: str, attributes: str) -> None:
    value = getattr(importlib.import_module(module), cls)()
    for name in attributes.split():
        assert hasattr(value, name), f"{cls} must have {name}"


def test_run_properties() -> None:
    from azureml.core.run import Run

    for name in _RUN_PROPERTIES.split():
        assert isinstance(getattr(Run, name), property), f"Run.{name} must be a property"
    for name in ("display_name", "description"):
        assert getattr(Run, name).fset is not None, f"Run.{name} must be settable"


def test_a_misspelled_attribute_is_refused() -> None:
    from azureml.core.runconfig import RunConfiguration

    with pytest.raises(AttributeError, match=r"no attribute 'enviroment'.*environment"):
        RunConfiguration().enviroment = None
