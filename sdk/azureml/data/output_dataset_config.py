"""Outputs of runs as datasets. The names can be imported, so that a project that does not use them runs."""

from azureml._localaml.unsupported import refused_class

__all__ = [
    "HDFSOutputDatasetConfig",
    "LinkFileOutputDatasetConfig",
    "LinkTabularOutputDatasetConfig",
    "OutputDatasetConfig",
    "OutputFileDatasetConfig",
    "OutputTabularDatasetConfig",
    "RegistrationConfiguration",
]

_INSTEAD = "Write to ./outputs, or to a mounted datastore."

HDFSOutputDatasetConfig = refused_class(__name__, "HDFSOutputDatasetConfig", _INSTEAD)
LinkFileOutputDatasetConfig = refused_class(__name__, "LinkFileOutputDatasetConfig", _INSTEAD)
LinkTabularOutputDatasetConfig = refused_class(__name__, "LinkTabularOutputDatasetConfig", _INSTEAD)
OutputDatasetConfig = refused_class(__name__, "OutputDatasetConfig", _INSTEAD)
OutputFileDatasetConfig = refused_class(__name__, "OutputFileDatasetConfig", _INSTEAD)
OutputTabularDatasetConfig = refused_class(__name__, "OutputTabularDatasetConfig", _INSTEAD)
RegistrationConfiguration = refused_class(__name__, "RegistrationConfiguration", _INSTEAD)
