"""The datasets in a run definition: from messages to what a job is to read."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from localaml.domain.datasets import DatasetDefinition, definition_from_json
from localaml.domain.job import DatasetInput, DatasetMode
from localaml.domain.models import Asset
from localaml.domain.names import check_relative_path
from localaml.errors import InvalidArgument, Unimplemented
from localaml.jobs.datasets import CONSUMPTION, dataset_of
from localaml.jobs.datastore_data import data_prefix
from localaml.store.codec import known

if TYPE_CHECKING:
    from localaml.store import Store
    from localaml_proto.v1 import run_definition_pb2

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,254}")
_MODES = {mode.value: mode for mode in DatasetMode}
_NOT_SUPPORTED = ("hdfs", "upload", "link")
# What a process cannot do without is not an input's to take.
_RESERVED = re.compile(r"PATH|PYTHON\w*|HOME|LD_\w+|AZUREML_\w+|AZ_BATCH\w*|LOCALAML_\w+|OMPI_\w+", re.IGNORECASE)


def dataset_input(name: str, value: run_definition_pb2.DataConfiguration) -> DatasetInput:
    """One entry of a definition's `data`. Raises InvalidArgument, Unimplemented."""
    variable = value.environment_variable_name or name
    for text in (name, variable):
        if not _NAME.fullmatch(text) or _RESERVED.fullmatch(text):
            raise InvalidArgument(
                "DATASET_INPUT_INVALID",
                f"{text[:64]!r} cannot be the name of an input: use letters, digits and '_', no digit first, and no "
                "name that the job's own environment needs (PATH, AZUREML_...).",
            )
    mode = _MODES.get(value.mechanism.lower() or "direct")
    if mode is None:
        if value.mechanism.lower() in _NOT_SUPPORTED:
            raise Unimplemented(
                "DATASET_MECHANISM_NOT_SUPPORTED",
                f"LocalAML does not support the mechanism {value.mechanism!r} of input {name!r}: use 'direct', 'mount' "
                "or 'download'.",
            )
        raise InvalidArgument(
            "DATASET_INPUT_INVALID",
            f"Input {name!r} has the mechanism {value.mechanism[:64]!r}: use 'direct', 'mount' or 'download'.",
        )
    location = value.data_location.dataset
    if not location.id and not location.name:
        raise InvalidArgument("DATASET_INPUT_INVALID", f"Input {name!r} names no dataset: give its id, or its name.")
    return DatasetInput(
        name=name,
        mode=mode,
        dataset_id=location.id,
        dataset="" if location.id else location.name,
        version=_version(name, location.version),
        variable=variable,
        path_on_compute=_path_on_compute(name, value.path_on_compute),
        overwrite=value.overwrite,
    )


def check_datasets(
    inputs: Iterable[DatasetInput], store: Store, workspace_id: str, kept: run_definition_pb2.RunDefinition
) -> None:
    """Looks the datasets up, and notes in the definition which versions they were.

    Raises:
        NotFound: ``DATASET_NOT_FOUND``, ``DATASTORE_NOT_FOUND``.
        InvalidArgument: ``DATASET_INPUT_INVALID``: a table cannot be mounted.
        FailedPrecondition: ``DATASTORE_NOT_SUPPORTED``.
    """
    for each in inputs:
        asset = dataset_of(each, store, workspace_id)
        definition = definition_from_json(asset.payload)
        if definition.table is not None and each.mode is not DatasetMode.DIRECT:
            raise InvalidArgument(
                "DATASET_INPUT_INVALID",
                f"Input {each.name!r} is a tabular dataset: only datasets of files can be mounted or downloaded.",
            )
        _check_datastores(definition, store, workspace_id)
        _note(asset, kept.data[each.name])


def check_consumptions(words: Iterable[str], names: Iterable[str]) -> None:
    """Raises InvalidArgument ``DATASET_INPUT_UNKNOWN`` when a word uses an input that the run does not have."""
    there = set(names)
    for word in words:
        for name in CONSUMPTION.findall(word):
            if name not in there:
                raise InvalidArgument(
                    "DATASET_INPUT_UNKNOWN",
                    f"The argument {word[:200]!r} uses the dataset input {name!r}, which the run does not have. "
                    f"{known(there)} Pass the dataset itself, or name it in inputs.",
                )


def _note(asset: Asset, entry: run_definition_pb2.DataConfiguration) -> None:
    # The newest version may be another one when the run's turn comes.
    location = entry.data_location.dataset
    location.id = asset.asset_id
    location.name = asset.name
    location.version = str(asset.version) if asset.name else ""


def _check_datastores(definition: DatasetDefinition, store: Store, workspace_id: str) -> None:
    for source in definition.sources:
        if source.datastore:
            data_prefix(store.datastores.get(workspace_id, source.datastore))


def _version(name: str, text: str) -> int:
    if text in ("", "latest"):
        return 0
    if not (text.isascii() and text.isdigit() and int(text[:18]) > 0 and len(text) <= 18):
        raise InvalidArgument("DATASET_INPUT_INVALID", f"Input {name!r}: {text[:64]!r} is no version of a dataset.")
    return int(text)


def _path_on_compute(name: str, path: str) -> str:
    if path in ("", ".", "./"):
        return path[:1]
    checked = check_relative_path(path.lstrip("/"), f"path on the compute of input {name!r}")
    return f"/{checked}" if path.startswith("/") else checked
