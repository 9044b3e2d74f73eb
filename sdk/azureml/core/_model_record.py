"""What a model's record says, as attributes and as plain data."""

from typing import TYPE_CHECKING, Any, Dict, List, Mapping, Optional

from azureml._localaml.labels import read_labels
from azureml._localaml.wire import integer, iso_time, timestamp
from azureml.core._model_requests import resources
from azureml.core.resource_configuration import ResourceConfiguration
from azureml.exceptions import UserErrorException

if TYPE_CHECKING:
    from azureml.core.run import Run
    from azureml.core.workspace import Workspace


class ModelRecord:
    """The part of `Model` that only reads what is known."""

    workspace: "Workspace"

    def _take(self, message: Mapping[str, Any]) -> None:
        self._resource_name = str(message["name"])
        self.name = self._resource_name.rpartition("/")[2]
        self.version = integer(message, "version")
        self.id = "{}:{}".format(self.name, self.version)
        self.description = message.get("description") or None
        self.tags: Dict[str, Optional[str]] = read_labels(message.get("tags"))
        self.properties: Dict[str, Optional[str]] = read_labels(message.get("properties"))
        self.model_framework = message.get("framework") or None
        self.model_framework_version = message.get("frameworkVersion") or None
        self.created_time = timestamp(message, "createTime")
        self._created_text = iso_time(message, "createTime")
        self.created_by = None
        self.mime_type = "application/octet-stream"
        self.unpack = False
        self.url = "aml://asset/{}".format(message.get("assetId", ""))
        self.experiment_name = message.get("experiment") or None
        self.run_id = message.get("runId") or None
        self._datasets = [
            (str(pair.get("purpose") or ""), str(pair["datasetId"])) for pair in message.get("datasets") or ()
        ]
        self._sample_input = message.get("sampleInputDatasetId") or None
        self._sample_output = message.get("sampleOutputDatasetId") or None
        found = message.get("resourceConfiguration")
        self.resource_configuration = (
            None
            if found is None
            else ResourceConfiguration(found.get("cpu"), found.get("memoryInGb"), found.get("gpu"))
        )

    # What belongs to it

    @property
    def run(self) -> "Optional[Run]":
        """The run that it comes from; None when it comes from none."""
        from azureml.core.run import Run

        return Run.get(self.workspace, self.run_id) if self.run_id else None

    @property
    def datasets(self) -> Dict[str, List[Any]]:
        """The datasets by purpose."""
        result: Dict[str, List[Any]] = {}
        for purpose, known in self._datasets:
            result.setdefault(purpose, []).append(self._dataset(known))
        return result

    @property
    def sample_input_dataset(self) -> Any:
        """The dataset given when it was registered, or None."""
        return self._dataset(self._sample_input)

    @property
    def sample_output_dataset(self) -> Any:
        """The dataset given when it was registered, or None."""
        return self._dataset(self._sample_output)

    def _dataset(self, known: Optional[str]) -> Any:
        if known is None:
            return None
        from azureml.core.dataset import Dataset

        return Dataset.get_by_id(self.workspace, known)

    # As data

    def serialize(self) -> Dict[str, Any]:
        """As plain data, with Azure's keys."""
        resource = self.resource_configuration
        return {
            "createdTime": self._created_text,
            "createdBy": self.created_by,
            "description": self.description,
            "id": self.id,
            "mimeType": self.mime_type,
            "name": self.name,
            "framework": self.model_framework,
            "frameworkVersion": self.model_framework_version,
            "tags": self.tags,
            "properties": self.properties,
            "unpack": self.unpack,
            "url": self.url,
            "version": self.version,
            "experimentName": self.experiment_name,
            "runId": self.run_id,
            "datasets": [{"name": purpose, "id": known} for purpose, known in self._datasets],
            "resourceConfiguration": None if resource is None else resource.serialize(),
            "sampleInputDatasetId": self._sample_input,
            "sampleOutputDatasetId": self._sample_output,
        }

    def __repr__(self) -> str:
        return "Model(workspace={!r}, name={}, id={}, version={}, tags={}, properties={})".format(
            self.workspace, self.name, self.id, self.version, self.tags, self.properties
        )


def message_of(workspace: "Workspace", model_payload: Mapping[str, Any]) -> Dict[str, Any]:
    """The Model message that `serialize` came from. Raises UserErrorException for other data."""
    try:
        name, version = model_payload["name"], int(model_payload["version"])
        resource = model_payload.get("resourceConfiguration")
        message = {
            "name": "{}/models/{}".format(workspace._resource_name, name),
            "version": version,
            "assetId": str(model_payload["url"]).rpartition("/")[2],
            "description": model_payload.get("description"),
            "tags": model_payload.get("tags"),
            "properties": model_payload.get("properties"),
            "createTime": model_payload["createdTime"],
            "framework": model_payload.get("framework"),
            "frameworkVersion": model_payload.get("frameworkVersion"),
            "experiment": model_payload.get("experimentName"),
            "runId": model_payload.get("runId"),
            "datasets": [
                {"purpose": pair["name"], "datasetId": pair["id"]} for pair in model_payload.get("datasets") or ()
            ],
            "sampleInputDatasetId": model_payload.get("sampleInputDatasetId"),
            "sampleOutputDatasetId": model_payload.get("sampleOutputDatasetId"),
        }
        if resource is not None:
            message["resourceConfiguration"] = resources(ResourceConfiguration.deserialize(resource))
    except (KeyError, TypeError, ValueError) as error:
        raise UserErrorException("This is not what Model.serialize gives: {!r}.".format(error)) from None
    return message
