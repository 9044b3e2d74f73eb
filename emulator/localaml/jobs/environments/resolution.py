"""What uv is told: files and arguments made of a request, the settings and pip's configuration. Pure but for
reading a constraints file.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from localaml.domain.names import check_no_controls
from localaml.errors import FailedPrecondition
from localaml.jobs.environments.conda import EnvironmentRequest
from localaml.jobs.environments.interpreters import Interpreter
from localaml.jobs.environments.pip_settings import PipSettings
from localaml.jobs.environments.requirements import IndexOptions
from localaml.settings import EnvironmentSettings

# Changes when the meaning of what is in the cache changes.
_FORMAT = "1"

# Azure ML's own packages, which LocalAML's SDK stands in for; those that other packages depend on are taken out, too.
_SERVED = (
    "azureml-automl-core",
    "azureml-contrib-notebook",
    "azureml-core",
    "azureml-dataprep",
    "azureml-dataprep-native",
    "azureml-dataprep-rslex",
    "azureml-dataset-runtime",
    "azureml-defaults",
    "azureml-explain-model",
    "azureml-interpret",
    "azureml-mlflow",
    "azureml-model-management-sdk",
    "azureml-pipeline",
    "azureml-pipeline-core",
    "azureml-pipeline-steps",
    "azureml-sdk",
    "azureml-telemetry",
    "azureml-tensorboard",
    "azureml-train",
    "azureml-train-automl",
    "azureml-train-automl-client",
    "azureml-train-core",
    "azureml-train-restclients-hyperdrive",
    "azureml-widgets",
)

# Packages that are not of the day that is asked for, when it lies before the first of two days, but of the second.
_NOT_OF_THE_DAY = {
    # Source distributions are built by setuptools 40.8 or newer, also older ones; later it lost what they may use.
    "setuptools": ("2019-03-01", "2021-09-01"),
    "wheel": ("2019-03-01", "2021-09-01"),
    # It is built against our Open MPI 4.1, which the versions before 3.0.1 do not know.
    "mpi4py": ("2022-12-01", "2022-12-01"),
}


@dataclass(frozen=True, slots=True)
class Resolution:
    """One question to the resolver.

    Attributes:
        key: hash of all that the answer depends on, but for the state of the index.
        index_lines: options as a requirements file has them. May hold credentials: for files only, never for the
        command line (`ps`
            shows it) or the log.
        owned_words: words of the owner's settings in which files and folders may be named that uv reads.
        arguments: options of both `uv pip compile` and `uv pip install`.
    """

    key: str
    requirements: tuple[str, ...]
    index_lines: tuple[str, ...]
    arguments: tuple[str, ...]
    constraints: tuple[str, ...]
    owned_words: tuple[str, ...] = field(default=(), repr=False)

    def requirements_file(self) -> str:
        return _lines([*self.index_lines, *self.requirements])

    def pins_file(self, pins: Sequence[str]) -> str:
        return _lines([*self.index_lines, *pins])


def _lines(lines: Sequence[str]) -> str:
    """A file that uv reads: an entry is one line of it, whatever is in it."""
    return "".join(f"{check_no_controls(line, 'a package')}\n" for line in lines)


def overrides_file() -> str:
    """Requirements whose marker is never true: however they are asked for, they are not installed."""
    return "".join(f"{name} ; sys_platform == 'served-by-localaml'\n" for name in _SERVED)


def make_resolution(
    request: EnvironmentRequest,
    python: Interpreter,
    settings: EnvironmentSettings,
    pip: PipSettings,
    environ: Mapping[str, str],
    platform: str = "",
) -> Resolution:
    """Puts the question together.

    Args:
        platform: what the answer may depend on beside the interpreter's own platform.

    Raises:
        FailedPrecondition: ``CONSTRAINTS_FILE_MISSING``.
    """
    options = request.options
    lines: list[str] = []
    index_url = options.index_url or pip.index_url
    if index_url:
        lines.append(f"--index-url {index_url}")
    extra = [*options.extra_index_urls, *settings.extra_index_urls, *pip.extra_index_urls]
    lines += [f"--extra-index-url {url}" for url in dict.fromkeys(extra)]
    lines += [f"--find-links {link}" for link in dict.fromkeys([*options.find_links, *pip.find_links])]
    if options.no_index or (pip.no_index and not options.index_url):
        lines.append("--no-index")
    arguments: list[str] = []
    if not environ.get("UV_INDEX_STRATEGY"):
        # As pip does: the best version of all indexes, not the first index that has the name.
        arguments += ["--index-strategy", "unsafe-best-match"]
    if options.pre:
        arguments += ["--prerelease", "allow"]
    arguments += _each("--no-binary", options.no_binary)
    arguments += _each("--only-binary", options.only_binary)
    arguments += _each("--allow-insecure-host", [*options.trusted_hosts, *pip.trusted_hosts])
    if settings.exclude_newer:
        arguments += ["--exclude-newer", settings.exclude_newer]
        newer = {name: day for name, (until, day) in _NOT_OF_THE_DAY.items() if settings.exclude_newer < until}
        arguments += _each("--exclude-newer-package", [f"{name}={day}" for name, day in newer.items()])
    constraints = [*pip.constraints]
    if settings.constraints_file is not None:
        constraints.append(str(settings.constraints_file))
    facts = [
        _FORMAT,
        sorted(request.requirements),
        lines,
        arguments,
        [_digest(path) for path in constraints],
        python.implementation,
        python.version,
        python.platform,
        *filter(None, [platform]),
    ]
    key = hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:32]
    owned = [pip.index_url or "", *settings.extra_index_urls, *pip.extra_index_urls, *pip.find_links, *constraints]
    return Resolution(key, request.requirements, tuple(lines), tuple(arguments), tuple(constraints), tuple(owned))


def own_sources(options: IndexOptions) -> list[str]:
    """Where a request itself says that packages come from; empty when it leaves that to the settings."""
    return [*filter(None, [options.index_url]), *options.extra_index_urls, *options.find_links]


def environment_key(python: Interpreter, pins: Iterable[str], image: str = "", sources: Sequence[str] = ()) -> str:
    """Name of the folder of an environment: environments with the same packages are one, whatever was asked for.

    Args:
        sources: see `own_sources`: a package of somebody's own index is no other one's package of that name.
        image: id of the image that it is for; empty for this machine.
    """
    facts = [_FORMAT, str(python.path), python.implementation, python.version, python.platform, sorted(pins)]
    facts += filter(None, [image])
    if sources:
        facts.append(list(sources))
    digest = hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:24]
    return f"py{python.minor[0]}.{python.minor[1]}-{digest}"


def read_pins(text: str) -> tuple[str, ...]:
    """The requirements of a file that `uv pip compile` wrote."""
    return tuple(
        line.strip() for line in text.splitlines() if line.strip() and not line.lstrip().startswith(("#", "-"))
    )


def _each(option: str, values: Iterable[str]) -> list[str]:
    return [word for value in dict.fromkeys(values) for word in (option, value)]


def _digest(path: str) -> str:
    if "://" in path:
        return path
    try:
        return hashlib.sha256(Path(path).read_bytes()).hexdigest()
    except OSError as error:
        raise FailedPrecondition(
            "CONSTRAINTS_FILE_MISSING",
            f"The constraints file {path} cannot be read ({error.strerror}): correct the setting.",
        ) from None
