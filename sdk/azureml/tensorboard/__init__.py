"""`Tensorboard`: TensorBoard over the `logs/` of runs. `azureml.tensorboard.export` writes metrics for it.

The package tensorboard is not part of this SDK: install it where it is used.
"""

from azureml.tensorboard._tensorboard import Tensorboard

__all__ = ["Tensorboard"]
