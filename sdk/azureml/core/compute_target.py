"""The second place where Azure's SDK has `ComputeTargetException`; and the `local` target."""

from azureml.exceptions import ComputeTargetException, UserErrorException

__all__ = ["AbstractComputeTarget", "ComputeTargetException", "LocalTarget", "UserErrorException"]


class AbstractComputeTarget:
    """A place to run that is no resource of a workspace.

    Attributes:
        name: what a run configuration's `target` says.
        type: the kind of target.
    """

    _compute_target_type = ""

    def __init__(self, compute_type: str, name: str) -> None:
        self.type = compute_type
        self.name = name


class LocalTarget(AbstractComputeTarget):
    """This machine, outside of any cluster: the target `local`."""

    _compute_target_type = "local"

    def __init__(self) -> None:
        super().__init__("local", "local")
