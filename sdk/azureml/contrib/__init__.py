"""Azure's SDK has previews under `azureml.contrib` (notebook, dataset, pipeline.steps, ...); LocalAML has none of
them, and says so."""

from azureml._localaml.unsupported import unsupported_import

raise unsupported_import(__name__)
