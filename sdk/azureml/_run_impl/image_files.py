"""What `log_image` uploads: the image's bytes, and the name of its file."""

import io
import os
import re
from types import ModuleType
from typing import Any, NamedTuple

# A name that ends with one of these names the image's format, too. What else stands behind a dot is part of the name:
# "ROC v1.0" and "conv2.weight" are no formats.
_EXTENSIONS = frozenset(
    (".png", ".jpg", ".jpeg", ".gif", ".svg", ".svgz", ".bmp", ".tif", ".tiff", ".webp", ".pdf", ".ps", ".eps")
)
_DEFAULT_EXTENSION = ".png"
# Beginnings of files, for streams that have no file name.
_MARKS = (
    (b"\x89PNG", ".png"),
    (b"\xff\xd8\xff", ".jpg"),
    (b"GIF8", ".gif"),
    (b"BM", ".bmp"),
    (b"II*\0", ".tif"),
    (b"MM\0*", ".tif"),
    (b"%PDF", ".pdf"),
)
_MARK_BYTES = 256
# A part of a path has at most 255 bytes; behind the stem comes "_<20 digits><extension>".
_MAX_STEM_BYTES = 200
_MAX_EXTENSION = 16


class ImageFile(NamedTuple):
    """An image to upload.

    Attributes:
        name: the file's name: the metric's name, a stamp and the extension.
        source: a path, or a binary stream at its start.
    """

    name: str
    source: Any


def image_file(name: str, path: Any, plot: Any, stamp: str) -> "ImageFile":
    """The image of `log_image`, from a file or binary stream, or drawn by a plot.

    Args:
        name: the metric's name.
        stamp: what makes the file's name different from others of the metric.

    Raises:
        UserErrorException: neither or both are given, or it is none of these; the text says what to give.
    """
    from azureml.exceptions import UserErrorException

    if (path is None) == (plot is None):
        raise UserErrorException("log_image needs either path or plot.")
    stem, extension = _split(name)
    if plot is not None:
        if not callable(getattr(plot, "savefig", None)):
            raise UserErrorException("plot must have a savefig method, as figures of matplotlib do.")
        drawn = io.BytesIO()
        extension = extension or _DEFAULT_EXTENSION
        plot.savefig(drawn, format=extension[1:].lower())
        drawn.seek(0)
        source: Any = drawn
    elif isinstance(path, (str, os.PathLike)):
        source = os.fspath(path)
        if not os.path.isfile(source):
            raise UserErrorException("There is no image file {}.".format(source))
        extension = _plain_extension(os.path.splitext(str(source))[1]) or extension
    else:
        source = _stream(path)
        extension = extension or _extension_of_stream(source)
    return ImageFile("{}_{}{}".format(_file_stem(stem), stamp, extension), source)


def _split(name: str) -> Any:
    """A metric's name without the extension of an image, and that extension; else all of it, and none."""
    stem, extension = os.path.splitext(name)
    return (stem, extension) if extension.lower() in _EXTENSIONS else (name, "")


def _file_stem(stem: str) -> str:
    """A metric's name as the beginning of a file's name."""
    plain = re.sub(r"[^\w.() -]+", "_", stem).strip(" ").lstrip(".") or "image"
    return plain.encode("utf-8")[:_MAX_STEM_BYTES].decode("utf-8", "ignore")


def _plain_extension(extension: str) -> str:
    """A file's extension where it is an ordinary one, else nothing."""
    return extension if len(extension) <= _MAX_EXTENSION and re.fullmatch(r"\.\w+", extension) else ""


def _stream(value: Any) -> Any:
    """A binary stream that has something to read."""
    from azureml.exceptions import UserErrorException

    if callable(getattr(value, "savefig", None)):
        what = "the module {}".format(value.__name__) if isinstance(value, ModuleType) else "a figure"
        raise UserErrorException("path is {}; give it as plot: log_image(name, plot=...).".format(what))
    if isinstance(value, (bytes, bytearray, memoryview)):
        return io.BytesIO(value)
    if not callable(getattr(value, "read", None)):
        raise UserErrorException(
            "path must be an image file or a binary stream, not {}. A figure is given as plot.".format(
                "the module " + value.__name__ if isinstance(value, ModuleType) else type(value).__name__
            )
        )
    if getattr(value, "closed", False):
        raise UserErrorException("The stream of the image is closed. Call log_image before it is closed.")
    if isinstance(value, io.TextIOBase):
        raise UserErrorException("The stream of the image has text. Open it with mode 'rb', or use io.BytesIO.")
    if _seekable(value):
        # A figure was saved into it a moment ago, mostly: its position is behind the image.
        start = value.tell()
        if not value.read(1):
            start = 0
        value.seek(start)
    return value


def _extension_of_stream(stream: Any) -> str:
    """By its file's name, else by its first bytes."""
    name = getattr(stream, "name", None)
    if isinstance(name, str):
        found = _plain_extension(os.path.splitext(name)[1])
        if found:
            return found
    if not _seekable(stream):
        return _DEFAULT_EXTENSION
    position = stream.tell()
    start = bytes(stream.read(_MARK_BYTES))
    stream.seek(position)
    for mark, extension in _MARKS:
        if start.startswith(mark):
            return extension
    if start[:4] == b"RIFF" and start[8:12] == b"WEBP":
        return ".webp"
    return ".svg" if b"<svg" in start else _DEFAULT_EXTENSION


def _seekable(stream: Any) -> bool:
    asked = getattr(stream, "seekable", None)
    return bool(asked()) if callable(asked) else callable(getattr(stream, "seek", None))
