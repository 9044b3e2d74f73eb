"""What a run definition says about its container.

`docker` of the environment is the older form, `docker` of the run itself the newer one (azureml-core's `DockerSection`
and `DockerConfiguration`). Whether Docker is to be used at all counts for nothing: as DockerConfiguration documents it,
AmlCompute runs jobs in containers always, and what nodes are here is the cluster's to say.
"""

from __future__ import annotations

import base64
import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from localaml.domain.dockerfile_rules import check_dockerfile
from localaml.domain.job import ContainerSpec, RegistryCredentials
from localaml.domain.models import Run, RunKey
from localaml.domain.names import check_no_controls
from localaml.domain.sizes import parse_size
from localaml.errors import FailedPrecondition, InvalidArgument
from localaml_proto.v1 import run_definition_pb2

if TYPE_CHECKING:
    from localaml.services.sealing import SecretSealer

_LOG = logging.getLogger(__name__)
# Where the sealed password is in what is noted of a run's execution.
_SEALED = "registry_password"
# What DockerConfiguration says by itself; nobody wished for it.
_DEFAULT_SHM_SIZE = "2g"


def container_spec(definition: run_definition_pb2.RunDefinition, password: str = "") -> ContainerSpec:
    """The container of a run, without a look at its arguments (which mean something only where nodes are containers).

    Args:
        password: of the image's registry, where the definition does not have it any more.

    Raises InvalidArgument ``SHM_SIZE_INVALID``, ``IMAGE_INVALID``, ``DOCKERFILE_INVALID``, ``CONTROL_CHARACTER``.
    """
    section = definition.environment.docker
    image = section.base_image.strip()
    if any(character.isspace() or not character.isprintable() for character in image):
        raise InvalidArgument("IMAGE_INVALID", f"base_image {image[:64]!r} is not the name of an image.")
    check_dockerfile(section.base_dockerfile)
    return ContainerSpec(
        image="" if section.base_dockerfile else image,
        dockerfile=section.base_dockerfile,
        shm_size_bytes=_shm_size(definition),
        gpu=section.gpu_support,
        arguments=(*section.arguments, *definition.docker.arguments),
        registry=_registry(section.base_image_registry, password),
    )


def sealed_password(
    definition: run_definition_pb2.RunDefinition, run: RunKey, sealer: SecretSealer
) -> Mapping[str, Any]:
    """What is noted with a run so that its image can be pulled also after a restart. Only this run's place opens it."""
    password = definition.environment.docker.base_image_registry.password
    if not password:
        return {}
    sealed = sealer.seal(run.workspace_id, _place(run), password)
    return {_SEALED: base64.b64encode(sealed).decode()}


def stored_password(run: Run, sealer: SecretSealer | None) -> str:
    """The password that was noted with a run; empty when there is none, or when it cannot be opened any more."""
    sealed = run.execution.get(_SEALED)
    if not sealed or sealer is None:
        return ""
    try:
        return sealer.open(run.workspace_id, _place(run.key), base64.b64decode(sealed))
    except FailedPrecondition:
        _LOG.warning(
            "run %s: the password of its image's registry cannot be opened, since the key of the state dir is another "
            "one than at the submit; the image is pulled without it",
            run.run_id,
        )
        return ""


def _place(run: RunKey) -> str:
    # No secret of the vault has such a name.
    return f"runs/{run.run_id}/registry"


def _shm_size(definition: run_definition_pb2.RunDefinition) -> int:
    older, newer = definition.environment.docker.shm_size, definition.docker.shm_size
    sizes = {}
    for text in (older, newer):
        size = parse_size(text) if text else 0
        if size is None:
            raise InvalidArgument("SHM_SIZE_INVALID", f"shm_size {text[:64]!r} is not a size such as '512m' or '2g'.")
        sizes[text] = size
    return sizes[older if older and newer.lower() == _DEFAULT_SHM_SIZE else newer or older]


def _registry(message: run_definition_pb2.ContainerRegistry, password: str) -> RegistryCredentials | None:
    if not message.address and not message.username:
        return None
    check_no_controls(message.address, "the address of a registry")
    check_no_controls(message.username, "the user name at a registry")
    return RegistryCredentials(message.address, message.username, message.password or password)
