"""Curated environments: Azure's ready-made names, each with the packages that stand for it here.

`curated_environments.json` has them: `environments` (name to description, Python and pip packages) and `missing` (names
of Azure's that cannot be had here, and why).
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib import resources
from typing import Any

from localaml.errors import InvalidArgument, NotFound, Unimplemented

_PREFIX = "azureml-"
_MICROSOFT = "microsoft"
_IMAGE = "mcr.microsoft.com/azureml/base:0.2.1"
_GPU_IMAGE = "mcr.microsoft.com/azureml/base-gpu:0.2.1"


@dataclass(frozen=True, slots=True)
class CuratedEnvironment:
    """One of them.

    Attributes:
        definition: an `EnvironmentDefinition` in the JSON form of proto3.
    """

    name: str
    description: str
    definition: Mapping[str, Any]
    version: str = "1"


class CuratedEnvironments:
    """All of them, read when first asked for."""

    @cached_property
    def _content(self) -> Mapping[str, Any]:
        text = resources.files("localaml.services").joinpath("curated_environments.json").read_text("utf-8")
        content: Mapping[str, Any] = json.loads(text)
        return content

    def is_reserved(self, name: str) -> bool:
        """Whether only curated environments have such names."""
        return name.lower().startswith(_PREFIX)

    def check_free(self, name: str) -> None:
        """Raises InvalidArgument ``ENVIRONMENT_NAME_RESERVED`` for a name that users cannot register, as in Azure."""
        if name.lower().startswith((_PREFIX.rstrip("-"), _MICROSOFT)):
            raise InvalidArgument(
                "ENVIRONMENT_NAME_RESERVED",
                f"{name!r} cannot be registered: names that begin with 'AzureML' or 'Microsoft' are those of curated "
                "environments. Clone it under another name: environment.clone('my-' + environment.name).",
                {"environment": name},
            )

    def all(self) -> list[CuratedEnvironment]:
        """By name."""
        return [self._read(name) for name in sorted(self._content["environments"])]

    def get(self, name: str) -> CuratedEnvironment:
        """Raises NotFound ``ENVIRONMENT_NOT_FOUND``, Unimplemented ``ENVIRONMENT_NOT_SUPPORTED``."""
        if name in self._content["environments"]:
            return self._read(name)
        why = self._content["missing"].get(name)
        if why is not None:
            raise Unimplemented(
                "ENVIRONMENT_NOT_SUPPORTED",
                f"LocalAML does not have the curated environment {name!r}: {why} "
                f"Make one of your own with Environment.from_conda_specification or from_pip_requirements.",
                {"environment": name},
            )
        names = sorted(self._content["environments"])
        close = difflib.get_close_matches(name, names, 3, 0.6)
        raise NotFound(
            "ENVIRONMENT_NOT_FOUND",
            f"There is no curated environment {name!r}. "
            + (f"Did you mean {' or '.join(close)}?" if close else f"There are: {', '.join(names)}."),
            {"environment": name},
        )

    def _read(self, name: str) -> CuratedEnvironment:
        entry = self._content["environments"][name]
        image = _GPU_IMAGE if name.endswith("-GPU") else _IMAGE
        return CuratedEnvironment(
            name,
            entry["description"],
            {
                "python": {
                    "interpreterPath": "python",
                    "condaDependencies": {
                        "name": "project_environment",
                        "channels": ["conda-forge"],
                        "dependencies": [f"python={entry['python']}", {"pip": ["azureml-defaults", *entry["pip"]]}],
                    },
                },
                "docker": {"baseImage": image, "sharedVolumes": True},
            },
        )
