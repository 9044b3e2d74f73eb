"""A run's metrics as what can be drawn: numbers, lines, images."""

import json
import math
from html import escape
from typing import Any, Dict, Iterable, List, Mapping, NamedTuple, Optional, Tuple

from azureml._run_impl import metric_values as values

_WIDTH, _HEIGHT, _LEFT, _BOTTOM, _TOP = 320, 180, 56, 22, 10
_COLOR = "#1f77b4"


class Chart(NamedTuple):
    """A line: `points` are (x, y), all finite."""

    name: str
    x_label: str
    points: List[Tuple[float, float]]


class MetricsView(NamedTuple):
    """A run's metrics, sorted by how they are shown.

    Attributes:
        numbers: (name, value) of metrics that are one value.
        charts: lines with two points or more.
        images: (name, artifact URI).
    """

    numbers: List[Tuple[str, Any]]
    charts: "List[Chart]"
    images: List[Tuple[str, str]]


def metrics_view(series: Iterable[Mapping[str, Any]]) -> "MetricsView":
    """Sorts metric series (MetricSeries messages). A scalar logged several times is a line over its steps, else over
    its number; a list is a line; rows and tables are the line of their first two numeric columns, as in Azure's
    portal."""
    view = MetricsView([], [], [])
    by_name: Dict[str, List[Mapping[str, Any]]] = {}
    for one in series:
        by_name.setdefault(str(one.get("name", "")), []).append(one)
    for name, parts in by_name.items():
        kinds = {str(part.get("type") or values.SCALAR) for part in parts}
        if kinds == {values.IMAGE}:
            view.images.extend((name, json.loads(text)) for part in parts for text in part.get("valuesJson") or ())
        elif kinds <= {values.SCALAR, values.LIST}:
            _scalars(view, name, parts)
        elif kinds <= {values.ROW, values.TABLE}:
            chart = _table(name, values.shape_metrics(parts).get(name))
            if chart is not None:
                view.charts.append(chart)
    return view


def _scalars(view: "MetricsView", name: str, parts: List[Mapping[str, Any]]) -> None:
    points: List[Tuple[float, float]] = []
    everything: List[Any] = []
    has_steps = False
    for part in parts:
        steps = part.get("steps") or ()
        has_steps = has_steps or bool(steps)
        for index, text in enumerate(part.get("valuesJson") or ()):
            value = json.loads(text)
            for item in value if isinstance(value, list) else [value]:
                x = float(steps[index]) if steps else float(len(everything))
                everything.append(item)
                if _is_number(item):
                    points.append((x, float(item)))
    if len(points) > 1:
        view.charts.append(Chart(name, "step" if has_steps else "", points))
    elif len(everything) == 1:
        view.numbers.append((name, everything[0]))


def _table(name: str, columns: Any) -> "Optional[Chart]":
    numeric = []
    for column, cells in (columns or {}).items():
        cells = cells if isinstance(cells, list) else [cells]
        if cells and all(_is_number(cell) for cell in cells):
            numeric.append((str(column), [float(cell) for cell in cells]))
    if not numeric:
        return None
    if len(numeric) == 1:
        column, ys = numeric[0]
        chart = Chart("{} ({})".format(name, column), "", [(float(index), y) for index, y in enumerate(ys)])
    else:
        (x_column, xs), (y_column, ys) = numeric[:2]
        chart = Chart("{} ({})".format(name, y_column), x_column, list(zip(xs, ys)))
    return chart if len(chart.points) > 1 else None


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def svg(chart: "Chart") -> str:
    """The chart as an SVG element: needs no library, no figure in a thread, and nothing from the network."""
    xs, ys = [x for x, _ in chart.points], [y for _, y in chart.points]
    low_x, high_x, low_y, high_y = min(xs), max(xs), min(ys), max(ys)
    width, height = _WIDTH - _LEFT - 10, _HEIGHT - _BOTTOM - _TOP

    def place(x: float, y: float) -> str:
        across = (x - low_x) / ((high_x - low_x) or 1.0)
        up = (y - low_y) / (high_y - low_y) if high_y > low_y else 0.5
        return "{:.1f},{:.1f}".format(_LEFT + across * width, _TOP + (1 - up) * height)

    label = '<text x="{:.0f}" y="{:.0f}" font-size="10" text-anchor="{}" fill="currentColor">{}</text>'.format
    bottom = _HEIGHT - _BOTTOM
    parts = [
        '<path d="M{},{}V{}H{}" fill="none" stroke="currentColor" opacity="0.4"/>'.format(
            _LEFT, _TOP, bottom, _WIDTH - 10
        ),
        '<polyline fill="none" stroke="{}" stroke-width="1.5" points="{}"/>'.format(
            _COLOR, " ".join(place(x, y) for x, y in _thinned(chart.points))
        ),
        label(_LEFT - 4, _TOP + 8, "end", _short(high_y)),
        label(_LEFT - 4, bottom, "end", _short(low_y)),
        label(_LEFT, _HEIGHT - 8, "start", _short(low_x)),
        label(_WIDTH - 10, _HEIGHT - 8, "end", _short(high_x)),
        label(_LEFT + width / 2.0, _HEIGHT - 8, "middle", escape(chart.x_label)),
    ]
    return '<svg viewBox="0 0 {0} {1}" width="{0}" height="{1}" role="img" aria-label="{2}">{3}</svg>'.format(
        _WIDTH, _HEIGHT, escape(chart.name), "".join(parts)
    )


def _thinned(points: List[Tuple[float, float]], most: int = 2000) -> List[Tuple[float, float]]:
    """No more points than a picture can show; the last one stays."""
    if len(points) <= most:
        return points
    stride = -(-len(points) // most)
    return points[::stride] + points[-1:]


def _short(value: float) -> str:
    return "{:.4g}".format(value)
