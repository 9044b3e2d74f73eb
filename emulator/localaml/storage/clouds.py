"""Which cloud an emulator's objects are in, by its settings."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from localaml.errors import FailedPrecondition, InvalidArgument
from localaml.storage.disk import DiskStore

if TYPE_CHECKING:
    from localaml.paths import StatePaths
    from localaml.settings import StorageSettings
    from localaml.storage.object_store import ObjectStore

CLOUDS = ("disk", "moto", "localstack", "s3", "azurite", "azure")


@dataclass(frozen=True, slots=True)
class Cloud:
    """An open cloud.

    Attributes:
        objects: the store.
        record: what the state dir keeps of it, to know it again: words without secrets.
        job_variables: environment variables with which a job's own code meets the same cloud.
        close: gives everything back. Blocks; idempotent.
    """

    objects: ObjectStore
    record: Mapping[str, str] = field(default_factory=dict)
    job_variables: Mapping[str, str] = field(default_factory=dict)
    close: Callable[[], None] = lambda: None


async def open_cloud(settings: StorageSettings, paths: StatePaths, *, is_new: Callable[[], bool]) -> Cloud:
    """The cloud of a state dir.

    Args:
        is_new: whether the state dir has nothing yet that points into a cloud.

    Raises:
        InvalidArgument: ``CLOUD_UNKNOWN``.
        FailedPrecondition: ``CLOUD_CHANGED``: the state dir's data are in another one; ``EXTRA_MISSING``;
            ``CLOUD_NOT_REACHABLE``; ``LOCALSTACK_TOKEN_MISSING``; ``S3_CREDENTIALS_MISSING``;
            ``AZURE_CREDENTIALS_MISSING``.
    """
    kept = read_record(paths.cloud)
    if settings.cloud not in CLOUDS:
        raise InvalidArgument(
            "CLOUD_UNKNOWN", f"There is no cloud {settings.cloud!r}: use one of {', '.join(CLOUDS)}.", {}
        )
    if kept.get("cloud", "disk") != settings.cloud and not is_new():
        raise _changed(paths, kept, settings.cloud)
    if settings.cloud == "disk":
        paths.cloud.unlink(missing_ok=True)
        return Cloud(DiskStore(paths.objects, paths.incoming))
    cloud = await asyncio.to_thread(_open_elsewhere, settings, kept)
    where = cloud.record.get("endpoint", "")
    # moto's and LocalStack's addresses may change; what they hold, goes with them anyway.
    if settings.cloud in ("s3", "azure", "azurite") and kept.get("endpoint", where) != where and not is_new():
        await asyncio.to_thread(cloud.close)
        raise _changed(paths, kept, f"{settings.cloud} at {where}")
    write_record(paths.cloud, cloud.record)
    return cloud


def open_cloud_of(settings: StorageSettings, paths: StatePaths) -> Cloud:
    """The cloud that the settings name, whatever the state dir uses. Blocks. Raises as `open_cloud`."""
    if settings.cloud == "disk":
        return Cloud(DiskStore(paths.objects, paths.incoming))
    return _open_elsewhere(settings, read_record(paths.cloud))


def read_record(path: Path) -> dict[str, str]:
    """What a state dir says of its cloud; empty for files on disk."""
    try:
        found = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise FailedPrecondition("CLOUD_RECORD_DAMAGED", f"{path} cannot be read: {error}.") from None
    return {str(name): str(value) for name, value in found.items()} if isinstance(found, dict) else {}


def write_record(path: Path, record: Mapping[str, str]) -> None:
    """Notes which cloud a state dir uses."""
    part = path.with_suffix(".part")
    part.write_text(json.dumps(dict(record)) + "\n", "utf-8")
    part.replace(path)


def _open_elsewhere(settings: StorageSettings, kept: Mapping[str, str]) -> Cloud:
    if settings.cloud in ("azurite", "azure"):
        from localaml.storage import azure_clouds

        return azure_clouds.open_azure_cloud(settings)
    from localaml.storage import s3_clouds

    return s3_clouds.open_s3_cloud(settings, kept)


def _changed(paths: StatePaths, kept: Mapping[str, str], wanted: str) -> FailedPrecondition:
    there = kept.get("cloud", "disk") + (f" at {kept['endpoint']}" if "endpoint" in kept else "")
    return FailedPrecondition(
        "CLOUD_CHANGED",
        f"The data of {paths.root} are in the cloud {there}, not in {wanted}: start with that one, take another state "
        "folder, or move them with 'localaml storage migrate'.",
    )
