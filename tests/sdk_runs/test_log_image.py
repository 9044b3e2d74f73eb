"""`log_image`: which names and sources it takes, and which file they become."""

from __future__ import annotations

import io
import sys
import types
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from azureml.exceptions import UserErrorException

if TYPE_CHECKING:
    from azureml.core import Experiment
    from azureml.core.run import Run

_PNG = b"\x89PNG\r\n\x1a\n and so on"


class Figure:
    """What `log_image` needs of matplotlib: it knows the formats that matplotlib draws."""

    def savefig(self, target: Any, format: str) -> None:
        if format not in ("png", "svg", "jpg", "jpeg", "pdf"):
            raise ValueError(f"Format {format!r} is not supported")
        target.write(b"drawn as " + format.encode())


@pytest.fixture
def run(experiment: Experiment) -> Run:
    return experiment.start_logging(snapshot_directory=None)


def _uploaded(run: Run, name: str) -> tuple[str, bytes]:
    """The name of the file of the metric's image, and what is in it."""
    uri = run.get_metrics(name)[name]
    artifact = str(uri).partition(f"dcid.{run.id}/")[2]
    run.download_file(artifact, "fetched/image")
    return artifact, Path("fetched/image").read_bytes()


@pytest.mark.parametrize(
    ("name", "stem", "extension", "content"),
    [
        ("ROC v1.0", "ROC v1.0_", ".png", b"drawn as png"),
        ("conv2.weight", "conv2.weight_", ".png", b"drawn as png"),
        ("fold 1.", "fold 1._", ".png", b"drawn as png"),
        ("0.5", "0.5_", ".png", b"drawn as png"),
        ("...", "image_", ".png", b"drawn as png"),
        ("layer/1.bias", "layer_1.bias_", ".png", b"drawn as png"),
        ("..\\..\\x.1", "_.._x.1_", ".png", b"drawn as png"),
        ("curve v1.2.svg", "curve v1.2_", ".svg", b"drawn as svg"),
        ("Curve.SVG", "Curve_", ".SVG", b"drawn as svg"),
        ("ü" * 255, "ü" * 100 + "_", ".png", b"drawn as png"),
    ],
)
def test_any_name(run: Run, name: str, stem: str, extension: str, content: bytes) -> None:
    run.log_image(name, plot=Figure())
    artifact, found = _uploaded(run, name)
    assert artifact.startswith(stem)
    assert artifact.endswith(extension)
    assert found == content


def test_a_file_under_a_name_with_a_dot(run: Run) -> None:
    Path("plot.jpg").write_bytes(b"photo")
    for name, stem in (("fold 1.2", "fold 1.2_"), ("plot.png", "plot_"), ("v.1", "v.1_")):
        run.log_image(name, path=Path("plot.jpg"))
        artifact, found = _uploaded(run, name)
        assert (artifact.startswith(stem), artifact[-4:], found) == (True, ".jpg", b"photo")


def test_streams(run: Run) -> None:
    Path("plot.gif").write_bytes(b"GIF89a and so on")
    run.log_image("bytes 1.0", path=io.BytesIO(_PNG))
    with Path("plot.gif").open("rb") as file:
        run.log_image("open file", path=file)
    drawn = io.BytesIO()
    drawn.write(b"\xff\xd8\xff as savefig leaves it, at its end")
    run.log_image("at its end", path=drawn)
    run.log_image("raw", path=_PNG)
    assert _uploaded(run, "bytes 1.0")[1] == _PNG
    assert _uploaded(run, "bytes 1.0")[0].startswith("bytes 1.0_")
    assert _uploaded(run, "bytes 1.0")[0].endswith(".png")
    assert _uploaded(run, "open file")[0].endswith(".gif")
    assert _uploaded(run, "open file")[1] == b"GIF89a and so on"
    assert _uploaded(run, "at its end")[0].endswith(".jpg")
    assert _uploaded(run, "at its end")[1] == drawn.getvalue()
    assert _uploaded(run, "raw")[1] == _PNG


def test_what_is_no_image(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    pyplot = types.ModuleType("matplotlib.pyplot")
    pyplot.savefig = Figure().savefig  # type: ignore[attr-defined]  # as the real module has
    closed = io.BytesIO()
    closed.close()
    for wrong, said in (
        (pyplot, r"the module matplotlib\.pyplot.*plot="),
        (Figure(), r"figure.*plot="),
        (sys, "not the module sys.*plot"),
        (3, "not int"),
        (io.StringIO("text"), "rb"),
        (closed, "closed"),
        (Path("missing.png"), "no image file"),
        (Path(), "no image file"),
    ):
        with pytest.raises(UserErrorException, match=said):
            run.log_image("wrong", wrong)
    assert run.get_metrics() == {}
    assert run.get_file_names() == []
