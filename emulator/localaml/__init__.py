"""LocalAML: Azure Machine Learning (SDK v1) on one machine, offline."""

__version__ = "0.1.0"
