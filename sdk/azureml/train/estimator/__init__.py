"""`Estimator`: a training script with its target, environment, data and distribution."""

from azureml.core.runconfig import MpiConfiguration
from azureml.train._distributed_training import Gloo, Mpi, Nccl, ParameterServer
from azureml.train.estimator._estimator import Estimator
from azureml.train.estimator._mml_base_estimator import MMLBaseEstimator

__all__ = ["Estimator", "Gloo", "MMLBaseEstimator", "Mpi", "MpiConfiguration", "Nccl", "ParameterServer"]
