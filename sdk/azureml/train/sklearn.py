"""`SKLearn`, which LocalAML does not have yet."""

from __future__ import annotations

from typing import Any


def __getattr__(name: str) -> Any:
    if name == "SKLearn":
        from azureml._localaml.unsupported import unsupported_import

        raise unsupported_import("azureml.train.sklearn.SKLearn (use Estimator with conda_packages=['scikit-learn'])")
    raise AttributeError("module {!r} has no attribute {!r}".format(__name__, name))
