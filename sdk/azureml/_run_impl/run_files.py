"""A run's files: artifacts by name, and the snapshot of its source folder."""

import os
from typing import IO, TYPE_CHECKING, Any, Dict, Iterable, List, Optional, Sequence, Tuple, Union

from azureml._localaml.path_text import path_text
from azureml._localaml.unsupported import unsupported
from azureml._run_impl.run_base import RunBase, name_list

if TYPE_CHECKING:
    from azureml._localaml.transfer import Source
    from azureml.core.model import Model
    from azureml.data.datapath import DataPath

_BATCH = 500
# The datastore in whose container the service keeps the files of runs, whichever is the default one.
_ARTIFACT_STORE = "workspaceblobstore"


class UploadedArtifacts:
    """What an upload returns: the names that the run has now.

    Attributes:
        artifacts: artifact name -> ``{"path": name, "sizeBytes": bytes}``.
    """

    def __init__(self, run_id: str, sizes: Dict[str, int]) -> None:
        self.run_id = run_id
        self.artifacts = {name: {"path": name, "sizeBytes": size} for name, size in sizes.items()}

    def serialize(self) -> Dict[str, Any]:
        """As plain data."""
        return {
            "artifacts": {
                name: dict(entry, origin="ExperimentRun", container="dcid." + self.run_id)
                for name, entry in self.artifacts.items()
            }
        }

    def __repr__(self) -> str:
        return "UploadedArtifacts({})".format(", ".join(self.artifacts))


class RunFiles(RunBase):
    """Uploading, listing and fetching a run's files; its snapshot."""

    def upload_file(
        self, name: str, path_or_stream: Union[str, IO[bytes]], datastore_name: Optional[str] = None
    ) -> "UploadedArtifacts":
        """Uploads one file. Works on a run that has ended, too.

        Args:
            name: its name in the run, e.g. ``outputs/model.pkl``.
            path_or_stream: a file, or a binary stream.

        Raises:
            UserErrorException: no such file here, or the run has one of this name.
        """
        _no_datastore(datastore_name)
        return self._upload([(path_text(name), path_or_stream)])

    def upload_files(
        self,
        names: Sequence[str],
        paths: Sequence[str],
        return_artifacts: bool = False,
        timeout_seconds: Optional[int] = None,
        datastore_name: Optional[str] = None,
    ) -> "Optional[UploadedArtifacts]":
        """Uploads several files.

        Args:
            names: their names in the run, one for each of `paths`.
            return_artifacts: return what was uploaded, else None.
            timeout_seconds: accepted; a transfer goes on as long as it moves.
        """
        from azureml.exceptions import UserErrorException

        _no_datastore(datastore_name)
        names, paths = name_list(names, "names"), name_list(paths, "paths")
        if len(names) != len(paths):
            raise UserErrorException("There are {} names for {} paths.".format(len(names), len(paths)))
        uploaded = self._upload(list(zip(names, paths)))
        return uploaded if return_artifacts else None

    def upload_folder(self, name: str, path: str, datastore_name: Optional[str] = None) -> "UploadedArtifacts":
        """Uploads a folder with all that is below it, as ``<name>/...``."""
        from azureml.exceptions import UserErrorException

        _no_datastore(datastore_name)
        if not os.path.isdir(path):
            raise UserErrorException("{} is no folder.".format(path))
        return self._upload([(_join(path_text(name), inner), file) for inner, file in files_below(path)])

    def get_file_names(self) -> List[str]:
        """The names of all files of the run, logs included; sorted."""
        return sorted(item["path"] for item in self._artifacts(""))

    def download_file(
        self, name: str, output_file_path: Optional[str] = None, _validate_checksum: bool = False
    ) -> None:
        """Fetches one file.

        Args:
            name: its name in the run, e.g. ``outputs/model.pkl``.
            output_file_path: where to put it; a folder, or a path that ends with a separator, keeps the file's own
                name.
                Default: its own name in the current folder.

        Raises:
            UserErrorException: the run has no such file; the text names those that it has.
        """
        name = path_text(name)
        base_name = name.rstrip("/").rpartition("/")[2]
        target = os.fspath(output_file_path or base_name)
        if target.endswith(("/", os.sep)) or os.path.isdir(target):
            target = os.path.join(target, base_name)
        self._download([(name, target)])

    def download_files(
        self,
        prefix: Optional[str] = None,
        output_directory: Optional[str] = None,
        output_paths: Optional[Sequence[str]] = None,
        batch_size: int = 100,
        append_prefix: bool = True,
        timeout_seconds: Optional[int] = None,
    ) -> None:
        """Fetches all files whose names begin with a prefix.

        Args:
            output_directory: where to put them (default: the current folder).
            output_paths: a path for each of the files, in the order of their names, instead of their own names.
            batch_size: accepted; LocalAML chooses.
            append_prefix: keep the prefix in the paths here; else it is taken off.

        Raises:
            UserErrorException: nothing begins with the prefix, or `output_paths` has another number of entries.
        """
        from azureml.exceptions import UserErrorException

        wanted = path_text(prefix or "").lstrip("/")
        while wanted.startswith("./"):
            wanted = wanted[2:]
        names = sorted(item["path"] for item in self._artifacts(wanted))
        if not names:
            if not wanted:
                return
            raise UserErrorException(
                "The run {} has no files that begin with {!r}. It has: {}.".format(
                    self.id, wanted, ", ".join(self.get_file_names()) or "none"
                )
            )
        if output_paths is not None:
            targets = name_list(output_paths, "output_paths")
            if len(targets) != len(names):
                raise UserErrorException("There are {} output_paths for {} files.".format(len(targets), len(names)))
        elif append_prefix or not wanted:
            targets = names
        else:
            targets = [name[len(wanted) :].lstrip("/") or name.rpartition("/")[2] for name in names]
        folder = output_directory or "."
        self._download([(name, os.path.join(folder, *target.split("/"))) for name, target in zip(names, targets)])

    # The snapshot

    def get_snapshot_id(self) -> str:
        """The id of the snapshot of the run's source folder. Raises UserErrorException when it has none."""
        from azureml.exceptions import UserErrorException

        record = self._refresh()
        found = record.get("snapshotId") or (record.get("properties") or {}).get("ContentSnapshotId")
        if not found:
            raise UserErrorException("The run {} has no snapshot.".format(self.id))
        return str(found)

    def take_snapshot(self, file_or_folder_path: str) -> str:
        """Packs a file or folder as the run's snapshot; returns its id."""
        from azureml._localaml.snapshot import create_snapshot
        from azureml.exceptions import UserErrorException

        if not os.path.exists(file_or_folder_path):
            raise UserErrorException("{} does not exist.".format(file_or_folder_path))
        workspace = self._experiment._workspace_resource_name
        snapshot_id = create_snapshot(self._client, workspace, file_or_folder_path)
        self._record = self._call("UpdateRun", addProperties={"ContentSnapshotId": snapshot_id})
        return snapshot_id

    def restore_snapshot(self, snapshot_id: Optional[str] = None, path: Optional[str] = None) -> str:
        """Fetches a snapshot as a zip file.

        Args:
            snapshot_id: default: the run's own.
            path: folder to write the file to (default: the current folder).

        Returns:
            The zip file's path: ``<path>/<snapshot id>.zip``.
        """
        import shutil
        import tempfile
        import zipfile

        from azureml._localaml.transfer import Download

        wanted = snapshot_id or self.get_snapshot_id()
        answer = self._client.call(
            "SnapshotService",
            "GetSnapshot",
            {"parent": self._experiment._workspace_resource_name, "snapshotId": wanted},
        )
        folder = path or os.getcwd()
        os.makedirs(folder, exist_ok=True)
        target = os.path.join(folder, wanted + ".zip")
        entries, urls = answer.get("entries") or [], answer.get("urls") or []
        staging = tempfile.mkdtemp(prefix=".snapshot-", dir=folder)
        try:
            # By number, not by path: what a path says is only used inside the archive.
            files = [os.path.join(staging, str(index)) for index in range(len(entries))]
            self._client.transfer.download_files([Download(url["url"], file) for url, file in zip(urls, files)])
            part = os.path.join(staging, "snapshot.zip")
            with zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED) as archive:
                for entry, file in zip(entries, files):
                    os.chmod(file, 0o755 if entry.get("executable") else 0o644)
                    archive.write(file, entry["path"])
            os.replace(part, target)
        finally:
            shutil.rmtree(staging, ignore_errors=True)
        return target

    def register_model(
        self,
        model_name: str,
        model_path: Optional[str] = None,
        tags: Any = None,
        properties: Any = None,
        model_framework: Any = None,
        model_framework_version: Optional[str] = None,
        description: Optional[str] = None,
        datasets: Any = None,
        sample_input_dataset: Any = None,
        sample_output_dataset: Any = None,
        resource_configuration: Any = None,
        **kwargs: Any,
    ) -> "Model":
        """Registers a file or folder of the run's files as the next version of a model, which outlives the run.

        Args:
            model_path: the file's or folder's name in the run, e.g. ``outputs/model.pkl`` (default: `model_name`).
                While the run goes on, its ``outputs`` are not there yet: `upload_file` brings them earlier.
            datasets: list of (purpose, dataset).
            kwargs: `child_paths`: only these files and folders of the folder.

        Raises:
            ModelPathNotFoundException: the run has no such file or folder; the text names those that it has.
            WebserviceException: the name is not a good one.
        """
        from azureml.core._model_requests import model_call, registration
        from azureml.core.model import Model

        child_paths = kwargs.pop("child_paths", None)
        if kwargs:
            raise TypeError("register_model() got an unexpected keyword argument {!r}".format(next(iter(kwargs))))
        workspace = self._experiment.workspace
        request = registration(
            workspace,
            model_name,
            tags,
            properties,
            description,
            datasets,
            model_framework,
            model_framework_version,
            sample_input_dataset,
            sample_output_dataset,
            resource_configuration,
        )
        path = model_name if model_path is None else path_text(model_path)
        request.update(runId=self.id, runPath=path, childPaths=name_list(child_paths or (), "child_paths"))
        return Model(workspace, _message=model_call(workspace, "RegisterModel", request))

    def _get_outputs_datapath(self) -> "DataPath":
        """Where the run's ``outputs/`` lie in the workspace's blob store: for `resume_from` of a later run."""
        from azureml.core.datastore import Datastore
        from azureml.data.datapath import DataPath

        store = Datastore.get(self._experiment.workspace, _ARTIFACT_STORE)
        return DataPath(store, "azureml/ExperimentRun/dcid.{}/outputs".format(self.id))

    def _artifacts(self, prefix: str) -> Iterable[Dict[str, Any]]:
        request = {"parent": self._name}
        if prefix:
            request["prefix"] = prefix
        return self._client.pages("ArtifactService", "ListArtifacts", request, "artifacts")

    def _upload(self, items: "List[Tuple[str, Source]]") -> "UploadedArtifacts":
        from azureml._localaml.transfer import Upload
        from azureml.exceptions import UserErrorException

        for _, source in items:
            if isinstance(source, (str, os.PathLike)) and not os.path.isfile(source):
                raise UserErrorException("There is no file {}.".format(os.fspath(source)))
        sizes: Dict[str, int] = {}
        transfer = self._client.transfer
        for start in range(0, len(items), _BATCH):
            batch = items[start : start + _BATCH]
            answer = self._client.call(
                "ArtifactService",
                "CreateArtifactUploadUrls",
                {"parent": self._name, "paths": [name for name, _ in batch]},
            )
            urls = answer.get("urls") or []
            for (name, source), url in zip(batch, urls):
                if isinstance(source, (str, os.PathLike)):
                    sizes[url.get("path") or name] = os.path.getsize(source)
            if len(batch) == 1:
                name = urls[0].get("path") or batch[0][0]
                sizes[name] = transfer.upload_file(urls[0]["url"], batch[0][1])
            else:
                transfer.upload_files([Upload(url["url"], source) for url, (_, source) in zip(urls, batch)])
        return UploadedArtifacts(self.id, sizes)

    def _download(self, items: List[Tuple[str, str]]) -> None:
        from azureml._localaml.transfer import Download

        transfer = self._client.transfer
        for start in range(0, len(items), _BATCH):
            batch = items[start : start + _BATCH]
            answer = self._client.call(
                "ArtifactService",
                "CreateArtifactDownloadUrls",
                {"parent": self._name, "paths": [name for name, _ in batch]},
            )
            urls = [entry["url"] for entry in answer.get("urls") or ()]
            transfer.download_files([Download(url, target) for url, (_, target) in zip(urls, batch)])


def files_below(folder: str) -> List[Tuple[str, str]]:
    """All files below a folder: (path inside it with `/`, path here), by path."""
    found = []
    for parent, folders, files in os.walk(folder):
        folders.sort()
        for file in sorted(files):
            path = os.path.join(parent, file)
            if os.path.isfile(path):
                found.append((os.path.relpath(path, folder).replace(os.sep, "/"), path))
    return found


def _join(name: str, inner: str) -> str:
    return "{}/{}".format(name.rstrip("/"), inner) if name.strip("/") else inner


def _no_datastore(datastore_name: Optional[str]) -> None:
    if datastore_name:
        raise unsupported("Uploading a run's files to a chosen datastore (datastore_name)")
