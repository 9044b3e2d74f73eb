"""Azure's SDK has `azureml.core.image`; LocalAML does not yet, and says so."""

from azureml._localaml.unsupported import unsupported_import

raise unsupported_import(__name__)
