"""Keeps a folder like the `logs/` of runs, while the runs go on."""

import os
import re
import sys
import threading
from typing import Any, Dict, List, Mapping, Sequence, Tuple

from azureml._run_impl.states import TERMINAL, state_of
from azureml._run_impl.transient import may_pass

_LOGS = "logs/"
_LOOK_SECONDS = 1.0
_CHUNK = 4 * 1024 * 1024
_STOP_SECONDS = 10.0
_MAX_FOLDER_BYTES = 255


class LogCopies:
    """Fetches what is new in a thread, which ends when all runs have.

    Args:
        root: folder; each run gets `<root>/<run id>`.
        by_display_name: folders with the display names of the runs, where a name is one run's alone.
    """

    def __init__(self, runs: Sequence[Any], root: str, by_display_name: bool = False) -> None:
        self._runs: List[Any] = list(runs)
        self._root = root
        self._folders = _display_names(self._runs) if by_display_name else {}
        self._stopped = threading.Event()
        self._known: Dict[str, Tuple[int, Any]] = {}
        self._thread = threading.Thread(target=self._follow, name="azureml-tensorboard-logs", daemon=True)

    def start(self) -> None:
        """Begins."""
        self._thread.start()

    def stop(self) -> None:
        """Ends it; waits a moment for what is being fetched."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join(_STOP_SECONDS)

    def _follow(self) -> None:
        going_on = list(self._runs)
        while going_on and not self._stopped.is_set():
            for run in list(going_on):
                try:
                    # Asked before the files are: when it has ended, this look sees its last ones.
                    ended = state_of(run._refresh()) in TERMINAL
                    self.fetch(run)
                except Exception as error:
                    if may_pass(error):
                        continue
                    print("LocalAML: the logs of run {} cannot be followed: {}".format(run.id, error), file=sys.stderr)
                    ended = True
                if ended:
                    going_on.remove(run)
            self._stopped.wait(_LOOK_SECONDS)

    def fetch(self, run: Any) -> None:
        """Brings one run's files up to date."""
        stale = []
        for artifact in run._artifacts(_LOGS):
            state = (int(artifact.get("sizeBytes") or 0), artifact.get("createTime"))
            if self._known.get(run.id + "/" + artifact["path"]) != state:
                stale.append((artifact, state))
        if not stale:
            return
        request = {"parent": run._name, "paths": [artifact["path"] for artifact, _ in stale]}
        answer = run._client.call("ArtifactService", "CreateArtifactDownloadUrls", request)
        for (artifact, state), url in zip(stale, answer.get("urls") or ()):
            if self._stopped.is_set():
                return
            self._fetch_file(run, artifact, state[0], url["url"])
            self._known[run.id + "/" + artifact["path"]] = state

    def _fetch_file(self, run: Any, artifact: Mapping[str, Any], size: int, url: str) -> None:
        path = os.path.join(self._root, self._folders.get(run.id, run.id), *artifact["path"][len(_LOGS) :].split("/"))
        here = os.path.getsize(path) if os.path.isfile(path) else 0
        if "tfevents" not in os.path.basename(path) or not 0 < here < size:
            run._client.transfer.download_file(url, path)
            return
        # Event files are only ever appended to, and TensorBoard may hold this one open: it is to grow, not to be
        # replaced.
        with open(path, "ab") as file:
            while here < size and not self._stopped.is_set():
                data = run._client.transfer.read(url, here, min(_CHUNK, size - here))
                if not data:
                    return
                file.write(data)
                here += len(data)


def _display_names(runs: Sequence[Any]) -> Dict[str, str]:
    """Run ids -> display names as names of folders; without those that several runs share, and too long ones."""
    names = {run.id: re.sub(r"[^\w.-]+", "_", run.display_name or "").strip(".") for run in runs}
    shared = list(names.values())
    return {
        run_id: name
        for run_id, name in names.items()
        if name and shared.count(name) == 1 and len(name.encode("utf-8")) <= _MAX_FOLDER_BYTES
    }
