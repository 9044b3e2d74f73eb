"""Arguments of `Model`'s methods as requests to the emulator, and its errors as Azure's."""

import re
import uuid
from typing import TYPE_CHECKING, Any, Dict, Iterable, List, Mapping, Optional

from azureml._localaml.labels import text_map
from azureml._run_impl.run_base import tag_filter
from azureml.exceptions import AzureMLException, UserErrorException, WebserviceException

if TYPE_CHECKING:
    from azureml.core.workspace import Workspace

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,254}\Z")


def model_call(workspace: "Workspace", method: str, request: Dict[str, Any]) -> Dict[str, Any]:
    """A call of ModelService.

    Raises WebserviceException as Azure's SDK does; its message begins with ``ModelNotFound`` when that is it.
    """
    try:
        return workspace._client.call("ModelService", method, request)
    except AzureMLException as error:
        raise webservice_exception(error) from None


def webservice_exception(error: AzureMLException) -> AzureMLException:
    """What stands for an error of the emulator; one that is not the emulator's (nothing listens) stays itself."""
    if not error.grpc_code or error.reason.startswith(("MODEL_PATH_", "WORKSPACE_")):
        return error
    text = error.message
    if error.reason == "MODEL_NOT_FOUND":
        text = "ModelNotFound: " + text
    result = WebserviceException(text)
    result.reason, result.grpc_code, result.metadata = error.reason, error.grpc_code, error.metadata
    return result


def registration(
    workspace: "Workspace",
    model_name: str,
    tags: Any,
    properties: Any,
    description: Optional[str],
    datasets: Any,
    model_framework: Optional[str],
    model_framework_version: Optional[str],
    sample_input_dataset: Any,
    sample_output_dataset: Any,
    resource_configuration: Any,
) -> Dict[str, Any]:
    """What all ways of registering a model have in common.

    Raises WebserviceException: the name is not a good one (told here, before files are sent).
    """
    if not isinstance(model_name, str) or not _NAME.match(model_name):
        raise WebserviceException(
            "Error, provided model name is invalid: {!r}. Use 1 to 255 letters, digits, '-', '_' or '.', beginning "
            "with a letter or digit.".format(model_name)
        )
    request: Dict[str, Any] = {
        "parent": workspace._resource_name,
        "modelName": model_name,
        "description": description or "",
        "tags": text_map(tags or {}, "tags"),
        "properties": text_map(properties or {}, "properties"),
        "framework": model_framework or "",
        "frameworkVersion": model_framework_version or "",
        "datasets": dataset_list(workspace, datasets),
        "sampleInputDatasetId": dataset_id(workspace, sample_input_dataset),
        "sampleOutputDatasetId": dataset_id(workspace, sample_output_dataset),
        "requestId": str(uuid.uuid4()),
    }
    if resource_configuration is not None:
        request["resourceConfiguration"] = resources(resource_configuration)
    return request


def label_filter(wanted: Any, what: str) -> Dict[str, str]:
    """A filter as Azure takes it: a list of names and of [name, value] pairs. Empty values match any on the wire."""
    if wanted is None:
        return {}
    if isinstance(wanted, Mapping):
        return tag_filter(wanted, what)
    result: Dict[str, str] = {}
    for item in [wanted] if isinstance(wanted, str) else wanted:
        pair = [item] if isinstance(item, str) else list(item)
        if len(pair) not in (1, 2):
            raise UserErrorException(
                "{} must be a list of names or of [name, value] pairs, not {!r}.".format(what, wanted)
            )
        result[str(pair[0])] = str(pair[1]) if len(pair) == 2 and pair[1] is not None else ""
    return result


def dataset_list(workspace: "Workspace", datasets: Optional[Iterable[Any]]) -> List[Dict[str, str]]:
    """Pairs of purpose and dataset. Raises UserErrorException when they are none."""
    result = []
    for pair in datasets or ():
        if isinstance(pair, str) or not isinstance(pair, (tuple, list)) or len(pair) != 2:
            raise UserErrorException("datasets must be a list of (purpose, dataset) pairs, not of {!r}.".format(pair))
        result.append({"purpose": str(pair[0]), "datasetId": dataset_id(workspace, pair[1])})
    return result


def dataset_id(workspace: "Workspace", dataset: Any) -> str:
    """The id of a dataset; empty for None. One that was not registered is stored without a name, as in Azure.

    Raises UserErrorException: it is no dataset.
    """
    from azureml.data.abstract_dataset import AbstractDataset

    if dataset is None:
        return ""
    if not isinstance(dataset, AbstractDataset):
        raise UserErrorException("{!r} is no dataset of files or of a table.".format(dataset))
    return dataset._saved_id(workspace)


def resources(configuration: Any) -> Dict[str, Any]:
    """A ResourceConfiguration message."""
    values = {"cpu": configuration.cpu, "memoryInGb": configuration.memory_in_gb, "gpu": configuration.gpu}
    return {key: value for key, value in values.items() if value is not None}


def model_filter(
    workspace: "Workspace", name: Optional[str], tags: Any, properties: Any, run_id: Any, framework: Any
) -> Dict[str, Any]:
    """What ListModels filters by."""
    return {
        "parent": workspace._resource_name,
        "modelName": name or "",
        "tags": label_filter(tags, "tags"),
        "properties": label_filter(properties, "properties"),
        "runId": run_id or "",
        "framework": framework or "",
    }


def find_model(
    workspace: "Workspace",
    name: Optional[str],
    id: Optional[str],
    tags: Any,
    properties: Any,
    version: Optional[int],
    run_id: Optional[str],
    framework: Optional[str],
) -> Dict[str, Any]:
    """The message of the newest version that fits. Raises WebserviceException when there is none."""
    if id:
        name, _, number = id.partition(":")
        version = _number(number) if number else version
    if not name:
        raise WebserviceException("Error, one of id or name must be provided.")
    request = model_filter(workspace, name, tags, properties, run_id, framework)
    if version is not None or not any(request[key] for key in ("tags", "properties", "runId", "framework")):
        resource_name = "{}/models/{}".format(workspace._resource_name, name)
        number = str(_number(version)) if version is not None else "0"
        message = model_call(workspace, "GetModel", {"name": resource_name, "version": number})
        if _fits(message, request):
            return message
    else:
        found = model_call(workspace, "ListModels", dict(request, page={"pageSize": 1})).get("models")
        if found:
            message = found[0]
            return dict(message)
    raise WebserviceException("ModelNotFound: no version of the model {} in this workspace fits.".format(name))


def _fits(message: Mapping[str, Any], request: Mapping[str, Any]) -> bool:
    for key in ("tags", "properties"):
        there = message.get(key) or {}
        if any(name not in there or value not in ("", there[name]) for name, value in request[key].items()):
            return False
    return all(request[key] in ("", message.get(key) or "") for key in ("runId", "framework"))


def _number(version: Any) -> int:
    try:
        return int(version)
    except (TypeError, ValueError):
        raise WebserviceException("ModelNotFound: {!r} is not the version of a model.".format(version)) from None
