"""`ResourceConfiguration`: what a model needs to be served."""

from typing import Any, Dict, Mapping, Optional


class ResourceConfiguration:
    """Kept with a model; LocalAML serves none.

    Attributes:
        cpu: number of cores; may be a fraction.
        memory_in_gb: memory in GB.
        gpu: number of GPUs.
    """

    def __init__(
        self, cpu: Optional[float] = None, memory_in_gb: Optional[float] = None, gpu: Optional[int] = None
    ) -> None:
        self.cpu = cpu
        self.memory_in_gb = memory_in_gb
        self.gpu = gpu

    def serialize(self) -> Dict[str, Any]:
        """As plain data, with Azure's keys."""
        return {"cpu": self.cpu, "memoryInGB": self.memory_in_gb, "gpu": self.gpu}

    @staticmethod
    def deserialize(payload_obj: Optional[Mapping[str, Any]]) -> "Optional[ResourceConfiguration]":
        """From what `serialize` gave; None stays None."""
        if payload_obj is None:
            return None
        return ResourceConfiguration(payload_obj.get("cpu"), payload_obj.get("memoryInGB"), payload_obj.get("gpu"))

    def __repr__(self) -> str:
        return "ResourceConfiguration(cpu={}, memory_in_gb={}, gpu={})".format(self.cpu, self.memory_in_gb, self.gpu)
