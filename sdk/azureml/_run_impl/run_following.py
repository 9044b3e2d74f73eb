"""Waiting for a run, and reading its details and logs."""

import json
import os
from typing import Any, Dict, List, Optional

from azureml._run_impl.details import Details, error_of, run_details
from azureml._run_impl.run_base import RunBase
from azureml._run_impl.states import TERMINAL, state_of


class RunFollowing(RunBase):
    """A run's state as time goes on."""

    def get_status(self) -> str:
        """The state now: ``NotStarted``, ``Queued``, ``Starting``, ``Provisioning``, ``Preparing``, ``Running``,
        ``Finalizing``,
        ``CancelRequested``, ``Completed``, ``Failed`` or ``Canceled``."""
        return state_of(self._refresh())

    @property
    def status(self) -> str:
        """The state now; see `get_status`."""
        return self.get_status()

    def get_detailed_status(self) -> Dict[str, Any]:
        """The state now, and how the run came to it: ``{"status": ..., "details": [{"state", "time", "cause"}]}``."""
        from azureml._localaml.wire import enum_word, iso_time

        record = self._refresh()
        return {
            "status": state_of(record),
            "details": [
                {
                    "state": enum_word(change, "state", "RUN_STATE_"),
                    "time": iso_time(change, "time"),
                    "cause": change.get("cause", ""),
                }
                for change in record.get("stateChanges") or ()
            ],
        }

    def get_details(self) -> Details:
        """Everything about the run: runId, target, status, startTimeUtc, endTimeUtc, properties, runDefinition,
        logFiles, error. A dict whose
        keys are attributes, too."""
        record = self._refresh()
        return run_details(record, self._log_urls(), self._experiment.workspace)

    def get_details_with_logs(self) -> Details:
        """As `get_details`, with the text of each log in place of its URL."""
        details = self.get_details()
        details["logFiles"] = {name: self._log_text(url) for name, url in details["logFiles"].items()}
        return details

    def get_all_logs(self, destination: Optional[str] = None) -> List[str]:
        """Fetches all logs.

        Args:
            destination: folder to put them into (default: one named after the run, in the current folder).

        Returns:
            The paths of the files.
        """
        folder = destination or self.id
        paths = []
        for name, url in sorted(self._log_urls().items()):
            path = os.path.join(folder, *name.split("/"))
            self._client.transfer.download_file(url, path)
            paths.append(path)
        return paths

    def wait_for_completion(
        self, show_output: bool = False, wait_post_processing: bool = False, raise_on_error: bool = True
    ) -> Details:
        """Waits until the run has ended.

        Args:
            show_output: print the run's logs as they are written.
            wait_post_processing: accepted; the run's files are always there when this returns.
            raise_on_error: raise when the run has failed.

        Returns:
            The run's details.

        Raises:
            ActivityFailedException: the run has failed (with its error as JSON).
            ExperimentExecutionException: interrupted from the keyboard; the run goes on.
        """
        from azureml._run_impl.log_stream import OutputStreamer, watch_run
        from azureml._run_impl.screen import write_stdout
        from azureml.exceptions import ActivityFailedException, ExperimentExecutionException

        try:
            if show_output:
                write_stdout("RunId: {}\n".format(self.id))
                self._record = OutputStreamer(self._client, self._name).run()
            else:
                for record in watch_run(self._client, self._name):
                    self._record = record
        except KeyboardInterrupt:
            raise ExperimentExecutionException(
                "Interrupted while waiting for the run {}. The run goes on; run.cancel() ends it.".format(self.id)
            ) from None
        details = self.get_details()
        error = error_of(self._known()) if details["status"] == "Failed" else {}
        if show_output:
            write_stdout(self._summary(details, {} if raise_on_error else error))
        if error and raise_on_error:
            raise ActivityFailedException(error_details=json.dumps(error, indent=4))
        return details

    def clean(self) -> None:
        """Azure removes a local run's folders here. LocalAML keeps a run's files in its own storage only: nothing to
        do."""

    def _summary(self, details: Details, error: Dict[str, Any]) -> str:
        title = "Execution Summary"
        text = "\n{}\n{}\nRunId: {}\n".format(title, "=" * len(title), self.id)
        for warning in details.get("warnings") or ():
            text += "\nWarning: {}\n".format(warning["message"])
        if error:
            text += "\nError:\n{}\n".format(json.dumps(error, indent=4))
        return text + "\n"

    def _log_urls(self) -> Dict[str, str]:
        answer = self._call("ListRunLogs")
        return {entry["path"]: entry.get("url", "") for entry in answer.get("logs") or ()}

    def _log_text(self, url: str) -> str:
        return self._client.transfer.read(url).decode("utf-8", "replace")

    @property
    def _has_ended(self) -> bool:
        return self._status in TERMINAL
