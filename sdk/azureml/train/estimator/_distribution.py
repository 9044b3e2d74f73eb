"""From an estimator's arguments on nodes and processes to the parts of a run configuration."""

from typing import Any, Mapping, NamedTuple, Optional, Tuple, Type

from azureml.core.runconfig import RunConfiguration
from azureml.train._checks import count
from azureml.train._distributed_training import Gloo, Mpi, Nccl, ParameterServer, _DistributedTraining

_KINDS: Tuple[Type[_DistributedTraining], ...] = (Mpi, ParameterServer, Gloo, Nccl)


class Backends(NamedTuple):
    """What a kind of estimator can be distributed by.

    Attributes:
        names: that `distributed_backend` takes.
        kinds: that `distributed_training` takes.
    """

    names: Tuple[str, ...] = ()
    kinds: Tuple[Type[_DistributedTraining], ...] = ()


def distribute(config: RunConfiguration, arguments: Mapping[str, Any], backends: "Backends", estimator: str) -> None:
    """Sets nodes, processes, framework and communicator of `config`.

    Args:
        arguments: of the estimator; some kinds do not have all of them.

    Raises:
        TrainingException: arguments that are wrong, missing or exclude each other.
    """
    from azureml.exceptions import TrainingException

    config.node_count = count(arguments.get("node_count", 1), "node_count")
    given = {
        "process_count_per_node": count(arguments.get("process_count_per_node", 1), "process_count_per_node"),
        "worker_count": count(arguments.get("worker_count", 1), "worker_count"),
        "parameter_server_count": count(arguments.get("parameter_server_count", 1), "parameter_server_count", 0),
    }
    training = _training(arguments, given, backends, estimator)
    if training is None:
        needing = [name for name, value in (("node_count", config.node_count), *given.items()) if value > 1]
        if needing:
            raise TrainingException(
                "distributed_training (or distributed_backend={}) must be given when {} is more than 1.".format(
                    _listed(backends.names), " or ".join(needing)
                )
            )
        return
    for name, value in given.items():
        its_own = getattr(training, name, 1)
        if value not in (1, its_own):
            where = next(kind for kind in _KINDS if hasattr(kind(), name)).__name__
            raise TrainingException(
                "{}={} and {}(...) do not go together: {} belongs to {}({}=...).".format(
                    name, value, type(training).__name__, name, where, name
                )
            )
    if config.node_count > 1 and config.target == "local":
        raise TrainingException("The target 'local' is one node; node_count > 1 needs an AmlCompute cluster.")
    _set(config, training)


def _set(config: RunConfiguration, training: _DistributedTraining) -> None:
    if isinstance(training, Mpi):
        config.framework, config.communicator = "Python", "Mpi"
        config.mpi.process_count_per_node = training.process_count_per_node
        config.mpi.node_count = config.node_count
    elif isinstance(training, ParameterServer):
        config.framework, config.communicator = "TensorFlow", "ParameterServer"
        config.tensorflow.worker_count = training.worker_count
        config.tensorflow.parameter_server_count = training.parameter_server_count
    else:
        config.framework, config.communicator = "PyTorch", type(training).__name__
        config.pytorch.communication_backend = training.backend
        config.pytorch.node_count = config.node_count


def _training(
    arguments: Mapping[str, Any], given: Mapping[str, int], backends: "Backends", estimator: str
) -> Optional[_DistributedTraining]:
    """What the two ways to ask for a backend say; None when neither is used."""
    from azureml.exceptions import TrainingException

    training, backend = arguments.get("distributed_training"), arguments.get("distributed_backend")
    if backend is not None and training is not None:
        raise TrainingException("Give either distributed_training or distributed_backend, not both.")
    kinds = " or ".join("{}(...)".format(kind.__name__) for kind in backends.kinds)
    if training is not None:
        if isinstance(training, type) and issubclass(training, _DistributedTraining):
            training = training()
        if not isinstance(training, _DistributedTraining):
            raise TrainingException("distributed_training must be {}, not {!r}.".format(kinds, training))
        if not isinstance(training, backends.kinds):
            raise TrainingException(
                "{} cannot be distributed by {}(): its distributed_training is {}.".format(
                    estimator, type(training).__name__, kinds
                )
            )
        return training
    if not backend:  # an empty name is none, as in Azure
        return None
    name = str(backend).lower()
    if name not in backends.names:
        raise TrainingException(
            "Unsupported distributed backend {!r}. {} knows the distributed backends {}.".format(
                backend, estimator, _listed(backends.names)
            )
        )
    if name == "mpi":
        return Mpi(given["process_count_per_node"])
    if name == "ps":
        return ParameterServer(given["worker_count"], given["parameter_server_count"])
    return Gloo() if name == "gloo" else Nccl()


def _listed(names: Tuple[str, ...]) -> str:
    return " or ".join(repr(name) for name in names)
