"""The parts of Azure's inner clients that projects import: limits of snapshots, and the words for states of runs."""

from typing import Any

from azureml._localaml.lazy import ask_module

ask_module(__name__)


def __getattr__(name: str) -> Any:
    # With Azure's SDK, `import azureml.core` loads these; projects set SNAPSHOT_MAX_SIZE_BYTES without an import.
    if name in ("constants", "snapshots_client"):
        import importlib

        return importlib.import_module("{}.{}".format(__name__, name))
    raise AttributeError("module {!r} has no attribute {!r}".format(__name__, name))
