"""Estimators for frameworks of deep learning, and the ways to distribute them."""

from azureml.train._distributed_training import Gloo, Mpi, Nccl, ParameterServer
from azureml.train.dnn._chainer import Chainer
from azureml.train.dnn._pytorch import PyTorch
from azureml.train.dnn._tensorflow import TensorFlow

__all__ = ["Chainer", "Gloo", "Mpi", "Nccl", "ParameterServer", "PyTorch", "TensorFlow"]
