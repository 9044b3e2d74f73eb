"""What Azure's `AmlCompute` has and LocalAML does not: each refused by its name."""

from typing import Any

from azureml._localaml.unsupported import unsupported


class AmlComputeGaps:
    """The part of `AmlCompute` that is not supported."""

    def add_identity(self, identity_type: str, identity_id: Any = None) -> None:
        """Not supported."""
        raise unsupported("AmlCompute.add_identity")

    def remove_identity(self, identity_id: Any = None) -> None:
        """Not supported."""
        raise unsupported("AmlCompute.remove_identity")
