"""Libraries and clusters of Databricks. The names can be imported, so that a project that does not use them runs."""

from azureml._localaml.unsupported import refused_class

_INSTEAD = "There is no Databricks; a run takes its packages from an Environment."

DatabricksCluster = refused_class(__name__, "DatabricksCluster", _INSTEAD)
DatabricksSection = refused_class(__name__, "DatabricksSection", _INSTEAD)
EggLibrary = refused_class(__name__, "EggLibrary", _INSTEAD)
JarLibrary = refused_class(__name__, "JarLibrary", _INSTEAD)
MavenLibrary = refused_class(__name__, "MavenLibrary", _INSTEAD)
PyPiLibrary = refused_class(__name__, "PyPiLibrary", _INSTEAD)
RCranLibrary = refused_class(__name__, "RCranLibrary", _INSTEAD)

# Names of SDK 1.0.x.
DatabricksEnvironment = DatabricksSection
