"""Gets images: pulled from a registry, or built of a Dockerfile's text."""

from __future__ import annotations

import asyncio
import io
import json
import re
import tarfile
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from localaml.compute.docker.image_leftovers import BuildSteps, ids_of_all_images
from localaml.compute.docker.image_names import ImageName
from localaml.compute.docker.interruption import Interruption, interruptible, post
from localaml.compute.docker.registry_secrets import credentials_for, without_secrets
from localaml.domain.job import RegistryCredentials
from localaml.errors import FailedPrecondition, LocalAmlError

if TYPE_CHECKING:
    from docker import DockerClient

    from localaml.compute.docker.engine import Engine

Log = Callable[[str], None]
# What an error quotes of a build's output.
_QUOTED_LINES = 8
_QUOTED_CHARACTERS = 1200
# Docker knows these arguments without an ARG line, and leaves them out of the image's history.
_PROXIES = ("http_proxy", "https_proxy", "ftp_proxy", "no_proxy", "all_proxy")
_NO_NETWORK = re.compile(
    r"no such host|could not resolve|name resolution|name or service not known|network is unreachable|no route to host"
    r"|connection refused|connection timed out|i/o timeout|context deadline exceeded|tls handshake timeout"
    r"|server misbehaving|failed to establish a new connection|client\.timeout|connection reset|: eof$",
    re.IGNORECASE,
)
_NOT_THERE = re.compile(r"manifest unknown|manifest for \S+ not found|name unknown|no such image", re.IGNORECASE)
_NOT_ALLOWED = re.compile(
    r"unauthorized|authentication required|access denied|access to the resource is denied|denied:|forbidden"
    r"|incorrect username or password|no basic auth credentials",
    re.IGNORECASE,
)


async def pull(engine: Engine, name: ImageName, registry: RegistryCredentials | None, log: Log) -> None:
    """Pulls an image; `log` gets what the engine says, once for each layer. Cancelling ends the pull.

    Without credentials of the definition those count that `docker login` stored for the emulator's user.

    Raises:
        FailedPrecondition: ``IMAGE_NOT_FOUND``, ``IMAGE_PULL_FAILED``; the engine's reason, without credentials.
    """
    say = _in_loop(lambda line: log(without_secrets(line, registry)))
    credentials = credentials_for(name, registry)
    log(f"Pulling {name}" + (" with the credentials of the run definition" if credentials else ""))
    try:
        await interruptible(
            engine, lambda client, interruption: _pull(client, name, credentials, say, interruption), wait=False
        )
    except _Refused as error:
        raise _pull_failure(name, without_secrets(str(error), registry), bool(credentials)) from None
    except LocalAmlError as error:
        if error.reason not in ("DOCKER_ERROR", "DOCKER_NOT_FOUND"):
            raise
        # Without the chain of errors: requests' own have the headers with them.
        raise _pull_failure(name, without_secrets(error.message, registry), bool(credentials)) from None


async def build(engine: Engine, dockerfile: str, tag: str, environ: Mapping[str, str], network: str, log: Log) -> str:
    """Builds an image of a Dockerfile without a context, and returns its id. All images that it is built on have to be
    there. Cancelling ends the build. One that fails, or is ended, leaves nothing.

    Args:
        environ: proxies are taken from it.
        network: of the engine, for the commands of the Dockerfile.

    Raises:
        FailedPrecondition: ``IMAGE_BUILD_FAILED`` with what the build said last.
    """
    lines: list[str] = []

    def note(line: str) -> None:
        lines.append(line)
        log(line)

    say = _in_loop(lambda line: note(without_secrets(line, None)))
    try:
        return await interruptible(
            engine,
            lambda client, interruption: _build(client, dockerfile, tag, environ, network, say, interruption),
            wait=False,
        )
    except _Refused as error:
        raise _build_failure(without_secrets(str(error), None), lines) from None
    except LocalAmlError as error:
        if error.reason not in ("DOCKER_ERROR", "DOCKER_NOT_FOUND"):
            raise
        raise _build_failure(without_secrets(error.message, None), lines) from None


class _Refused(Exception):
    """What the engine said instead of going on."""


def _pull(
    client: DockerClient,
    name: ImageName,
    credentials: Mapping[str, str] | None,
    say: Log,
    interruption: Interruption,
) -> None:
    from docker import auth

    interruption.check()
    if credentials is not None:
        coded: bytes | None = auth.encode_header(dict(credentials))
    else:
        coded = auth.get_config_header(client.api, name.registry or auth.INDEX_NAME)
    headers = {"X-Registry-Auth": coded} if coded else {}
    response = post(client, "/images/create", {"fromImage": name.repository, "tag": name.version}, headers=headers)
    with interruption.reading(response):
        for event in _events(response):
            # Progress of layers comes many times a second.
            if event.get("status") and not event.get("progressDetail"):
                layer = f"{event['id']}: " if event.get("id") and event["id"] != name.version else ""
                say(f"{layer}{event['status']}")


def _build(
    client: DockerClient,
    dockerfile: str,
    tag: str,
    environ: Mapping[str, str],
    network: str,
    say: Log,
    interruption: Interruption,
) -> str:
    interruption.check()
    proxies = {name: value for name, value in environ.items() if name.lower() in _PROXIES and value}
    params = {
        "t": tag,
        "rm": "1",
        "forcerm": "1",
        # As the environments of jobs: no loopback service of this machine is there.
        "networkmode": network,
        "buildargs": json.dumps(proxies),
        "labels": json.dumps({"localaml.run-definition": "true"}),
    }
    headers = {"Content-Type": "application/x-tar"}
    steps = BuildSteps(ids_of_all_images(client))
    response = post(client, "/build", params, data=_context(dockerfile), headers=headers)
    image_id = ""
    rest = ""
    try:
        with interruption.reading(response):
            for event in _events(response):
                if isinstance(event.get("aux"), Mapping) and event["aux"].get("ID"):
                    image_id = str(event["aux"]["ID"])
                *complete, rest = (rest + str(event.get("stream") or "")).split("\n")
                for line in complete:
                    steps.note(line)
                    if line.strip():
                        say(line.rstrip())
    except BaseException:
        steps.remove_images(client)
        raise
    if rest.strip():
        say(rest.rstrip())
    # Engines before API 1.29 do not tell.
    return image_id or str(client.images.get(tag).id)


def _events(response: Any) -> Iterator[Mapping[str, Any]]:
    """The engine's stream of JSON objects, a line each."""
    for line in response.iter_lines(chunk_size=None):
        if not line.strip():
            continue
        event = json.loads(line)
        if event.get("error") or event.get("errorDetail"):
            raise _Refused(str((event.get("errorDetail") or {}).get("message") or event.get("error")))
        yield event


def _context(dockerfile: str) -> bytes:
    content = dockerfile.encode()
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        entry = tarfile.TarInfo("Dockerfile")
        entry.size = len(content)
        tar.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def _in_loop(say: Log) -> Log:
    """The same function, for threads: it is called in the loop, in order, before the thread's result is there."""
    loop = asyncio.get_running_loop()

    def say_there(line: str) -> None:
        loop.call_soon_threadsafe(say, line)

    return say_there


def _pull_failure(name: ImageName, reason: str, with_credentials: bool) -> FailedPrecondition:
    reason = _sentence(reason.removeprefix("The Docker engine refused: "))
    facts = {"image": str(name)}
    where = name.registry or "Docker Hub"
    otherwise = (
        "load it into the engine (`docker load`), or let an image that is there stand for it by the setting [images]"
    )
    if _NOT_THERE.search(reason):
        return FailedPrecondition(
            "IMAGE_NOT_FOUND", f"{where} has no image {name} ({reason}). Correct the name, {otherwise}.", facts
        )
    if _NOT_ALLOWED.search(reason):
        what = (
            "Correct the user name and password in base_image_registry"
            if with_credentials
            else "Name user and password in base_image_registry, or log in by `docker login`"
        )
        return FailedPrecondition(
            "IMAGE_PULL_FAILED",
            f"The image {name} could not be pulled: {where} does not give it away ({reason}). {what}, {otherwise}.",
            facts,
        )
    if _NO_NETWORK.search(reason):
        return FailedPrecondition(
            "IMAGE_PULL_FAILED",
            f"The image {name} is not on this engine, and {where} cannot be reached ({reason}). Connect the machine "
            f"to it, {otherwise}.",
            facts,
        )
    return FailedPrecondition(
        "IMAGE_PULL_FAILED",
        f"The image {name} could not be pulled from {where} ({reason}). If that lasts, {otherwise}.",
        facts,
    )


def _build_failure(reason: str, lines: list[str]) -> FailedPrecondition:
    said = " / ".join(line.strip() for line in lines[-_QUOTED_LINES:] if not line.startswith((" --->", "Removing ")))
    text = _sentence(reason.removeprefix("The Docker engine refused: "))
    hint = ""
    if _NO_NETWORK.search(f"{text} {said}"):
        hint = " It looks as if something could not be reached over the network: is this machine connected to it?"
    elif re.search(r"^(COPY|ADD) failed", reason):
        hint = " base_dockerfile has no files beside it: only addresses and earlier stages can be copied from."
    output = f" Its last output: {said[-_QUOTED_CHARACTERS:]}" if said else ""
    return FailedPrecondition(
        "IMAGE_BUILD_FAILED", f"The image of base_dockerfile could not be built: {text}.{hint}{output}"
    )


def _sentence(reason: str) -> str:
    return re.sub(r"\s+", " ", reason).strip().rstrip(".")
