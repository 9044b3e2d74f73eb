"""Writes the metrics of runs as TensorBoard's event files.

The events are written by the package tensorboard or, where that is missing, tensorboardX.
"""

import importlib
import json
import logging
import os
from typing import Any, Dict, Iterable, Iterator, List, Optional, Tuple

from azureml._run_impl import metric_values as values

__all__ = ["export_to_tensorboard"]

# (module of EventFileWriter, package of the protobuf messages): both have the same ones.
_WRITERS = (
    ("tensorboard.summary.writer.event_file_writer", "tensorboard.compat.proto"),
    ("tensorboardX.event_file_writer", "tensorboardX.proto"),
)


def export_to_tensorboard(
    run_data: Any, logsdir: str, logger: Optional[logging.Logger] = None, recursive: bool = True
) -> None:
    """Writes metrics as event files, those of each run into ``<logsdir>/<run id>``. Runs without metrics are left out.

    Numbers and lists of numbers become scalars under the metric's name, the numeric columns of rows and tables scalars
    under ``<name>/<column>``, images images, and all else text.

    Args:
        run_data: a run, an experiment (all its runs), or a list of runs.
        logsdir: folder; made when missing.
        logger: is told what is written.
        recursive: also all children.

    Raises:
        UserErrorException: neither runs nor an experiment, or neither tensorboard nor tensorboardX is installed.
    """
    write = _writer_factory()
    logger = logger or logging.getLogger(__name__)
    runs = _runs_of(run_data, recursive)
    os.makedirs(logsdir, exist_ok=True)
    for run in runs:
        folder = os.path.join(logsdir, run.id)
        series = list(run._metric_series(None))
        if not series:
            continue
        logger.info("Exporting the metrics of run %s to %s.", run.id, folder)
        writer = write(folder)
        try:
            _export(run, series, writer)
        finally:
            writer.close()


def _runs_of(run_data: Any, recursive: bool) -> Iterator[Any]:
    from azureml.core.experiment import Experiment
    from azureml.core.run import Run
    from azureml.exceptions import UserErrorException

    if isinstance(run_data, Experiment):
        given: List[Any] = list(run_data.get_runs())
    elif isinstance(run_data, Run):
        given = [run_data]
    else:
        try:
            given = list(run_data)
        except TypeError:
            given = [run_data]
    for run in given:
        if not isinstance(run, Run):
            raise UserErrorException(
                "export_to_tensorboard takes a run, an experiment or a list of runs, not {!r}.".format(
                    type(run).__name__
                )
            )
    return _with_children(given, recursive)


def _with_children(given: Iterable[Any], recursive: bool) -> Iterator[Any]:
    seen = set()
    for run in given:
        for one in [run, *(run.get_children(recursive=True) if recursive else ())]:
            if one.id not in seen:
                seen.add(one.id)
                yield one


def _export(run: Any, series: List[Dict[str, Any]], writer: "_Writer") -> None:
    counts: Dict[str, int] = {}

    def next_step(tag: str) -> int:
        counts[tag] = counts.get(tag, -1) + 1
        return counts[tag]

    for one in series:
        name, kind = str(one.get("name", "")), str(one.get("type") or values.SCALAR)
        steps = one.get("steps") or ()
        for index, (text, micros) in enumerate(zip(one.get("valuesJson") or (), one.get("timesMicros") or ())):
            seconds = int(micros) / 1e6
            value = json.loads(text)
            if kind == values.IMAGE:
                data = _image(run, str(value))
                if data is not None:
                    writer.image(name, data, next_step(name), seconds)
                    continue
            for tag, cell in _cells(name, kind, value):
                step = int(steps[index]) if steps else next_step(tag)
                if isinstance(cell, (int, float)):
                    writer.scalar(tag, float(cell), step, seconds)
                else:
                    writer.text(tag, cell if isinstance(cell, str) else json.dumps(cell), step, seconds)


def _cells(name: str, kind: str, value: Any) -> Iterator[Tuple[str, Any]]:
    """A record's values with their tags, in order."""
    if kind == values.LIST:
        for item in value:
            yield name, item
    elif kind in (values.ROW, values.TABLE):
        for column, cells in value.items():
            for cell in cells if isinstance(cells, list) else [cells]:
                yield "{}/{}".format(name, column), cell
    else:
        yield name, value


def _image(run: Any, uri: str) -> Optional[bytes]:
    artifact = uri.partition("/dcid.{}/".format(run.id))[2]
    if not artifact:
        return None
    request = {"parent": run._name, "paths": [artifact]}
    urls = run._client.call("ArtifactService", "CreateArtifactDownloadUrls", request).get("urls") or []
    return bytes(run._client.transfer.read(urls[0]["url"])) if urls else None


class _Writer:
    """Events of one run.

    Args:
        folder: is made.
        writer_module: has `EventFileWriter`.
        messages: package of TensorBoard's protobuf messages.
    """

    def __init__(self, folder: str, writer_module: Any, messages: str) -> None:
        self._events = importlib.import_module(messages + ".event_pb2")
        self._summaries = importlib.import_module(messages + ".summary_pb2")
        self._tensors = importlib.import_module(messages + ".tensor_pb2")
        self._shapes = importlib.import_module(messages + ".tensor_shape_pb2")
        os.makedirs(folder, exist_ok=True)
        self._file = writer_module.EventFileWriter(folder)

    def scalar(self, tag: str, value: float, step: int, seconds: float) -> None:
        self._add(step, seconds, tag=tag, simple_value=value)

    def image(self, tag: str, data: bytes, step: int, seconds: float) -> None:
        self._add(step, seconds, tag=tag, image=self._summaries.Summary.Image(encoded_image_string=data))

    def text(self, tag: str, text: str, step: int, seconds: float) -> None:
        plugin = self._summaries.SummaryMetadata.PluginData(plugin_name="text")
        shape = self._shapes.TensorShapeProto(dim=[self._shapes.TensorShapeProto.Dim(size=1)])
        tensor = self._tensors.TensorProto(dtype="DT_STRING", string_val=[text.encode("utf-8")], tensor_shape=shape)
        metadata = self._summaries.SummaryMetadata(plugin_data=plugin)
        self._add(step, seconds, tag=tag, metadata=metadata, tensor=tensor)

    def close(self) -> None:
        self._file.close()

    def _add(self, step: int, seconds: float, **value: Any) -> None:
        summary = self._summaries.Summary(value=[self._summaries.Summary.Value(**value)])
        self._file.add_event(self._events.Event(wall_time=seconds, step=step, summary=summary))


def _writer_factory() -> Any:
    from azureml.exceptions import UserErrorException

    for module, messages in _WRITERS:
        try:
            writer_module = importlib.import_module(module)
            importlib.import_module(messages + ".event_pb2")
        except ImportError:
            continue
        return lambda folder: _Writer(folder, writer_module, messages)
    raise UserErrorException(
        "Event files are written by tensorboard, which is not installed in this Python: pip install tensorboard "
        "(tensorboardX does, too)."
    )
