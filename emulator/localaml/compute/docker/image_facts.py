"""What an image's Python says of itself: asked once for each image, kept in a file for it.

    <cache dir>/images/<id>.json

An id is a hash of the image: what was found out about it stays true, on every engine.
"""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

# Changes when the meaning of the file changes.
_FORMAT = 1
_MARK = "localaml-facts:"
# LocalAML's own scripts in containers.
OLDEST_FOR_SCRIPTS = (3, 7)

# Any Python from 2.6 on understands it: it has to say that it is too old. Others are looked for on the PATH and where
# images for machine learning have them; what a name on the PATH leads to is told, too.
PROBE = r"""
import glob, json, os, platform, re, subprocess, sys
try:
    import sysconfig
    kind = sysconfig.get_platform()
except ImportError:
    kind = ""
one = [os.path.abspath(sys.executable or ""), ".".join(str(part) for part in sys.version_info[:3]),
       platform.python_implementation().lower(), kind]
if sys.argv[1:] == ["borrowed"]:
    # Of another system: the libraries that these are made with may not be there.
    import ctypes, ssl, zlib
if sys.argv[1:] != ["all"]:
    print("localaml-facts:" + json.dumps({"interpreters": [one]}))
    sys.exit(0)
try:
    libc = os.confstr("CS_GNU_LIBC_VERSION") or ""
except (AttributeError, ValueError, OSError):
    libc = ""
path = os.environ.get("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin").split(":")
usual = ["/usr/local/bin", "/usr/bin", "/opt/miniconda/bin", "/opt/conda/bin", "/opt/python/*/bin",
         "/opt/miniconda/envs/*/bin", "/opt/conda/envs/*/bin", "/azureml-envs/*/bin"]
folders = list(path)
for pattern in usual:
    folders += sorted(glob.glob(pattern))
names, interpreters, seen = {}, [one], set([os.path.realpath(one[0])])
for folder in folders:
    for program in sorted(glob.glob(os.path.join(folder, "python*"))):
        name = os.path.basename(program)
        if not re.match(r"^python(3(\.\d+)?)?$", name) or not os.access(program, os.X_OK) or os.path.isdir(program):
            continue
        if folder in path:
            names.setdefault(name, program)
        if os.path.realpath(program) in seen:
            continue
        seen.add(os.path.realpath(program))
        try:
            asked = subprocess.Popen([program, "-c", os.environ["LOCALAML_PROBE"], "one"], stdout=subprocess.PIPE,
                                     stderr=subprocess.PIPE)
            answer = asked.communicate()[0].decode("utf-8", "replace")
            interpreters += json.loads(answer.split("localaml-facts:")[-1])["interpreters"]
        except (OSError, ValueError, KeyError):
            pass
print("localaml-facts:" + json.dumps({"interpreters": interpreters, "libc": libc, "names": names}))
"""


@dataclass(frozen=True, slots=True)
class ImageInterpreter:
    """A Python of an image: path in it, ``3.11.2``, ``cpython``, ``linux-x86_64``."""

    path: str
    version: str
    implementation: str
    platform: str

    @property
    def minor(self) -> tuple[int, int]:
        major, minor = self.version.split(".")[:2]
        return int(major), int(minor)


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """What was found out about an image.

    Attributes:
        interpreters: its own first, which is the one that its PATH leads to.
        libc: ``glibc 2.36``; empty where it is another library.
        names: commands on its PATH and the interpreters that they lead to.
        others: interpreters that the image does not have by a usual name, or of this machine, tried in it: path ->
            answer, None where it does not start.
    """

    interpreters: tuple[ImageInterpreter, ...]
    libc: str = ""
    names: Mapping[str, str] = field(default_factory=dict)
    others: Mapping[str, ImageInterpreter | None] = field(default_factory=dict)

    @property
    def glibc(self) -> tuple[int, int] | None:
        """Version of the GNU C library; None where it is another one."""
        match = re.match(r"glibc (\d+)\.(\d+)", self.libc)
        return (int(match[1]), int(match[2])) if match else None

    def for_scripts(self) -> ImageInterpreter | None:
        """The interpreter that LocalAML's own scripts run on in a container; None when all are too old."""
        return next((python for python in self.interpreters if python.minor >= OLDEST_FOR_SCRIPTS), None)

    def with_other(self, path: str, answer: ImageInterpreter | None) -> ImageFacts:
        return replace(self, others={**self.others, path: answer})


def read_answer(output: str) -> ImageFacts | None:
    """What the probe printed; None when that is not an answer."""
    try:
        return _facts(json.loads(output.rpartition(_MARK)[2])) if _MARK in output else None
    except (ValueError, TypeError, KeyError, AttributeError):
        return None


class FactsStore:
    """The files. A file that cannot be read is as good as none."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._known: dict[str, ImageFacts] = {}

    def get(self, image_id: str) -> ImageFacts | None:
        if image_id not in self._known:
            try:
                content = json.loads(self._file(image_id).read_text(encoding="utf-8"))
                facts = _facts(content) if content["format"] == _FORMAT else None
            except (OSError, ValueError, TypeError, KeyError, AttributeError):
                facts = None
            if facts is None:
                return None
            self._known[image_id] = facts
        return self._known[image_id]

    def put(self, image_id: str, facts: ImageFacts) -> None:
        self._known[image_id] = facts
        self._folder.mkdir(parents=True, exist_ok=True)
        handle, partial = tempfile.mkstemp(dir=self._folder)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump({"format": _FORMAT, **asdict(facts)}, file, indent=1)
        Path(partial).replace(self._file(image_id))

    def _file(self, image_id: str) -> Path:
        return self._folder / f"{image_id.rpartition(':')[2]}.json"


def _facts(content: Mapping[str, Any]) -> ImageFacts | None:
    interpreters = tuple(filter(None, (_interpreter(item) for item in content["interpreters"])))
    if not interpreters:
        return None
    return ImageFacts(
        interpreters,
        str(content.get("libc", "")),
        {str(name): str(path) for name, path in (content.get("names") or {}).items()},
        {str(path): _interpreter(item) for path, item in (content.get("others") or {}).items()},
    )


def _interpreter(item: Any) -> ImageInterpreter | None:
    values = list(item.values()) if isinstance(item, Mapping) else list(item or ())
    if len(values) != 4 or not all(isinstance(value, str) for value in values):
        return None
    found = ImageInterpreter(*values)
    return found if found.path.startswith("/") and re.match(r"\d+\.\d+", found.version) else None
