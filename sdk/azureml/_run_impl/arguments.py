"""Script arguments: from what users write to words, with the data references and datasets among them taken out by
name."""

from typing import TYPE_CHECKING, Any, Dict, Iterable, List, Mapping

from azureml._localaml.path_text import path_text
from azureml._run_impl.dataset_inputs import Inputs, add_input, is_dataset, is_dataset_input

if TYPE_CHECKING:
    from azureml.core.runconfig import DataReferenceConfiguration

References = Dict[str, "DataReferenceConfiguration"]

_NAMED = "$AZUREML_DATAREFERENCE_{}"


def is_data_reference(value: Any) -> bool:
    return hasattr(value, "data_reference_name") and hasattr(value, "to_config")


def is_datastore(value: Any) -> bool:
    return not is_data_reference(value) and hasattr(value, "datastore_type") and hasattr(value, "as_mount")


def as_words(values: Iterable[Any], references: "References", inputs: Inputs) -> List[str]:
    """Arguments as words. A data reference, or a datastore (then all of it, mounted), becomes a placeholder for its
    path on the node, and `references` gets it by name; so does a dataset input, and `inputs`.

    Raises:
        UserErrorException: a value that has no form as a word, or two references or inputs with one name that mean
            different things.
    """
    return [as_word(value, references, inputs) for value in values]


def as_word(value: Any, references: "References", inputs: Inputs) -> str:
    from azureml.exceptions import UserErrorException

    if is_dataset_input(value):
        return add_input(value, inputs)
    if is_dataset(value):
        raise UserErrorException(
            "A dataset as a script argument needs a name and a way: dataset.as_named_input('data'), with .as_mount() "
            "or .as_download() for files."
        )
    if is_datastore(value):
        value = value.as_mount()
    if is_data_reference(value):
        return add_reference(value, references)
    if isinstance(value, (dict, list, tuple, set, bytes)):
        raise UserErrorException(
            "{!r} cannot be a script argument: use text, a number, a DataReference, a datastore or a dataset "
            "input.".format(value)
        )
    return str(path_text(value))


def add_reference(reference: Any, references: "References") -> str:
    """Notes a reference under its name; returns the placeholder for its path."""
    from azureml.exceptions import UserErrorException

    name = reference.data_reference_name
    config = reference.to_config()
    known = references.get(name)
    if known is not None and known._to_dict() != config._to_dict():
        raise UserErrorException(
            "Two data references are named {!r} but mean different places or modes. Give one of them another "
            "data_reference_name.".format(name)
        )
    references[name] = config
    return _NAMED.format(name)


def flatten_script_params(script_params: Mapping[str, Any], references: "References", inputs: Inputs) -> List[str]:
    """`{'--flag': value}` as words in the dict's order; None and '' leave the flag alone, 0 stays, a list is one word
    per entry."""
    from azureml.exceptions import TrainingException

    if not isinstance(script_params, Mapping):
        raise TrainingException(
            "script_params must be a dict of argument name and value, not {}.".format(type(script_params).__name__)
        )
    words: List[str] = []
    for flag, value in script_params.items():
        if flag is not None and flag != "":
            words.append(str(flag))
        if value is None or (isinstance(value, str) and value == ""):
            continue
        words += as_words(value if isinstance(value, (list, tuple)) else [value], references, inputs)
    return words
