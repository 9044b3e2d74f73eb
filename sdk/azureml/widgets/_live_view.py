"""The view in a notebook, which a thread keeps up to date until the run has ended. Needs ipywidgets."""

import codecs
import queue
import threading
import time
from typing import Any, Dict, Mapping, Optional

import ipywidgets

from azureml._run_impl.details import error_of
from azureml._run_impl.log_stream import primary_log, watch_run
from azureml._run_impl.states import TERMINAL, state_of
from azureml._run_impl.transient import may_pass
from azureml.widgets import _page
from azureml.widgets._charts import metrics_view
from azureml.widgets._widget_data import properties_of, read_log

# Seconds between looks for metrics and log text; longer when a look takes long, so that looking stays a tenth of it.
_PAUSE = 1.0
_SHARE = 10.0
_QUIET = frozenset(("NotStarted", "Queued", "Paused"))


class LiveView:
    """The widgets of one run.

    Attributes:
        widget: what the notebook displays.
    """

    def __init__(self, run: Any) -> None:
        self._run = run
        self._status = ipywidgets.HTML()
        self._metrics = ipywidgets.HTML()
        self._children = ipywidgets.HTML()
        self._choice = ipywidgets.Dropdown(options=[], description="Log:", layout={"width": "auto"})
        self._log = ipywidgets.HTML()
        self.widget = ipywidgets.VBox([self._status, self._metrics, self._children, self._choice, self._log])
        self._lock = threading.RLock()
        self._images: Dict[str, str] = {}
        self._text = ""
        self._offset = 0
        self._decoder: Any = None
        self._shown: Optional[str] = None
        self._choosing = False
        self._chosen_by_user = False
        self._choice.observe(self._on_choice, names="value")
        self._show_run(run._known(), {})

    def start(self) -> threading.Thread:
        """Follows the run in a thread, which ends with the run."""
        thread = threading.Thread(target=self._follow, name="azureml-run-details", daemon=True)
        thread.start()
        return thread

    def _follow(self) -> None:
        events: queue.Queue[Any] = queue.Queue()
        threading.Thread(target=self._watch, args=(events,), name="azureml-run-watch", daemon=True).start()
        record: Mapping[str, Any] = self._run._known()
        pause = _PAUSE
        while True:
            try:
                kind, value = events.get(timeout=None if state_of(record) in _QUIET else pause)
            except queue.Empty:
                kind, value = "look", None
            if kind == "failed":
                self._status.value += "<p>The run cannot be followed any more.</p>" + _page.log_html(str(value))
                return
            if kind == "run":
                record = self._run._record = value
            began = time.monotonic()
            try:
                self._look(record)
            except Exception as error:
                if not may_pass(error):
                    self._status.value += _page.log_html(str(getattr(error, "message", error)))
                    return
            pause = max(_PAUSE, _SHARE * (time.monotonic() - began))
            if state_of(record) in TERMINAL:
                return

    def _watch(self, events: "queue.Queue[Any]") -> None:
        try:
            for record in watch_run(self._run._client, self._run._name):
                events.put(("run", record))
        except Exception as error:
            events.put(("failed", getattr(error, "message", error)))

    def _look(self, record: Mapping[str, Any]) -> None:
        """Brings everything up to date."""
        log_urls = self._run._log_urls()
        self._show_run(record, log_urls)
        view = metrics_view(self._run._metric_series(None))
        self._images = _page.fetch_images(self._run, view, self._images)
        self._metrics.value = _page.metrics_html(view, self._images)
        self._children.value = _page.children_html(self._run.get_children())
        self._offer_logs(log_urls)
        self._show_log()

    def _show_run(self, record: Mapping[str, Any], log_urls: Mapping[str, str]) -> None:
        error = (error_of(record).get("error") or {}).get("message", "")
        html = _page.status_html(properties_of(record, log_urls), self._run, record.get("target") or "", error)
        self._status.value = html

    def _offer_logs(self, log_urls: Mapping[str, str]) -> None:
        """The logs that there are now; the one shown is the one that Azure's SDK streams, until the user chooses."""
        names = sorted(log_urls)
        with self._lock:
            wanted = self._choice.value if self._chosen_by_user else primary_log(names)
            self._choosing = True
            try:
                if list(self._choice.options) != names:
                    self._choice.options = names
                if wanted in names:
                    self._choice.value = wanted
            finally:
                self._choosing = False

    def _on_choice(self, change: Mapping[str, Any]) -> None:
        if not self._choosing and change.get("new"):
            self._chosen_by_user = True
            self._show_log()

    def _show_log(self) -> None:
        with self._lock:
            name = self._choice.value
            if not name:
                return
            if name != self._shown:
                self._shown, self._text, self._offset = name, "", 0
                self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
            more, self._offset = read_log(self._run, name, self._offset, self._decoder)
            if more or not self._log.value:
                self._text = (self._text + more)[-_KEPT_CHARACTERS:]
                self._log.value = _page.log_html(self._text)


_KEPT_CHARACTERS = 100000
