"""Images of runs: which one is meant, how it is had, and what its Python is."""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from localaml.compute.docker.dockerfiles import base_images, on_other_images
from localaml.compute.docker.helpers import Helper, HelperNotStarted, Helpers
from localaml.compute.docker.image_facts import PROBE, FactsStore, ImageFacts, ImageInterpreter, read_answer
from localaml.compute.docker.image_names import ImageMap, at_registry, is_image_id, read_image_name
from localaml.compute.docker.image_transfer import build, pull
from localaml.compute.docker.registry_secrets import credentials_for
from localaml.compute.docker.shared_work import SharedWork
from localaml.compute.runtime import Bind, ContainerPlan
from localaml.domain.dockerfile_rules import check_triggers
from localaml.domain.job import ContainerSpec, RegistryCredentials
from localaml.errors import FailedPrecondition, NotFound
from localaml.settings import DockerSettings

if TYPE_CHECKING:
    from localaml.compute.docker.engine import Engine

Log = Callable[[str], None]
HOST_FILESYSTEM_LABEL = "localaml.host-filesystem"
# Images of these names are made here and nowhere else.
_OWN = "localaml/"
_COMMANDS = ("python3", "python", "/opt/miniconda/bin/python", "/opt/conda/bin/python")
# An interpreter that takes longer to tell its version does not work.
_PROBE_SECONDS = 120.0
_ENGINE_WORDS = re.compile(r"^.*(?:unable to start container process|starting container process caused|caused): ")


@dataclass(frozen=True, slots=True)
class _Image:
    """An image that the engine has."""

    image_id: str
    environment: Mapping[str, str]
    host_filesystem: bool
    triggers: tuple[str, ...] = ()


class Images:
    """The images that runs name, on one engine.

    Args:
        cache_dir: facts about images are kept in `images` below it; `environments` and `open-mpi` below it are shown
            to every container.
        environ: the emulator's environment variables; the process's own by default.

    Attributes:
        build_network: network in which images and environments are made.
    """

    def __init__(
        self, engine: Engine, settings: DockerSettings, cache_dir: Path, *, environ: Mapping[str, str] | None = None
    ) -> None:
        self._engine = engine
        self._settings = settings
        self._cache_dir = cache_dir.absolute()
        self._environ = dict(os.environ if environ is None else environ)
        self._map = ImageMap(settings.image_map, settings.base_image)
        self._store = FactsStore(self._cache_dir / "images")
        self._pulls = SharedWork[None]()
        self._builds = SharedWork[str]()
        self._probes = SharedWork[ImageFacts]()
        self._tidied = False
        self.helpers = Helpers(engine, self._cache_dir)
        self.build_network = settings.build_network

    async def resolve(self, container: ContainerSpec, log: Log) -> ContainerPlan:
        """What the run's containers are to be like; the image is pulled or built first where it is not there. What is
        wanted at the same time is done once. A cancelled call leaves nothing half-done.

        Args:
            log: gets what is done, line by line; nothing where nothing has to be said.

        Raises:
            InvalidArgument: ``IMAGE_NAME_INVALID``.
            FailedPrecondition: ``IMAGE_NOT_FOUND``, ``IMAGE_PULL_FAILED``, ``IMAGE_BUILD_FAILED``,
                ``IMAGE_WITHOUT_PYTHON``, with the engine's own reason and never with credentials.
            LocalAmlError: as `Engine.call`.
        """
        await self._tidy()
        if container.dockerfile.strip():
            image = await self._built(container.dockerfile, container.registry, log)
        else:
            image = await self._had(container.image, container.registry, log)
        return await self._plan(image, container)

    async def default(self) -> ContainerPlan:
        """The plan of a run that names no image. Raises as `resolve`."""
        return await self.resolve(ContainerSpec(), _silent)

    def shown(self, container: ContainerSpec) -> str:
        """What messages call the image of a run."""
        if container.dockerfile.strip():
            return "of base_dockerfile"
        return container.image.strip() or self._settings.base_image

    async def facts(self, image_id: str, shown: str = "") -> ImageFacts:
        """What the Python of an image that the engine has says of itself.

        Args:
            shown: the image's name, for messages.

        Raises:
            FailedPrecondition: ``IMAGE_WITHOUT_PYTHON``.
        """
        known = self._store.get(image_id)
        if known is not None:
            return known
        return await self._probes.get(image_id, _silent, lambda _log: self._probe(image_id, shown or image_id))

    async def interpreter(self, image_id: str, command: str, *, prefix: Path | None = None) -> ImageInterpreter | None:
        """What an interpreter is that the image need not have by a usual name; None when it does not start in it.

        Args:
            command: an absolute path, or a name on the image's PATH.
            prefix: folder of this machine that the interpreter is in: it is shown to the image for that.
        """
        facts = await self.facts(image_id)
        if prefix is None:
            path = facts.names.get(command, command)
            for own in facts.interpreters:
                # Several names, one interpreter: the path that was asked for is kept.
                if own.path == path:
                    return own
        else:
            path = command
        # Of this machine, another one may lie at the same path tomorrow.
        key = path if prefix is None else f"{path} of {Path(path).stat().st_mtime_ns}"
        if key not in facts.others:
            binds, scope = ((), "one") if prefix is None else ((Bind(prefix),), "borrowed")
            answer = await self._ask(image_id, path, binds, scope)
            found = answer.interpreters[0] if isinstance(answer, ImageFacts) else None
            # What else was found out meanwhile stays known.
            facts = (await self.facts(image_id)).with_other(key, found)
            self._store.put(image_id, facts)
        return facts.others[key]

    # -- having an image --------------------------------------------------------------------------------------------

    async def _had(self, text: str, registry: RegistryCredentials | None, log: Log) -> _Image:
        """The image that a definition names (empty: the base image)."""
        if not text.strip():
            return await self._own_or_pulled(self._settings.base_image, None, log)
        if is_image_id(text.strip()):
            return await self._own_or_pulled(text.strip(), None, log)
        name = at_registry(read_image_name(text), registry.address if registry else "")
        substitute = self._map.find(name)
        if substitute is not None and substitute.image != str(name):
            why = f"the rule {substitute.rule!r} of [images]" if substitute.rule else "as for all of Azure's own"
            log(f"{substitute.image} stands for the image {name} ({why})")
            return await self._own_or_pulled(substitute.image, None, log)
        return await self._own_or_pulled(str(name), registry, log)

    async def _own_or_pulled(self, text: str, registry: RegistryCredentials | None, log: Log) -> _Image:
        image = await self._find(text)
        if image is not None:
            return image
        if is_image_id(text) or text.startswith(_OWN):
            raise _not_found(text, self._settings.base_image)
        name = read_image_name(text)
        if registry is not None and registry.password and credentials_for(name, registry) is None:
            log(f"warning: the credentials are for {registry.address}, not for the registry of {name}: not used")
        await self._pulls.get((str(name), registry), log, lambda say: pull(self._engine, name, registry, say))
        image = await self._find(text)
        if image is None:
            raise _not_found(text, self._settings.base_image)
        return image

    async def _built(self, dockerfile: str, registry: RegistryCredentials | None, log: Log) -> _Image:
        substitutes = {}
        for name in base_images(dockerfile):
            # All of them are had before the build: with the definition's credentials, and with errors of their own.
            base = await self._had(name, registry, log)
            check_triggers(base.triggers, name)
            substitutes[name] = base.image_id
        text = on_other_images(dockerfile, substitutes)
        tag = f"{_OWN}run-definition:{hashlib.sha256(text.encode()).hexdigest()[:24]}"
        # The engine knows better than we what of it is still good.
        image_id = await self._builds.get(
            tag, log, lambda say: build(self._engine, text, tag, self._environ, self.build_network, say)
        )
        image = await self._find(image_id)
        if image is None:
            raise _not_found(image_id, self._settings.base_image)
        return image

    async def _find(self, text: str) -> _Image | None:
        try:
            found = await self._engine.call(lambda client: client.images.get(text).attrs)
        except NotFound:
            return None
        config = found.get("Config") or {}
        pairs = (str(pair).partition("=") for pair in config.get("Env") or ())
        labels = config.get("Labels") or {}
        return _Image(
            str(found["Id"]),
            {name: value for name, _, value in pairs},
            labels.get(HOST_FILESYSTEM_LABEL) == "true",
            tuple(map(str, config.get("OnBuild") or ())),
        )

    # -- what it is -------------------------------------------------------------------------------------------------

    async def _plan(self, image: _Image, container: ContainerSpec) -> ContainerPlan:
        folders = [self._cache_dir / "environments", self._cache_dir / "open-mpi"]
        for folder in folders:
            folder.mkdir(parents=True, exist_ok=True)
        plan = ContainerPlan(
            image.image_id,
            "",
            # The same for all runs of an image, so that one's idle containers serve the next.
            tuple(map(Bind, folders)),
            image.environment,
            container.shm_size_bytes or self._settings.shm_size_bytes,
            container.gpu,
            image.host_filesystem,
            container.arguments,
        )
        if image.host_filesystem:
            return with_binds(replace(plan, python=os.path.realpath(sys.executable)), host_folders())
        python = (await self.facts(image.image_id, self.shown(container))).for_scripts()
        assert python is not None
        return replace(plan, python=python.path)

    async def _probe(self, image_id: str, shown: str) -> ImageFacts:
        reasons: list[str] = []
        for command in _COMMANDS:
            answer = await self._ask(image_id, command, (), "all")
            if isinstance(answer, str):
                reasons.append(answer)
                continue
            if answer.for_scripts() is None:
                newest = max(answer.interpreters, key=lambda python: python.minor).version
                raise _without_python(shown, f"its newest is {newest}")
            self._store.put(image_id, answer)
            return answer
        raise _without_python(shown, "; ".join(dict.fromkeys(reasons)))

    async def _ask(self, image_id: str, command: str, binds: Sequence[Bind], scope: str) -> ImageFacts | str:
        """What an interpreter answers, or why it does not."""
        parts: list[bytes] = []
        helper = Helper(image_id, (command, "-c", PROBE, scope), "probe", binds, environment={"LOCALAML_PROBE": PROBE})
        try:
            code = await asyncio.wait_for(self.helpers.run(helper, parts.append), _PROBE_SECONDS)
        except HelperNotStarted as error:
            return _ENGINE_WORDS.sub("", str(error)).removesuffix(": unknown")
        except asyncio.TimeoutError:
            return f"{command} did not answer within {_PROBE_SECONDS:.0f} seconds"
        output = b"".join(parts).decode(errors="replace")
        lines = output.strip().splitlines()
        return read_answer(output) or f"{command} ended with exit code {code}" + (f": {lines[-1]}" if lines else "")

    async def _tidy(self) -> None:
        if not self._tidied:
            await self.helpers.remove_leftovers()
            self._tidied = True


def host_folders() -> list[Bind]:
    """What the containers of a skeleton image need to see of this machine: programs, and the emulator's Python."""
    return [Bind(Path("/usr")), Bind(Path(sys.base_prefix)), Bind(Path(sys.prefix))]


def with_binds(plan: ContainerPlan, binds: Iterable[Bind]) -> ContainerPlan:
    """The plan with further binds, without those that others cover."""
    merged: dict[Path, bool] = {}
    for bind in (*plan.binds, *binds):
        merged[bind.path] = merged.get(bind.path, False) or bind.writable

    def above(path: Path) -> bool | None:
        # The nearest one: what is mounted below another hides that one.
        return next((merged[each] for each in path.parents if each in merged), None)

    return replace(plan, binds=tuple(Bind(path, write) for path, write in merged.items() if above(path) != write))


def _silent(line: str) -> None:
    """For what nobody reads."""


def _not_found(text: str, base_image: str) -> FailedPrecondition:
    if text == base_image or text.startswith(_OWN):
        return FailedPrecondition(
            "IMAGE_NOT_FOUND",
            f"The image {text} is not on this Docker engine. `localaml image build` builds LocalAML's base image; "
            "another one can be named by the setting LOCALAML_DOCKER_BASE_IMAGE.",
            {"image": text},
        )
    return FailedPrecondition(
        "IMAGE_NOT_FOUND",
        f"The image {text} is not on this Docker engine. Load it (`docker load`), or name another one.",
        {"image": text},
    )


def _without_python(shown: str, reason: str) -> FailedPrecondition:
    return FailedPrecondition(
        "IMAGE_WITHOUT_PYTHON",
        f"The image {shown} has no Python 3.7 or newer that starts ({reason}). Runs need one in their image: put it on "
        "the image's PATH, or let another image stand for it by the setting [images].",
        {"image": shown},
    )
