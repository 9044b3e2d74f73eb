"""Private modules of Azure's SDK that LocalAML lacks: an import of one says so, and what to use instead."""

import re
import sys
from typing import Any

_PRIVATE = re.compile(r"azureml(\.[^\W_]\w*)*\._\w+(\.\w+)*")
_INSTEAD = (
    # The import system asks for the outer package first.
    ("azureml._vendor", "Install what it has copies of (azure-storage-blob, ruamel.yaml, ...), and import that."),
    ("azureml._restclient", "Use Run, Experiment and Workspace of azureml.core."),
    ("azureml._base_sdk_common.common", "Use azureml.core.authentication."),
    ("azureml._model_management", "Use azureml.core.model."),
    ("azureml.data._", "Use azureml.core.Dataset."),
)


class PrivateNames:
    """The last of the import system's finders. It has no module, and says why there is none."""

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> None:
        """Raises ModuleNotFoundError for private names below `azureml`: nothing else has found them."""
        if not _PRIVATE.fullmatch(fullname):
            return
        from azureml._localaml.unsupported import WHERE

        instead = next((text for name, text in _INSTEAD if fullname.startswith(name)), "")
        raise ModuleNotFoundError(
            " ".join(
                part
                for part in (
                    "LocalAML does not have {}, a private part of Azure's SDK.".format(fullname),
                    instead,
                    WHERE,
                )
                if part
            ),
            name=fullname,
        )


def install() -> None:
    """Appends the finder, once in a process."""
    if not any(isinstance(finder, PrivateNames) for finder in sys.meta_path):
        sys.meta_path.append(PrivateNames())
