"""`localaml image build | list | remove`: base images of nodes that are containers."""

from __future__ import annotations

import re
import shutil
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from localaml.cli.failure import CliError
from localaml.cli.output import Format, OutputOption, print_json, print_table, show_size, visible
from localaml.images.labels import DEFAULT_TAG, TAGS, Form

if TYPE_CHECKING:
    from localaml.compute.docker.engine import Engine

app = typer.Typer()

# As Docker's reference has it: a registry, folders and a name in lower case, and a tag.
_TAG = re.compile(
    r"(?:[A-Za-z0-9][A-Za-z0-9.-]*(?::[0-9]+)?/)?[a-z0-9]+(?:[._-]+[a-z0-9]+)*(?:/[a-z0-9]+(?:[._-]+[a-z0-9]+)*)*"
    r"(?::[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?"
)


@app.command()
def build(
    form: Annotated[
        Form | None, typer.Option(help="Default: debian where mmdebstrap is installed, else dockerfile.")
    ] = None,
    tag: Annotated[
        str | None,
        typer.Option(help=f"Default: the form's own; debian and dockerfile become {DEFAULT_TAG}, too."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Make it anew, with the packages of today.")] = False,
    base: Annotated[str, typer.Option(help="dockerfile: the image to begin with.")] = "python:3.11-slim",
    suite: Annotated[str, typer.Option(help="debian: the release.")] = "bookworm",
    mirror: Annotated[str, typer.Option(help="debian: URL of the packages. Default: mmdebstrap's.")] = "",
    index_url: Annotated[str, typer.Option(help="Package index for pip. Default: what pip is configured to.")] = "",
    ca_bundle: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="Certificates for pip, in one PEM file.")
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print only the tag.")] = False,
) -> None:
    """Make a base image: Python, pip, Open MPI and mpi4py."""
    from localaml.images.debian import DebianOptions, build_debian
    from localaml.images.dockerfile import DockerfileOptions, build_dockerfile
    from localaml.images.skeleton import build_skeleton
    from localaml.images.wheels import IndexSettings

    chosen = form or (Form.DEBIAN if shutil.which("mmdebstrap") else Form.DOCKERFILE)
    tags = _tags(chosen, tag)
    index = IndexSettings(index_url, ca_bundle.absolute() if ca_bundle else None)

    def log(line: str) -> None:
        if not quiet:
            print(visible(line), file=sys.stderr, flush=True)

    with _ended_in_order(), _engine() as engine:
        if chosen is Form.HOST_FILESYSTEM:
            image_id = engine.call_here(lambda client: build_skeleton(client, tags, force=force, log=log))
        elif chosen is Form.DEBIAN:
            debian = DebianOptions(suite, mirror, index)
            image_id = engine.call_here(lambda client: build_debian(client, tags, options=debian, force=force, log=log))
        else:
            options = DockerfileOptions(base, index)
            image_id = engine.call_here(
                lambda client: build_dockerfile(client, tags, options=options, force=force, log=log)
            )
    print(tags[0] if quiet else f"{' and '.join(tags)}: {image_id.removeprefix('sha256:')[:12]} ({chosen.value})")


@app.command("list")
def list_(output: OutputOption = Format.TABLE) -> None:
    """List the images that were made here."""
    from localaml.images.inventory import list_images

    with _engine() as engine:
        records = engine.call_here(list_images)
    if output is Format.JSON:
        print_json([asdict(record) for record in records])
        return
    print_table(
        ["TAG", "FORM", "IMAGE", "SIZE", "CREATED"],
        [
            [
                record.tag,
                record.form,
                record.image_id.removeprefix("sha256:")[:12],
                show_size(record.size_bytes),
                record.created[:19].replace("T", " "),
            ]
            for record in records
        ],
        empty="There are no base images. Make one with 'localaml image build'.",
    )


@app.command()
def remove(
    tags: Annotated[list[str] | None, typer.Argument(metavar="[TAG]...", help="What 'list' shows.")] = None,
    all_: Annotated[bool, typer.Option("--all", help="All that were made here.")] = False,
) -> None:
    """Remove images that were made here."""
    from localaml.images.inventory import list_images, remove_image

    if bool(tags) == all_:
        raise typer.BadParameter("Name the tags to remove, or use --all.")
    with _ended_in_order(), _engine() as engine:
        chosen = [record.tag for record in engine.call_here(list_images)] if all_ else list(map(_checked, tags or []))
        for tag in chosen:
            engine.call_here(lambda client, tag=tag: remove_image(client, tag))  # type: ignore[misc]
            print(f"Removed {tag}.")


def _tags(form: Form, tag: str | None) -> list[str]:
    if tag is not None:
        return [_checked(tag)]
    return [TAGS[form]] if form is Form.HOST_FILESYSTEM else [TAGS[form], DEFAULT_TAG]


def _checked(tag: str) -> str:
    if not _TAG.fullmatch(tag) or len(tag) > 255:
        raise CliError(f"{visible(tag)} is no name of an image: such as localaml/base:mine.", exit_code=2)
    return tag if ":" in tag.rpartition("/")[2] else f"{tag}:latest"


@contextmanager
def _engine() -> Iterator[Engine]:
    from localaml.cli.configuration import load_settings
    from localaml.compute.docker.engine import Engine

    engine = Engine(load_settings().docker.host)
    try:
        yield engine
    finally:
        engine.close()


@contextmanager
def _ended_in_order() -> Iterator[None]:
    """SIGTERM and SIGHUP are as Ctrl-C: what was made so far is put away."""

    def give_up(number: int, _frame: object) -> NoReturn:
        sys.exit(128 + number)

    earlier = {number: signal.signal(number, give_up) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in earlier.items():
            signal.signal(number, handler)
