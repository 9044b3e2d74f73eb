"""Logging metrics and reading them."""

import time
from typing import TYPE_CHECKING, Any, Callable, Dict, Optional, Set

from azureml._run_impl import metric_values as values
from azureml._run_impl.metric_values import SCALAR
from azureml._run_impl.metrics_writer import Encoded, Record, flush_if_any, metrics_writer
from azureml._run_impl.run_base import RunBase

if TYPE_CHECKING:
    from azureml._run_impl.run_files import UploadedArtifacts

_FLUSH_SECONDS = 60.0
_LARGEST = 2**63
_now = time.time


class RunMetrics(RunBase):
    """A run's metrics. Logging returns at once; a thread sends in the background, at the latest half a second later."""

    _appender: Optional[Callable[[Record], None]] = None
    _good_names: Optional[Set[str]] = None

    def log(self, name: str, value: Any, description: Optional[str] = "", step: Optional[int] = None) -> None:
        """Logs one value. Logged again under the same name it makes a list.

        Args:
            value: a number, text or bool; also a scalar of numpy, a tensor with one element, and whatever else has
                `item()` or `__float__`, such as a Decimal.
            step: the x-axis' value in charts.

        Raises:
            UserErrorException: the value is not one value, or the name is none.
        """
        if type(value) is not float:
            value = values.plain_scalar(value, "The metric {!r}".format(name))
            if type(value) is str and len(value) > values.LONG_TEXT:
                return self._log(SCALAR, name, value, description)
        if description:
            description = values.check_description(description)
        if step is not None and (type(step) is not int or not -_LARGEST <= step < _LARGEST):
            step = _step(step)
        good_names = self._good_names
        if good_names is None or type(name) is not str or name not in good_names:
            self._begin(name)
        self._appender((SCALAR, name, description or "", value, _now(), step))  # type: ignore[misc]  # set by _begin

    def log_list(self, name: str, value: Any, description: Optional[str] = "") -> None:
        """Logs a list of values under one name."""
        self._log(values.LIST, name, values.plain_list(value, "The metric {!r}".format(name)), description)

    def log_row(self, name: str, description: Optional[str] = None, **kwargs: Any) -> None:
        """Logs a row with the keyword arguments as columns. Logged again it makes a table."""
        from azureml.exceptions import UserErrorException

        if not kwargs:
            raise UserErrorException("log_row needs at least one column: log_row({!r}, x=1, y=2).".format(name))
        row = {column: values.plain_scalar(cell, "column {!r}".format(column)) for column, cell in kwargs.items()}
        self._log(values.ROW, name, row, description)

    def log_table(self, name: str, value: Dict[str, Any], description: Optional[str] = "") -> None:
        """Logs a table: ``{column: [values]}``."""
        self._log(values.TABLE, name, values.plain_table(value, "The metric {!r}".format(name)), description)

    def log_confusion_matrix(self, name: str, value: Any, description: Optional[str] = "") -> None:
        """Logs a confusion matrix: Azure's document, as a dict or JSON text."""
        self._log_document(values.CONFUSION_MATRIX, name, value, description)

    def log_accuracy_table(self, name: str, value: Any, description: Optional[str] = "") -> None:
        """Logs an accuracy table: Azure's document, as a dict or JSON text."""
        self._log_document(values.ACCURACY_TABLE, name, value, description)

    def log_residuals(self, name: str, value: Any, description: Optional[str] = "") -> None:
        """Logs residuals: Azure's document, as a dict or JSON text."""
        self._log_document(values.RESIDUALS, name, value, description)

    def log_predictions(self, name: str, value: Any, description: Optional[str] = "") -> None:
        """Logs predictions: Azure's document, as a dict or JSON text."""
        self._log_document(values.PREDICTIONS, name, value, description)

    def log_image(self, name: str, path: Any = None, plot: Any = None, description: Optional[str] = "") -> None:
        """Uploads an image and logs where it is.

        Args:
            name: any name. When it ends with an image's extension, e.g. ``.svg``, a plot is drawn in that format, else
                as PNG.
            path: an image file, or a binary stream of one (an open file, `io.BytesIO`).
            plot: a matplotlib figure or `pyplot` itself (anything with `savefig`).

        Raises:
            UserErrorException: neither or both are given, there is no such file, or it is no file, stream or plot.
        """
        import datetime

        from azureml._run_impl.image_files import image_file

        stamp = datetime.datetime.now(datetime.timezone.utc).strftime("%Y%m%d%H%M%S%f")
        artifact, source = image_file(values.check_name(name), path, plot, stamp)
        self.upload_file(artifact, source)
        uri = "aml://artifactId/ExperimentRun/dcid.{}/{}".format(self.id, artifact)
        self._log(values.IMAGE, name, uri, description)

    def get_metrics(
        self,
        name: Optional[str] = None,
        recursive: bool = False,
        run_type: Optional[str] = None,
        populate: bool = False,
    ) -> Dict[str, Any]:
        """The metrics by name: one logged value as it is, several as a list; lists; rows and tables as
        ``{column: value or list}``; images as the artifact's URI.

        Args:
            name: only this metric.
            recursive: also those of all descendants, behind the run's own.
            run_type: only of descendants of this type.
        """
        if populate:
            from azureml._localaml.unsupported import unsupported

            raise unsupported("get_metrics(populate=True)", "Fetch images with download_file.")
        series = list(self._metric_series(name))
        if recursive:
            for child in self.get_children(recursive=True, type=run_type):
                series.extend(child._metric_series(name))
        return values.shape_metrics(series)

    def flush(self, timeout_seconds: float = 300) -> None:
        """Returns when everything logged so far is at the emulator.

        Raises:
            AzureMLException: it was refused, or did not get there in time.
        """
        flush_if_any(self._client, self._name, timeout_seconds)

    def _metric_series(self, name: Optional[str]) -> Any:
        self.flush(_FLUSH_SECONDS)
        request = {"parent": self._name}
        if name:
            request["metricName"] = name
        return self._client.pages("MetricService", "ListMetrics", request, "series")

    def _log_document(self, kind: str, name: str, value: Any, description: Optional[str]) -> None:
        self._log(kind, name, values.plain_document(value, "The metric {!r}".format(name)), description)

    def _log(self, kind: str, name: str, value: Any, description: Optional[str]) -> None:
        text = values.encode(value, "The metric {!r}".format(name))
        self._begin(name)
        assert self._appender is not None
        self._appender((kind, name, values.check_description(description), Encoded(text), _now(), None))

    def _begin(self, name: Any) -> None:
        """Checks a name that comes for the first time; looks the writer up once."""
        checked = values.check_name(name)
        if self._good_names is None or self._appender is None:
            self._appender = metrics_writer(self._client, self._name).append
            self._good_names = set()
        if len(self._good_names) < 10000:
            self._good_names.add(checked)

    if TYPE_CHECKING:  # other parts of a run have these

        def upload_file(
            self, name: str, path_or_stream: Any, datastore_name: Optional[str] = None
        ) -> "UploadedArtifacts": ...

        def get_children(self, recursive: bool = False, *args: Any, **kwargs: Any) -> Any: ...


def _step(step: Any) -> int:
    from azureml._run_impl.definition import whole_number

    return values.check_integer(whole_number(values.plain_scalar(step, "step"), "step", -(2**63)), "step")
