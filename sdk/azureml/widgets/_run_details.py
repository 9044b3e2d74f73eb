"""`RunDetails`: shows a run in a notebook."""

import sys
from typing import TYPE_CHECKING, Any, Callable, Dict, Mapping, Optional

if TYPE_CHECKING:
    from azureml.core.run import Run


class RunDetails:
    """A view of a run: status, properties, metrics, logs; child runs, when it has some.

    Args:
        run_instance: a `Run` of any kind; it may be running.

    Raises:
        UserErrorException: it is no run.
    """

    def __init__(self, run_instance: "Run") -> None:
        from azureml.core.run import Run
        from azureml.exceptions import UserErrorException

        if not isinstance(run_instance, Run):
            raise UserErrorException(
                "RunDetails shows a run that an experiment gave, not {!r}.".format(type(run_instance).__name__)
            )
        self._run = run_instance
        self._settings: Dict[str, Any] = {}

    def show(
        self, render_lib: Optional[Callable[[str], Any]] = None, widget_settings: Optional[Mapping[str, Any]] = None
    ) -> None:
        """Shows the run. Returns at once.

        In a notebook with ipywidgets the view follows the run until its end; in a notebook without it, it shows the
        run as it is now. Outside of notebooks nothing is shown: there `wait_for_completion(show_output=True)` tells.

        Args:
            render_lib: gets the view as HTML, as it is now, instead of the notebook (Databricks: `displayHTML`).
            widget_settings: kept, and part of `get_widget_data`; LocalAML has no settings of its own.
        """
        from azureml.exceptions import UserErrorException

        self._settings = dict(widget_settings or {})
        if render_lib is not None:
            if not callable(render_lib):
                raise UserErrorException("render_lib must be a function that shows HTML, not {!r}.".format(render_lib))
            render_lib(self._html())
        elif _in_notebook():
            from IPython.display import HTML, display

            try:
                from azureml.widgets._live_view import LiveView
            except ImportError:  # ipywidgets is not installed
                display(HTML(self._html()))
                return
            view = LiveView(self._run)
            display(view.widget)
            view.start()

    def get_widget_data(self, widget_settings: Optional[Mapping[str, Any]] = None) -> Dict[str, Any]:
        """What the view shows, as plain data, fetched now: ``run_id``, ``run_properties`` (script_name, arguments,
        status, created_utc, end_time_utc, run_duration, log_files, properties, tags, distributed_processes),
        ``run_metrics``, ``run_logs``, ``child_runs``, ``child_runs_metrics``, ``compute_target_status``,
        ``workbench_uri``, ``error``, ``widget_settings``."""
        from azureml.widgets._widget_data import widget_data

        return widget_data(self._run, self._settings if widget_settings is None else widget_settings)

    def _html(self) -> str:
        from azureml.widgets import _page
        from azureml.widgets._charts import metrics_view

        run = self._run
        data = self.get_widget_data()
        view = metrics_view(run._metric_series(None))
        return "".join(
            (
                _page.status_html(data["run_properties"], run, run._known().get("target") or "", data["error"]),
                _page.metrics_html(view, _page.fetch_images(run, view, {})),
                _page.children_html(run.get_children()),
                _page.log_html(data["run_logs"]) if data["run_logs"] else "",
            )
        )


def _in_notebook() -> bool:
    """Whether this process is a Jupyter kernel. Whoever has not imported IPython is in none."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None and hasattr(ipython, "get_ipython") else None
    return getattr(shell, "kernel", None) is not None
