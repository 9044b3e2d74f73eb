"""What `localaml doctor` says of containers: whether an engine answers, and whether there is an image for nodes."""

from __future__ import annotations

import asyncio

from localaml.cli.findings import Finding, Result
from localaml.compute.docker.engine import Engine, EngineFacts
from localaml.errors import LocalAmlError, NotFound
from localaml.settings import DockerSettings, Settings

_ANSWER_SECONDS = 5.0
_GIB = 1024**3


def examine_containers(settings: Settings) -> list[Finding]:
    """Looks at the engine. Where nodes need not be containers, nothing of it is missing."""
    wanted = settings.compute == "docker"
    engine = Engine(settings.docker.host)
    try:
        facts = asyncio.run(engine.facts(_ANSWER_SECONDS))
        return [_engine(facts), _base_image(engine, settings.docker, wanted)]
    except LocalAmlError as error:
        hint = "" if wanted else " Nodes can be processes all the same."
        return [Finding("Docker engine", _unless(wanted), error.message + hint)]
    finally:
        engine.close()


def _engine(facts: EngineFacts) -> Finding:
    cgroups = f"cgroup v{facts.cgroup_version}" if facts.cgroup_version else "no cgroup version told"
    gpu = "GPUs" if facts.has_nvidia_runtime else "no GPUs"
    text = (
        f"{facts.version} on {facts.operating_system} ({facts.storage_driver}, {cgroups}, {facts.cpus} CPUs, "
        f"{facts.memory_bytes / _GIB:.1f} GiB, {gpu})"
    )
    return Finding("Docker engine", Result.OK, text)


def _base_image(engine: Engine, settings: DockerSettings, wanted: bool) -> Finding:
    name = settings.base_image
    try:
        image = engine.call_here(lambda client: client.images.get(name))
    except NotFound:
        how = "'localaml image build' makes one" if name.startswith("localaml/") else f"'docker pull {name}' gets it"
        return Finding("Base image", _unless(wanted), f"{name} is not there: {how}; containers need it")
    return Finding("Base image", Result.OK, f"{name} ({str(image.id).removeprefix('sha256:')[:12]})")


def _unless(wanted: bool) -> Result:
    return Result.MISSING if wanted else Result.NOTE
