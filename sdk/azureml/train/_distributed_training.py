"""What `distributed_training` of estimators takes."""

from __future__ import annotations


class _DistributedTraining:
    """A way to run a training script on several processes.

    Attributes:
        backend: the name that `distributed_backend` has for it.
    """

    backend = ""


class Mpi(_DistributedTraining):
    """Open MPI.

    Args:
        process_count_per_node: processes on each node.

    Raises:
        TrainingException: not a whole number of at least 1.
    """

    backend = "mpi"

    def __init__(self, process_count_per_node: int = 1) -> None:
        from azureml.train._checks import count

        self.process_count_per_node = count(process_count_per_node, "process_count_per_node")


class ParameterServer(_DistributedTraining):
    """TensorFlow's parameter servers. Refused by the estimators for now."""

    backend = "ps"

    def __init__(self, worker_count: int = 1, parameter_server_count: int = 1) -> None:
        self.worker_count = worker_count
        self.parameter_server_count = parameter_server_count


class Gloo(_DistributedTraining):
    """`torch.distributed` with Gloo. Refused by the estimators for now."""

    backend = "gloo"


class Nccl(_DistributedTraining):
    """`torch.distributed` with NCCL. Refused by the estimators for now."""

    backend = "nccl"
