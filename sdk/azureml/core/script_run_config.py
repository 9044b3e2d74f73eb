"""`ScriptRunConfig`: a script, or a command line, and how to run it."""

import copy
import os
from typing import TYPE_CHECKING, Any, List, Optional, Tuple, Union

from azureml._run_impl.resume import resume_arguments
from azureml.core.runconfig import (
    DockerConfiguration,
    MpiConfiguration,
    PyTorchConfiguration,
    RunConfiguration,
    TensorflowConfiguration,
)

if TYPE_CHECKING:
    from azureml.core.environment import Environment

MAX_DURATION_SECONDS_DEFAULT = 2592000


class ScriptRunConfig:
    """What to submit.

    Args:
        source_directory: folder with the code; all of it travels to the job.
        script: the entry script's path inside it.
        arguments: words; numbers, DataReference objects and datastores are allowed.
        run_config: the configuration to begin with; the other arguments win over it. It is changed.
        compute_target: a ComputeTarget or its name; default ``local``.
        environment: the environment.
        distributed_job_config: MpiConfiguration, TensorflowConfiguration or PyTorchConfiguration.
        resume_from: a DataPath with files of an earlier run, e.g. `run._get_outputs_datapath()`. The script gets
            ``--resume-from <path>``; a command finds the path in AZUREML_DATAREFERENCE_MODEL_LOCATION.
        max_run_duration_seconds: the run is ended after so many seconds.
        command: words of a command line, or a line for the shell, instead of `script` and `arguments`.
        docker_runtime_config: settings of containers.

    Raises:
        UserErrorException: arguments that cannot go together.
        RunConfigurationException: a distribution or container settings of a wrong type.
    """

    MAX_DURATION_SECONDS_DEFAULT = MAX_DURATION_SECONDS_DEFAULT

    def __init__(
        self,
        source_directory: str,
        script: Optional[str] = None,
        arguments: Optional[List[Any]] = None,
        run_config: Optional[RunConfiguration] = None,
        _telemetry_values: Any = None,
        compute_target: Any = None,
        environment: "Optional[Environment]" = None,
        distributed_job_config: Any = None,
        resume_from: Any = None,
        max_run_duration_seconds: Optional[int] = MAX_DURATION_SECONDS_DEFAULT,
        command: Union[str, List[str], None] = None,
        docker_runtime_config: Optional[DockerConfiguration] = None,
    ) -> None:
        from azureml.exceptions import RunConfigurationException, UserErrorException

        if script and command:
            raise UserErrorException("Give either script or command, not both.")
        if command and arguments:
            raise UserErrorException("arguments belong to script; put the words into command.")
        if isinstance(arguments, str):
            raise UserErrorException("arguments must be a list of words, not the string {!r}.".format(arguments))
        if run_config is not None and not isinstance(run_config, RunConfiguration):
            raise UserErrorException("run_config must be a RunConfiguration, not {!r}.".format(run_config))
        self.source_directory = source_directory
        self.run_config = run_config if run_config is not None else RunConfiguration()
        # What is given here wins over what the configuration has.
        self.script = script or (None if command else self.run_config.script)
        self.command = command or (None if script else self.run_config.command)
        self.arguments = list(arguments) if arguments is not None else list(self.run_config.arguments or ())
        if compute_target is not None:
            self.run_config.target = compute_target
        if environment is not None:
            if not hasattr(environment, "python"):
                raise UserErrorException("environment must be an Environment, not {!r}.".format(environment))
            self.run_config.environment = environment
        if docker_runtime_config is not None:
            if not isinstance(docker_runtime_config, DockerConfiguration):
                raise RunConfigurationException(
                    "docker_runtime_config must be a DockerConfiguration, not {!r}.".format(docker_runtime_config)
                )
            self.run_config.docker = docker_runtime_config
        if run_config is None or max_run_duration_seconds != MAX_DURATION_SECONDS_DEFAULT:
            self.run_config.max_run_duration_seconds = max_run_duration_seconds
        if resume_from is not None:
            words = resume_arguments(self.run_config, resume_from)
            self.arguments += [] if self.command else words
        if distributed_job_config is not None:
            _distribute(self.run_config, distributed_job_config)

    def _to_submission(self) -> Tuple[str, RunConfiguration]:
        """The source folder and the complete configuration; for `Experiment.submit`."""
        config = copy.copy(self.run_config)  # not deep: arguments may hold datastores, which hold connections
        config.command = self.command
        config.script = None if self.command else self.script  # type: ignore[assignment]  # none, for a command
        config.arguments = [] if self.command else list(self.arguments)
        return self.source_directory or os.curdir, config


def _distribute(config: RunConfiguration, job: Any) -> None:
    from azureml.exceptions import RunConfigurationException

    if isinstance(job, MpiConfiguration):
        config.framework, config.communicator = "Python", "IntelMpi"
        config.mpi = job
        config.node_count = job.node_count
    elif isinstance(job, TensorflowConfiguration):
        config.framework, config.communicator = "TensorFlow", "ParameterServer"
        config.tensorflow = job
        config.node_count = job.worker_count  # the servers share the workers' nodes, as in Azure
    elif isinstance(job, PyTorchConfiguration):
        config.framework, config.communicator = "PyTorch", job.communication_backend
        config.pytorch = job
        config.node_count = job.node_count
    else:
        raise RunConfigurationException(
            "distributed_job_config must be a MpiConfiguration, TensorflowConfiguration or PyTorchConfiguration, "
            "not {}.".format(type(job).__name__)
        )
