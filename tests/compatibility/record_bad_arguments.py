"""Observes what Microsoft's client raises for the cases of `bad_arguments.json`, and writes it there.

Run it from the root of the checkout with the Python of a scratch environment that holds `azureml-core` and
`azureml-train-core`: `<its python> tests/compatibility/record_bad_arguments.py`. It needs no account, and nothing of
theirs is kept but the names of exception classes. Proxies that do not exist keep it off the network.
"""

from __future__ import annotations

import base64
import contextlib
import datetime
import importlib.metadata
import io
import json
import logging
import os
import platform
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import bad_arguments

_NOWHERE = "http://127.0.0.1:9"
_PACKAGES = ("azureml-core", "azureml-train-core")


def _token() -> str:
    """Has the form of a token, and opens nothing."""
    parts = ({"alg": "none"}, {"tid": "t", "oid": "o", "exp": 4000000000})
    encoded = [base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts]
    return ".".join([*encoded, "AAAA"])


def _space() -> dict[str, Any]:
    from azureml.core import Workspace
    from azureml.core.authentication import ArmTokenAuthentication
    from azureml.data.azure_storage_datastore import AzureBlobDatastore

    auth = ArmTokenAuthentication(_token())
    workspace = Workspace(
        "00000000-0000-0000-0000-000000000000", "group", "workspace",
        auth=auth, _location="westeurope", _disable_service_check=True, _workspace_id="0",
    )  # fmt: skip
    datastore = AzureBlobDatastore(workspace, "workspaceblobstore", "container", "account", account_key="a2V5")
    return bad_arguments.names(auth=auth, ws=workspace, ds=datastore)


def main() -> None:
    os.environ.update(HTTP_PROXY=_NOWHERE, HTTPS_PROXY=_NOWHERE)
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    content = json.loads(bad_arguments.FILE.read_text("utf-8"))
    space = _space()
    for case in content["cases"].values():
        with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
            bad_arguments.prepare(Path(folder))
            case["raises"] = bad_arguments.outcome(case["code"], space)
            os.chdir("/")
    content["observed"] = {
        "date": datetime.date.today().isoformat(),
        "python": platform.python_version(),
        **{name: importlib.metadata.version(name) for name in _PACKAGES},
    }
    bad_arguments.FILE.write_text(json.dumps(content, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
