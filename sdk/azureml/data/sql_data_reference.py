"""Queries of databases as data references. The name can be imported, so that a project that does not use it runs."""

from azureml._localaml.unsupported import refused_class

__all__ = ["SqlDataReference"]

SqlDataReference = refused_class(__name__, "SqlDataReference", "Export the table to files of a datastore.")
