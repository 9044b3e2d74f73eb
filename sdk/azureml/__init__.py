"""The import names and signatures of the Azure Machine Learning SDK v1, talking to a LocalAML emulator.

Needs nothing but the standard library of Python 3.6 or later. Importing a package loads none of its parts: names are
looked up when they are first used (PEP 562).
"""

from typing import Any

from azureml._localaml.lazy import ask_module
from azureml._localaml.private_names import install

install()

ask_module(__name__)


def __getattr__(name: str) -> Any:
    # With Azure's SDK, `import azureml.core` makes these attributes of the package, too.
    if name in ("_restclient", "core", "data", "exceptions"):
        import importlib

        return importlib.import_module("azureml." + name)
    raise AttributeError("module {!r} has no attribute {!r}".format(__name__, name))
