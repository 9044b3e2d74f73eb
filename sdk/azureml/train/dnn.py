"""`Mpi`, and the framework estimators, which LocalAML does not have yet."""

from __future__ import annotations

from typing import Any

from azureml.train._distributed_training import Gloo, Mpi, Nccl, ParameterServer

__all__ = ["Gloo", "Mpi", "Nccl", "ParameterServer"]


def __getattr__(name: str) -> Any:
    if name in ("PyTorch", "TensorFlow", "Chainer"):
        from azureml._localaml.unsupported import unsupported_import

        raise unsupported_import("azureml.train.dnn.{} (use Estimator with pip_packages)".format(name))
    raise AttributeError("module {!r} has no attribute {!r}".format(__name__, name))
