"""A model's files: sending them, fetching them, and finding them where they lie already."""

import os
import shutil
import uuid
from typing import TYPE_CHECKING, Any, Dict, Iterable, List, Optional, Tuple

from azureml._run_impl.run_files import files_below
from azureml.core._model_requests import model_call
from azureml.exceptions import ModelNotFoundException, WebserviceException

if TYPE_CHECKING:
    from azureml.core.model import Model
    from azureml.core.workspace import Workspace

MODELS_DIR = "azureml-models"
_BATCH = 500


def local_files(model_path: str, child_paths: Optional[Iterable[str]]) -> List[Tuple[str, str]]:
    """The files of a model to register: (path in the model, path here). A folder's name is part of all paths.

    Raises:
        FileNotFoundError: there is no such file or folder.
        WebserviceException: the folder has no files, or a child path is not in it.
    """
    model_path = os.fspath(model_path)
    if "://" in model_path:
        from azureml._localaml.unsupported import unsupported

        raise unsupported("a model_path that is an address ({})".format(model_path), "Fetch it, and give a local path.")
    if not os.path.exists(model_path):
        raise FileNotFoundError("There is no file or folder {} to register.".format(model_path))
    name = os.path.basename(os.path.abspath(model_path))
    files = [("", model_path)] if os.path.isfile(model_path) else files_below(model_path)
    if child_paths is not None:
        files = _children(model_path, files, child_paths)
    if not files:
        raise WebserviceException("Error, the folder {} has no files to register.".format(model_path))
    return [("{}/{}".format(name, inner) if inner else name, path) for inner, path in files]


def _children(model_path: str, files: List[Tuple[str, str]], child_paths: Iterable[str]) -> List[Tuple[str, str]]:
    chosen: Dict[str, str] = {}
    for child in [child_paths] if isinstance(child_paths, str) else child_paths:
        wanted = os.path.normpath(child)
        # Both forms are in use: relative to the folder, or with the folder's path in front.
        if wanted.startswith(os.path.normpath(model_path) + os.sep):
            wanted = os.path.relpath(wanted, model_path)
        wanted = wanted.replace(os.sep, "/")
        found = [file for file in files if file[0] and (file[0] == wanted or file[0].startswith(wanted + "/"))]
        if not found:
            raise WebserviceException('Error, provided child path "{}" cannot be found'.format(child))
        chosen.update(found)
    return sorted(chosen.items())


def upload(workspace: "Workspace", files: List[Tuple[str, str]]) -> str:
    """Sends files; returns the upload id to register them with."""
    from azureml._localaml.transfer import Upload

    upload_id = str(uuid.uuid4())
    for start in range(0, len(files), _BATCH):
        batch = files[start : start + _BATCH]
        request = {
            "parent": workspace._resource_name,
            "uploadId": upload_id,
            "paths": [inner for inner, _ in batch],
        }
        answer = model_call(workspace, "CreateModelUploadUrls", request)
        urls = [entry["url"] for entry in answer.get("urls") or ()]
        workspace._client.transfer.upload_files([Upload(url, path) for url, (_, path) in zip(urls, batch)])
    return upload_id


def signed_urls(model: "Model") -> List[Tuple[str, str]]:
    """(path in the model, URL), by path."""
    result: List[Tuple[str, str]] = []
    page: Dict[str, Any] = {}
    while True:
        request = {"name": model._resource_name, "version": str(model.version), "page": dict(page, pageSize=_BATCH)}
        answer = model_call(model.workspace, "CreateModelDownloadUrls", request)
        result += [(entry["path"], entry["url"]) for entry in answer.get("urls") or ()]
        if not answer.get("nextPageToken"):
            return result
        page["pageToken"] = answer["nextPageToken"]


def download(model: "Model", target_dir: str, exist_ok: bool) -> str:
    """Fetches all files of a model below a folder; returns the path of the file or folder that the model is.

    Raises WebserviceException: a file is there already and `exist_ok` is off.
    """
    from azureml._localaml.transfer import Download

    urls = signed_urls(model)
    targets = [os.path.join(target_dir, *path.split("/")) for path, _ in urls]
    taken = [] if exist_ok else [target for target in targets if os.path.exists(target)]
    if taken:
        raise WebserviceException(
            "File already exists. To overwrite, set exist_ok to True. {}".format(", ".join(taken[:10]))
        )
    for target in targets:
        os.makedirs(os.path.dirname(os.path.abspath(target)), exist_ok=True)
    # The transfer asks for new URLs nowhere: so many files that their URLs expire meanwhile are not expected.
    model.workspace._client.transfer.download_files([Download(url, target) for (_, url), target in zip(urls, targets)])
    return os.path.join(target_dir, urls[0][0].split("/")[0])


def model_path(model_name: str, version: Optional[int], workspace: "Optional[Workspace]") -> str:
    """See `Model.get_model_path`."""
    roots = _model_dir_roots()
    found = _lookup(roots, model_name, version)
    if found is not None:
        return found
    workspace = workspace or _workspace_of_job()
    if workspace is not None:
        from azureml.core.model import Model

        try:
            return _cached(Model(workspace, model_name, version=version))
        except WebserviceException as error:
            if error.reason != "MODEL_NOT_FOUND":
                raise
    found = _lookup([MODELS_DIR], model_name, version)
    if found is None and version is None and os.path.exists(model_name):
        found = model_name
    if found is None:
        raise ModelNotFoundException(
            "Model {} not found in cache at {} or in current working directory {}{}".format(
                model_name if version is None else "{}:{}".format(model_name, version),
                MODELS_DIR,
                os.getcwd(),
                ", nor in the workspace."
                if workspace is not None
                else ". In a job, or with a workspace, it is fetched.",
            )
        ) from None
    return found


def _model_dir_roots() -> List[str]:
    """Where a scoring environment has its models: AZUREML_MODEL_DIR is the folder of all, or of the only version."""
    folder = os.environ.get("AZUREML_MODEL_DIR")
    return [folder, os.path.dirname(os.path.dirname(os.path.abspath(folder)))] if folder else []


def _lookup(roots: List[str], model_name: str, version: Optional[int]) -> Optional[str]:
    for root in roots:
        folder = os.path.join(root, model_name)
        try:
            numbers = sorted((int(name) for name in os.listdir(folder) if name.isdigit()), reverse=True)
        except OSError:
            continue
        if version is None and numbers:
            return _only_entry(os.path.join(folder, str(numbers[0])))
        if version is not None and int(version) in numbers:
            return _only_entry(os.path.join(folder, str(version)))
    return None


def _only_entry(folder: str) -> str:
    entries = os.listdir(folder)
    if len(entries) != 1:
        raise WebserviceException("Dir {} can contain only 1 file or folder. Found {}".format(folder, sorted(entries)))
    return os.path.join(folder, entries[0])


def _cached(model: "Model") -> str:
    folder = os.path.join(MODELS_DIR, model.name, str(model.version))
    if not os.path.isdir(folder):
        # Complete or not at all, also when several processes of a job fetch it at the same time.
        part = "{}.{}.part".format(folder, uuid.uuid4().hex)
        try:
            download(model, part, exist_ok=True)
            try:
                os.rename(part, folder)
            except OSError:
                if not os.path.isdir(folder):
                    raise
        finally:
            shutil.rmtree(part, ignore_errors=True)
    return _only_entry(folder)


def _workspace_of_job() -> "Optional[Workspace]":
    from azureml._run_impl.context import current_run
    from azureml.exceptions import RunEnvironmentException

    try:
        workspace: Workspace = current_run(allow_offline=False).experiment.workspace
    except RunEnvironmentException:
        return None
    return workspace
