"""What `distributed_training` of estimators takes."""


class _DistributedTraining:
    """A way to run a training script on several processes.

    Attributes:
        backend: the name that `distributed_backend` has for it.
    """

    backend = ""


class Mpi(_DistributedTraining):
    """Open MPI; also for scripts that use Horovod.

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
    """TensorFlow's workers and parameter servers, which find each other by `TF_CONFIG`. They are spread over the nodes,
    the workers first. The run ends when all workers have ended.

    Args:
        worker_count: workers on all nodes together.
        parameter_server_count: servers on all nodes together; 0 for strategies that need none.

    Raises:
        TrainingException: not whole numbers of at least 1 and 0.
    """

    backend = "ps"

    def __init__(self, worker_count: int = 1, parameter_server_count: int = 1) -> None:
        from azureml.train._checks import count

        self.worker_count = count(worker_count, "worker_count")
        self.parameter_server_count = count(parameter_server_count, "parameter_server_count", 0)


class Gloo(_DistributedTraining):
    """`torch.distributed` with Gloo: one process on each node."""

    backend = "gloo"


class Nccl(_DistributedTraining):
    """`torch.distributed` with NCCL: one process on each node. NCCL itself needs GPUs."""

    backend = "nccl"
