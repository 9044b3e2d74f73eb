"""`resume_from`: a run that gets the files of an earlier one, to go on from its checkpoint."""

from typing import TYPE_CHECKING, Any, List

from azureml._run_impl.arguments import add_reference, is_data_reference

if TYPE_CHECKING:
    from azureml.core.runconfig import RunConfiguration

# As in Azure's SDK: the script gets the path by this argument, and as AZUREML_DATAREFERENCE_MODEL_LOCATION.
_NAME = "MODEL_LOCATION"
_FLAG = "--resume-from"


def resume_arguments(config: "RunConfiguration", resume_from: Any) -> List[str]:
    """Notes the place among the configuration's data references, mounted; returns the words for the script.

    Args:
        resume_from: a DataPath, e.g. `run._get_outputs_datapath()` of the earlier run; or a DataReference.

    Raises:
        UserErrorException: it is neither, or the configuration has another reference of this name.
    """
    from azureml.data.datapath import DataPathComputeBinding
    from azureml.exceptions import UserErrorException

    if hasattr(resume_from, "create_data_reference"):
        resume_from = resume_from.create_data_reference(_NAME, DataPathComputeBinding("mount"))
    if not is_data_reference(resume_from):
        raise UserErrorException(
            "resume_from must be a DataPath, e.g. run._get_outputs_datapath(), not {}.".format(
                type(resume_from).__name__
            )
        )
    return [_FLAG, add_reference(resume_from, config.data_references)]
