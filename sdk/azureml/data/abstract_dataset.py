"""What datasets of files and of tables have in common."""

import random
import uuid
from typing import TYPE_CHECKING, Any, ClassVar, Dict, List, Mapping, Optional, Type, TypeVar, Union

from azureml._localaml.labels import read_labels, text_map
from azureml._localaml.unsupported import unsupported
from azureml._localaml.wire import integer
from azureml.data._dataset_sources import shown_sources
from azureml.exceptions import UserErrorException

if TYPE_CHECKING:
    from azureml.core.workspace import Workspace
    from azureml.data.dataset_consumption_config import DatasetConsumptionConfig
    from azureml.data.dataset_factory import FileDatasetFactory, TabularDatasetFactory

_D = TypeVar("_D", bound="AbstractDataset")
_SERVICE = "DatasetService"
_FILE, _TABULAR = "DATASET_TYPE_FILE", "DATASET_TYPE_TABULAR"


class _Factories(type):
    """`AbstractDataset.File` and `.Tabular`, loaded when they are asked for."""

    @property
    def File(cls) -> "Type[FileDatasetFactory]":
        from azureml.data.dataset_factory import FileDatasetFactory

        return FileDatasetFactory

    @property
    def Tabular(cls) -> "Type[TabularDatasetFactory]":
        from azureml.data.dataset_factory import TabularDatasetFactory

        return TabularDatasetFactory


class AbstractDataset(metaclass=_Factories):
    """Which data belongs together, and how it is read; it holds none itself. `Dataset.File` and `Dataset.Tabular` make
    datasets."""

    _is_file: ClassVar[bool] = True

    def __init__(self) -> None:
        self._definition: Dict[str, Any] = {}
        self._workspace: Optional[Workspace] = None
        self._record: Optional[Dict[str, Any]] = None

    @classmethod
    def _new(
        cls: "Type[_D]", definition: Dict[str, Any], workspace: Any, record: Optional[Dict[str, Any]] = None
    ) -> "_D":
        made = cls()
        made._definition, made._workspace, made._record = definition, workspace, record
        return made

    # -- finding ------------------------------------------------------------------------------------------------------

    @staticmethod
    def get_by_name(workspace: "Workspace", name: str, version: Union[int, str] = "latest", **kwargs: Any) -> Any:
        """A registered dataset.

        Args:
            version: its number; ``latest`` is the newest.

        Raises:
            UserErrorException: there is none of that name or version.
        """
        if not isinstance(name, str) or not name:
            raise UserErrorException("The name of a dataset is text, not {!r}.".format(name))
        request: Dict[str, Any] = {"parent": workspace._resource_name, "datasetName": name}
        if version not in ("latest", None):
            if isinstance(version, bool) or not str(version).isdigit() or int(version) < 1:
                raise UserErrorException(
                    "The version of a dataset is a number from 1 on, or 'latest', not {!r}.".format(version)
                )
            request["version"] = int(version)
        return from_record(workspace, workspace._client.call(_SERVICE, "GetDataset", request))

    @staticmethod
    def get_by_id(workspace: "Workspace", id: str, **kwargs: Any) -> Any:
        """A dataset, registered or not, by its id. Raises UserErrorException when there is none."""
        if not isinstance(id, str) or not id:
            raise UserErrorException("The id of a dataset is text, not {!r}.".format(id))
        request = {"parent": workspace._resource_name, "datasetId": id}
        return from_record(workspace, workspace._client.call(_SERVICE, "GetDataset", request))

    @staticmethod
    def get_all(workspace: "Workspace") -> Dict[str, Any]:
        """The newest versions of all registered datasets, by name."""
        request = {"parent": workspace._resource_name, "latestOnly": True}
        found = workspace._client.pages(_SERVICE, "ListDatasets", request, "datasets")
        return {record["name"]: from_record(workspace, record) for record in found}

    # -- facts --------------------------------------------------------------------------------------------------------

    @property
    def id(self) -> Optional[str]:
        """The id; None for a dataset that was not stored yet."""
        return self._record_id

    @property
    def name(self) -> Optional[str]:
        """The registered name, or None."""
        return (self._record or {}).get("name") or None

    @property
    def version(self) -> Optional[int]:
        """The registered version, from 1; or None."""
        return integer(self._record or {}, "version") or None

    @property
    def description(self) -> Optional[str]:
        """The registered description, or None."""
        return (self._record or {}).get("description") or None

    @property
    def tags(self) -> Optional[Dict[str, Optional[str]]]:
        """The registered tags; None for a dataset that is not registered."""
        return read_labels((self._record or {}).get("tags")) if self.name else None

    @property
    def data_changed_time(self) -> Any:
        """Not supported."""
        raise unsupported("Dataset.data_changed_time")

    @property
    def partition_keys(self) -> List[str]:
        """Not supported: partitions are not kept apart."""
        raise unsupported("Dataset.partition_keys")

    def get_partition_key_values(self, partition_keys: Optional[List[str]] = None) -> Any:
        """Not supported."""
        raise unsupported("Dataset.get_partition_key_values")

    # -- registration -------------------------------------------------------------------------------------------------

    def register(
        self: "_D",
        workspace: "Workspace",
        name: str,
        description: Optional[str] = None,
        tags: Optional[Mapping[str, str]] = None,
        create_new_version: bool = False,
    ) -> "_D":
        """Stores the dataset under a name; returns the registered one.

        Args:
            create_new_version: when the name is taken: make this its next version. Else a dataset that equals the
                newest version is that version.

        Raises:
            UserErrorException: the name is taken by another dataset, or is not a good one.
        """
        if not isinstance(name, str) or not name:
            raise UserErrorException("The name of a dataset is text, not {!r}.".format(name))
        self._check_workspace(workspace)
        request = {
            "parent": workspace._resource_name,
            "datasetName": name,
            "definition": self._definition,
            "description": description or "",
            "tags": text_map({} if tags is None else tags, "tags"),
            "createNewVersion": bool(create_new_version),
            "requestId": str(uuid.uuid4()),
        }
        record = workspace._client.call(_SERVICE, "RegisterDataset", request)
        return type(self)._new(self._definition, workspace, record)

    def update(self: "_D", description: Optional[str] = None, tags: Optional[Mapping[str, str]] = None) -> "_D":
        """Changes the description and the tags (all of them) of this version. What is None stays."""
        request: Dict[str, Any] = {}
        if description is not None:
            request["description"] = description
        if tags is not None:
            wanted = text_map({} if tags is None else tags, "tags")
            request["setTags"] = wanted
            request["removeTags"] = [key for key in self.tags or {} if key not in wanted]
        return self._update(request)

    def add_tags(self: "_D", tags: Optional[Mapping[str, str]] = None) -> "_D":
        """Adds tags to this version; existing ones are replaced."""
        return self._update({"setTags": text_map({} if tags is None else tags, "tags")})

    def remove_tags(self: "_D", tags: Optional[List[str]] = None) -> "_D":
        """Removes tags of this version."""
        if isinstance(tags, str):
            raise UserErrorException("tags must be a list of names, not one name.")
        return self._update({"removeTags": [str(tag) for tag in tags or ()]})

    def unregister_all_versions(self) -> None:
        """Forgets all versions of this dataset's name. The data stays."""
        workspace = self._registered()
        request = {"parent": workspace._resource_name, "datasetName": self.name}
        workspace._client.call(_SERVICE, "UnregisterDataset", request)
        self._record = None

    def as_named_input(self, name: str) -> "DatasetConsumptionConfig":
        """The dataset as an input of a run."""
        from azureml.data.dataset_consumption_config import DatasetConsumptionConfig

        return DatasetConsumptionConfig(name, self)

    # -- inside -------------------------------------------------------------------------------------------------------

    @property
    def _record_id(self) -> Optional[str]:
        return (self._record or {}).get("datasetId")

    def _saved_id(self, workspace: "Workspace") -> str:
        """The dataset's id in a workspace, stored there without a name when it has none."""
        self._check_workspace(workspace)
        if self._record_id:
            return self._record_id
        request = {"parent": workspace._resource_name, "definition": self._definition}
        self._record = workspace._client.call(_SERVICE, "RegisterDataset", request)
        self._workspace = workspace
        return str(self._record["datasetId"])

    def _check_workspace(self, workspace: "Workspace") -> None:
        known = self._workspace
        if not hasattr(workspace, "_resource_name"):
            raise UserErrorException("A dataset needs a Workspace, not {!r}.".format(workspace))
        if known is not None and known._resource_name != workspace._resource_name:
            raise UserErrorException(
                "The dataset belongs to the workspace {!r} and cannot be used in {!r}.".format(
                    known.name, workspace.name
                )
            )

    def _registered(self) -> "Workspace":
        if not self.name or self._workspace is None:
            raise UserErrorException("This dataset is not registered: register it first.")
        return self._workspace

    def _update(self: "_D", request: Dict[str, Any]) -> "_D":
        workspace = self._registered()
        request.update(parent=workspace._resource_name, datasetId=self._record_id)
        self._record = workspace._client.call(_SERVICE, "UpdateDataset", request)
        return self

    def __str__(self) -> str:
        return "{}\n{}".format(type(self).__name__, self.__repr__())

    def __repr__(self) -> str:
        import json

        shown: Dict[str, Any] = {"source": shown_sources(self._definition), "definition": self._shown_steps()}
        if self.name:
            shown["registration"] = {
                "id": self.id,
                "name": self.name,
                "version": self.version,
                "description": self.description,
                "tags": self.tags,
                "workspace": str(self._workspace),
            }
        return json.dumps(shown, indent=2)

    def _shown_steps(self) -> List[str]:
        return ["GetFiles"]

    def __eq__(self, other: object) -> bool:
        return (
            type(self) is type(other)
            and isinstance(other, AbstractDataset)
            and (self._definition, self._record_id) == (other._definition, other._record_id)
        )

    __hash__ = None  # type: ignore[assignment]  # tags and description can change


def from_record(workspace: "Workspace", record: Dict[str, Any]) -> Any:
    """The dataset of a Dataset message."""
    from azureml.data.file_dataset import FileDataset
    from azureml.data.tabular_dataset import TabularDataset

    kind: Any = TabularDataset if record["definition"].get("datasetType") == _TABULAR else FileDataset
    return kind._new(record["definition"], workspace, record)


def definition(sources: List[Dict[str, str]], table: Optional[Dict[str, Any]] = None) -> Dict[str, Any]:
    """A definition of files, or of a table made of them."""
    if table is None:
        return {"datasetType": _FILE, "sources": sources}
    return {"datasetType": _TABULAR, "sources": sources, "table": table}


def chance(probability: Any, what: str, seed: Any) -> Dict[str, Any]:
    """A repeatable sample. Raises ValueError for what is no probability or seed."""
    if isinstance(probability, bool) or not isinstance(probability, (int, float)) or not 0 <= probability <= 1:
        raise ValueError("{} must be a number between 0.0 and 1.0.".format(what))
    if seed is None:
        seed = random.SystemRandom().getrandbits(31)
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 1 << 53:
        raise ValueError("seed must be a whole number from 0 on.")
    return {"probability": float(probability), "seed": seed, "complement": False}


def count(value: Any, least: int = 0) -> int:
    """A number of rows or files. Raises ValueError when it is none."""
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ValueError("count must be a positive integer")
    return value
