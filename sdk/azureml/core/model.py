"""`Model`: files registered under a name in a workspace, counted in versions."""

from typing import TYPE_CHECKING, Any, Dict, List, Mapping, Optional

from azureml._localaml.labels import text_map
from azureml._localaml.lazy import lazy_names
from azureml._run_impl.run_base import name_list
from azureml.core._model_gaps import ModelGaps
from azureml.core._model_record import ModelRecord, message_of
from azureml.core._model_requests import (
    dataset_id,
    dataset_list,
    find_model,
    model_call,
    model_filter,
    registration,
    resources,
    webservice_exception,
)
from azureml.core.resource_configuration import ResourceConfiguration
from azureml.exceptions import AzureMLException, ModelNotFoundException

if TYPE_CHECKING:
    from azureml.core.workspace import Workspace

__all__ = ["Model", "ModelNotFoundException"]


class Model(ModelRecord, ModelGaps):
    """A version of a registered model.

    Args:
        workspace: the workspace.
        name: the model's name: its newest version that fits the other arguments.
        id: ``name:version``, or a name.
        tags, properties: names, or [name, value] pairs, that the version must have.
        version: a certain version.
        run_id: only a model of this run.
        model_framework: only a model of this framework.
        expand: accepted; run and datasets are fetched when they are asked for.

    Attributes:
        version: counts from 1 per name.
        created_time: aware UTC datetime.
        created_by: None: LocalAML knows no users.

    Raises:
        WebserviceException: there is none (its message begins with ``ModelNotFound``), or neither name nor id is given.
    """

    class Framework:
        """Names of frameworks, for `model_framework`."""

        CUSTOM = "Custom"
        TENSORFLOW = "TensorFlow"
        SCIKITLEARN = "ScikitLearn"
        ONNX = "Onnx"
        TFKERAS = "TfKeras"
        PYTORCH = "PyTorch"
        MULTI = "Multi"

    def __init__(
        self,
        workspace: "Workspace",
        name: Optional[str] = None,
        id: Optional[str] = None,
        tags: Any = None,
        properties: Any = None,
        version: Optional[int] = None,
        run_id: Optional[str] = None,
        model_framework: Optional[str] = None,
        expand: bool = True,
        **kwargs: Any,
    ) -> None:
        message = kwargs.pop("_message", None)
        if kwargs:
            raise TypeError("Model() got an unexpected keyword argument {!r}".format(next(iter(kwargs))))
        if message is None:
            message = find_model(workspace, name, id, tags, properties, version, run_id, model_framework)
        self.workspace = workspace
        self._take(message)

    # Registering and finding

    @staticmethod
    def register(
        workspace: "Workspace",
        model_path: str,
        model_name: str,
        tags: Optional[Mapping[str, Any]] = None,
        properties: Optional[Mapping[str, Any]] = None,
        description: Optional[str] = None,
        datasets: Any = None,
        model_framework: Optional[str] = None,
        model_framework_version: Optional[str] = None,
        child_paths: Optional[List[str]] = None,
        sample_input_dataset: Any = None,
        sample_output_dataset: Any = None,
        resource_configuration: Optional[ResourceConfiguration] = None,
    ) -> "Model":
        """Uploads a file or folder and registers it as the next version of a name.

        Args:
            model_path: the file or folder here; its own name is kept in the model.
            datasets: list of (purpose, dataset).
            child_paths: only these files and folders of the folder.

        Raises:
            FileNotFoundError: there is nothing at `model_path`.
            WebserviceException: the name is not a good one; a child path is missing.
        """
        from azureml.core import _model_files
        from azureml.exceptions import WebserviceException

        request = registration(
            workspace,
            model_name,
            tags,
            properties,
            description,
            datasets,
            model_framework,
            model_framework_version,
            sample_input_dataset,
            sample_output_dataset,
            resource_configuration,
        )
        files = _model_files.local_files(model_path, child_paths)
        print("Registering model {}".format(model_name))
        request["fileCount"] = str(len(files))
        request["uploadId"] = _model_files.upload(workspace, files)
        try:
            message = model_call(workspace, "RegisterModel", request)
        except WebserviceException as error:
            if error.reason != "MODEL_FILES_MISSING":
                raise
            # An emulator that was killed meanwhile has removed, at its next start, what was there of the upload.
            request["uploadId"] = _model_files.upload(workspace, files)
            message = model_call(workspace, "RegisterModel", request)
        return Model(workspace, _message=message)

    @staticmethod
    def list(
        workspace: "Workspace",
        name: Optional[str] = None,
        tags: Any = None,
        properties: Any = None,
        run_id: Optional[str] = None,
        latest: bool = False,
        dataset_id: Optional[str] = None,
        expand: bool = True,
        page_count: int = 255,
        model_framework: Optional[str] = None,
    ) -> "List[Model]":
        """The versions of all models, newest first. Filters: see the class.

        Args:
            latest: only the newest version of each name.
            page_count: how many are fetched at once.
        """
        request = model_filter(workspace, name, tags, properties, run_id, model_framework)
        request.update(latestOnly=bool(latest), datasetId=dataset_id or "", page={"pageSize": int(page_count)})
        try:
            found = [
                Model(workspace, _message=message)
                for message in workspace._client.pages("ModelService", "ListModels", request, "models")
            ]
        except AzureMLException as error:
            raise webservice_exception(error) from None
        return found

    # Files

    @staticmethod
    def get_model_path(model_name: str, version: Optional[int] = None, _workspace: "Optional[Workspace]" = None) -> str:
        """The path of a model's file or folder.

        Where a scoring environment has models (AZUREML_MODEL_DIR) it is looked for there. In a job, or with a
        workspace, it is fetched once to ``azureml-models/<name>/<version>`` below the current folder. Else it has to
        be there already, or in the current folder under its name.

        Args:
            version: default: the newest.

        Raises:
            ModelNotFoundException: it is nowhere.
            WebserviceException: the version's folder holds more than the model.
        """
        from azureml.core import _model_files

        return _model_files.model_path(model_name, version, _workspace)

    def download(self, target_dir: str = ".", exist_ok: bool = False, exists_ok: Optional[bool] = None) -> str:
        """Fetches the model's files.

        Args:
            target_dir: the folder to put them in; made when missing.
            exist_ok: replace files that are there.
            exists_ok: the old name of `exist_ok`.

        Returns:
            The path of the file, or of the folder.
        """
        from azureml.core import _model_files

        return _model_files.download(self, target_dir, exist_ok if exists_ok is None else exists_ok)

    def get_sas_urls(self) -> Dict[str, str]:
        """Addresses to fetch the model's files from for a short while, by path."""
        from azureml.core import _model_files

        return dict(_model_files.signed_urls(self))

    # Changing

    def add_tags(self, tags: Mapping[str, Any]) -> None:
        """Sets tags."""
        self._update(setTags=text_map(tags, "tags"))

    def remove_tags(self, tags: Any) -> None:
        """Removes tags by name. Missing ones are fine."""
        self._update(removeTags=name_list(tags, "tags"))

    def add_properties(self, properties: Mapping[str, Any]) -> None:
        """Adds properties. Raises WebserviceException for one that has another value already: they never change."""
        self._update(addProperties=text_map(properties, "properties"))

    def update_tags_properties(
        self,
        add_tags: Optional[Mapping[str, Any]] = None,
        remove_tags: Any = None,
        add_properties: Optional[Mapping[str, Any]] = None,
    ) -> None:
        """Several of the above at once."""
        self._update(
            setTags=text_map(add_tags or {}, "add_tags"),
            removeTags=name_list(remove_tags or (), "remove_tags"),
            addProperties=text_map(add_properties or {}, "add_properties"),
        )

    def add_dataset_references(self, datasets: Any) -> None:
        """Notes datasets: a list of (purpose, dataset)."""
        self._update(addDatasets=dataset_list(self.workspace, datasets))

    def update(
        self,
        tags: Optional[Mapping[str, Any]] = None,
        description: Optional[str] = None,
        sample_input_dataset: Any = None,
        sample_output_dataset: Any = None,
        resource_configuration: Optional[ResourceConfiguration] = None,
    ) -> None:
        """Changes what is not None; `tags` replace all tags."""
        request: Dict[str, Any] = {}
        if tags is not None:
            request.update(setTags=text_map(tags, "tags"), replaceTags=True)
        if description is not None:
            request["description"] = description
        if sample_input_dataset is not None:
            request["sampleInputDatasetId"] = dataset_id(self.workspace, sample_input_dataset)
        if sample_output_dataset is not None:
            request["sampleOutputDatasetId"] = dataset_id(self.workspace, sample_output_dataset)
        if resource_configuration is not None:
            request["resourceConfiguration"] = resources(resource_configuration)
        self._update(**request)

    def delete(self) -> None:
        """Removes this version with its files; its number is not given again."""
        model_call(self.workspace, "DeleteModel", self._key())

    def _key(self) -> Dict[str, Any]:
        return {"name": self._resource_name, "version": str(self.version)}

    def _update(self, **changes: Any) -> None:
        self._take(model_call(self.workspace, "UpdateModel", dict(changes, **self._key())))

    # As data

    @staticmethod
    def deserialize(workspace: "Workspace", model_payload: Mapping[str, Any]) -> "Model":
        """The model that `serialize` gave, as it was then. Raises UserErrorException for other data."""
        return Model(workspace, _message=message_of(workspace, model_payload))


# What Azure's module has for serving models.
_MISSING = frozenset(("InferenceConfig", "ModelPackage", "ModelProfile"))
# Names that projects import from here: Azure's module has them, because it uses them.
_LENT = {
    "ContainerRegistry": "azureml.core.container_registry",
    "Dataset": "azureml.core.dataset",
    "Environment": "azureml.core.environment",
    "Experiment": "azureml.core.experiment",
    "FileDataset": "azureml.data.file_dataset",
    "RunEnvironmentException": "azureml.exceptions",
    "TabularDataset": "azureml.data.tabular_dataset",
    "UserErrorException": "azureml.exceptions",
    "WebserviceException": "azureml.exceptions",
}

__getattr__, __dir__ = lazy_names(__name__, _LENT, _MISSING)
