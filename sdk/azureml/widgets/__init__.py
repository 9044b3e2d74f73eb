"""`RunDetails`: a run as notebooks show it, live."""

from azureml.widgets._run_details import RunDetails

__all__ = ["RunDetails"]
