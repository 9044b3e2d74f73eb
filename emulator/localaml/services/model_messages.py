"""Models as proto messages, and what is in their payload."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from localaml.domain.models import Asset, Workspace
from localaml.domain.names import ChildName
from localaml.errors import InvalidArgument
from localaml.services.messages import of_record, timestamp
from localaml_proto.v1 import model_pb2

_MAX_TEXT = 32 * 1024
_MAX_DATASETS = 1000
_MAX_DATASET_TEXT = 255


def check_text(what: str, value: str) -> str:
    """Returns a text that is not too long. Raises InvalidArgument ``TEXT_TOO_LONG``."""
    if len(value) > _MAX_TEXT:
        raise InvalidArgument("TEXT_TOO_LONG", f"The {what} has {len(value)} characters; at most {_MAX_TEXT} are kept.")
    return value


def datasets_payload(datasets: Iterable[model_pb2.ModelDataset]) -> list[tuple[str, str]]:
    """Purposes and ids. Raises InvalidArgument ``MODEL_DATASET_INVALID``."""
    pairs = [(dataset.purpose, dataset.dataset_id) for dataset in datasets]
    if any(not dataset_id for _, dataset_id in pairs):
        raise InvalidArgument("MODEL_DATASET_INVALID", "A dataset of a model needs its id: register the dataset first.")
    if any(len(text) > _MAX_DATASET_TEXT for pair in pairs for text in pair):
        raise InvalidArgument(
            "MODEL_DATASET_INVALID", f"Purpose and id of a dataset have at most {_MAX_DATASET_TEXT} characters each."
        )
    return pairs


def with_datasets(payload: Mapping[str, Any], more: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """A payload with further datasets; one that is there already is not there twice.

    Raises InvalidArgument ``MODEL_DATASET_INVALID`` when they are too many.
    """
    pairs = [tuple(pair) for pair in payload.get("datasets", [])]
    pairs += [pair for pair in dict.fromkeys(more) if pair not in pairs]
    if len(pairs) > _MAX_DATASETS:
        raise InvalidArgument(
            "MODEL_DATASET_INVALID", f"The model would have {len(pairs)} datasets; at most {_MAX_DATASETS} are kept."
        )
    ids = list(dict.fromkeys(pair[1] for pair in pairs))
    return {**payload, "datasets": [list(pair) for pair in pairs], "dataset_ids": ids}


def resources_payload(resources: model_pb2.ResourceConfiguration) -> dict[str, float | None]:
    """What is set. Raises InvalidArgument ``RESOURCES_INVALID`` for a negative number."""
    values = {
        field: getattr(resources, field) if resources.HasField(field) else None
        for field in ("cpu", "memory_in_gb", "gpu")
    }
    if any(value is not None and not value >= 0 for value in values.values()):
        raise InvalidArgument(
            "RESOURCES_INVALID", "cpu, memory_in_gb and gpu of a resource configuration are not negative."
        )
    return values


@of_record("model")
def model_message(workspace: Workspace, asset: Asset) -> model_pb2.Model:
    """One version."""
    payload = asset.payload
    files = payload["files"]
    resources = payload.get("resources")
    return model_pb2.Model(
        name=str(ChildName(workspace.name, "models", asset.name)),
        version=asset.version,
        asset_id=asset.asset_id,
        description=asset.description,
        tags=asset.tags,
        properties=asset.properties,
        create_time=timestamp(asset.created_at),
        run_id=payload["run_id"],
        experiment=payload["experiment"],
        framework=payload["framework"],
        framework_version=payload["framework_version"],
        file_count=len(files),
        size_bytes=sum(size for _, size in files),
        datasets=[model_pb2.ModelDataset(purpose=purpose, dataset_id=id_) for purpose, id_ in payload["datasets"]],
        sample_input_dataset_id=payload["sample_input"],
        sample_output_dataset_id=payload["sample_output"],
        resource_configuration=_resources(resources) if resources is not None else None,
    )


def _resources(values: Mapping[str, Any]) -> model_pb2.ResourceConfiguration:
    return model_pb2.ResourceConfiguration(**{key: value for key, value in values.items() if value is not None})
