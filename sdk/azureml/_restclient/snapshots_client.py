"""Limits of snapshots. Set here, as Azure advises for large source folders, they count for the next submit."""

from azureml._localaml.lazy import lazy_names

SNAPSHOT_MAX_SIZE_BYTES = 300 * 1024 * 1024
SNAPSHOT_MAX_FILES = 2000

__getattr__, __dir__ = lazy_names(__name__, {}, frozenset(("SnapshotsClient",)))
