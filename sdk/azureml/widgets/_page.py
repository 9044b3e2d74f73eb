"""The widget's parts as HTML. All that comes from a run is escaped: a log or a metric's name is anybody's text."""

import base64
from html import escape
from typing import Any, Dict, Iterable, List, Mapping, Optional, Tuple

from azureml.widgets._charts import MetricsView, svg

_IMAGE_TYPES = {".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".gif": "image/gif"}
_MOST_IMAGE_BYTES = 2 * 1024 * 1024
_MOST_LOG_CHARACTERS = 30000
_LOG_STYLE = (
    "max-height:24em;overflow:auto;white-space:pre-wrap;line-height:1.3;border:1px solid #8884;padding:6px;margin:0"
)


def status_html(properties: Mapping[str, Any], run: Any, target: str, error: str) -> str:
    """Status and properties of a run as a table."""
    rows: List[Tuple[str, str]] = [
        ("Experiment", run.experiment.name),
        ("Run", str(properties.get("run_id"))),
        ("Status", str(properties.get("status"))),
        ("Target", target or "this process"),
        ("Script", " ".join(filter(None, (properties.get("script_name"), properties.get("arguments"))))),
        ("Duration", str(properties.get("run_duration") or "")),
        ("Tags", ", ".join(_label(*item) for item in sorted(properties["tags"].items()))),
        ("Error", error),
    ]
    cells = "".join(
        '<tr><th style="text-align:left">{}</th><td style="text-align:left;white-space:pre-wrap">{}</td></tr>'.format(
            name, escape(value)
        )
        for name, value in rows
        if value
    )
    link = '<a href="{}" target="_blank" rel="noopener">Open the run&#39;s page</a>'.format(
        escape(run.get_portal_url())
    )
    return "<table>{}</table>{}".format(cells, link)


def metrics_html(view: MetricsView, images: Mapping[str, str]) -> str:
    """Metrics: a table of numbers, a chart per line, the images.

    Args:
        images: artifact URI -> data URI of those that could be fetched.
    """
    parts = []
    if view.numbers:
        rows = "".join(
            '<tr><th style="text-align:left">{}</th><td>{}</td></tr>'.format(escape(name), escape(str(value)))
            for name, value in view.numbers
        )
        parts.append("<table>{}</table>".format(rows))
    figures = [(chart.name, svg(chart)) for chart in view.charts]
    figures += [
        (name, '<img style="max-width:320px" alt="{}" src="{}"/>'.format(escape(name), escape(images[uri])))
        for name, uri in view.images
        if uri in images
    ]
    parts += [
        '<figure style="display:inline-block;margin:6px"><figcaption>{}</figcaption>{}</figure>'.format(
            escape(name), drawing
        )
        for name, drawing in figures
    ]
    return "".join(parts)


def children_html(children: Iterable[Any]) -> str:
    """A table of child runs."""
    rows = "".join(
        '<tr><td style="text-align:left">{}</td><td>{}</td><td><a href="{}" target="_blank" rel="noopener">Page</a>'
        "</td></tr>".format(escape(child.id), escape(child._status), escape(child.get_portal_url()))
        for child in children
    )
    return "<table><tr><th>Child run</th><th>Status</th><th></th></tr>{}</table>".format(rows) if rows else ""


def log_html(text: str) -> str:
    """The end of a log."""
    shown = text[-_MOST_LOG_CHARACTERS:]
    if len(shown) < len(text):
        shown = "... (the beginning is left out)\n" + shown.partition("\n")[2]
    return '<pre style="{}">{}</pre>'.format(_LOG_STYLE, escape(shown))


def _label(name: str, value: Optional[str]) -> str:
    return name if value is None else "{}: {}".format(name, value)


def fetch_images(run: Any, view: MetricsView, known: Mapping[str, str]) -> Dict[str, str]:
    """Image metrics as data URIs, by artifact URI; images that are too large or of an unknown type stay out."""
    import os

    found = dict(known)
    for _, uri in view.images:
        kind = _IMAGE_TYPES.get(os.path.splitext(uri)[1].lower())
        artifact = uri.partition("/dcid.{}/".format(run.id))[2]
        if uri in found or kind is None or not artifact:
            continue
        request = {"parent": run._name, "paths": [artifact]}
        urls = run._client.call("ArtifactService", "CreateArtifactDownloadUrls", request).get("urls") or []
        data = run._client.transfer.read(urls[0]["url"], 0, _MOST_IMAGE_BYTES + 1) if urls else b""
        if 0 < len(data) <= _MOST_IMAGE_BYTES:
            found[uri] = "data:{};base64,{}".format(kind, base64.b64encode(data).decode("ascii"))
    return found
