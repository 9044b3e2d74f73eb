"""The form `host-filesystem`: folders, links and a few files; all programs are those of this machine, bound at /usr.

For tests and quick starts: there is nothing to download or to copy, and Python environments of this machine work in it
unchanged. It is no isolation from what is installed here, and works for containers of this machine only.
"""

from __future__ import annotations

import hashlib
import io
import platform
import stat
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING

from localaml.errors import FailedPrecondition, Unimplemented
from localaml.images.importing import SEARCH_PATH, find_current, import_tar, move_tags
from localaml.images.labels import FORM_LABEL, HOST_FILESYSTEM_LABEL, INPUTS_LABEL, Form
from localaml.images.lock import build_lock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from docker import DockerClient

_FOLDERS = {
    **dict.fromkeys(
        ("dev", "etc", "home", "media", "mnt", "opt", "proc", "run", "run/lock", "srv", "sys", "usr", "var"), 0o755
    ),
    **dict.fromkeys(("var/cache", "var/lib", "var/log", "var/spool"), 0o755),
    "root": 0o700,
    "tmp": 0o1777,
    "var/tmp": 0o1777,
}
_LINKS = {"var/run": "/run", "var/lock": "/run/lock"}
# Folders of programs that lie below /usr on today's systems, with links to them at the top.
_MERGED = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")
# Of /etc: what programs need to find libraries, names and one another. Nothing that only root may read.
_FILES = (
    *(
        "passwd",
        "group",
        "nsswitch.conf",
        "ld.so.cache",
        "ld.so.conf",
        "host.conf",
        "gai.conf",
        "services",
        "protocols",
    ),
    *("localtime", "timezone", "mime.types", "os-release", "debian_version", "shells", "bash.bashrc", "profile"),
)
_TREES = ("alternatives", "ld.so.conf.d", "ssl", "pki/tls", "pki/ca-trust", "ca-certificates", "python3", "python3.*")


def build_skeleton(
    client: DockerClient, tags: Sequence[str], *, force: bool = False, log: Callable[[str], None] = lambda _line: None
) -> str:
    """Makes the image, unless the engine has it already; returns its id. About half a second.

    Raises:
        LocalAmlError: this machine cannot show its programs to containers, or the engine does not take the image.
    """
    tar, inputs = skeleton_tar(Path("/"))
    with build_lock():
        current = None if force else find_current(client, inputs)
        if current is not None:
            log(f"An image made of the same is there: {current[7:19]}.")
            move_tags(client, current, tags)
            return current
        log(f"Importing a skeleton of {len(tar.getvalue()) // 1024} KiB ...")
        labels = {FORM_LABEL: Form.HOST_FILESYSTEM.value, INPUTS_LABEL: inputs, HOST_FILESYSTEM_LABEL: "true"}
        image_id = import_tar(client, tar, labels=labels, environment={"PATH": SEARCH_PATH})
        move_tags(client, image_id, tags)
    return image_id


def skeleton_tar(root: Path) -> tuple[io.BytesIO, str]:
    """The file system of the image, and the hash that stands for it: the same for the same machine.

    Args:
        root: folder of the system to imitate.

    Raises:
        LocalAmlError: ``HOST_FILESYSTEM_UNSUPPORTED``.
    """
    if platform.system() != "Linux":
        raise Unimplemented("HOST_FILESYSTEM_UNSUPPORTED", "Only Linux can show its programs to containers.")
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, mode in sorted(_FOLDERS.items()):
            tar.addfile(_entry(name, tarfile.DIRTYPE, mode))
        for name, target in sorted(_LINKS.items()):
            tar.addfile(_link(name, target))
        for name, target in _merged(root):
            tar.addfile(_link(name, target))
        _add_settings(tar, root / "etc")
    buffer.seek(0)
    return buffer, hashlib.sha256(buffer.getvalue()).hexdigest()


def _merged(root: Path) -> Iterator[tuple[str, str]]:
    for name in _MERGED:
        path = root / name
        if path.is_symlink():
            yield name, str(path.readlink())
        elif path.exists():
            raise FailedPrecondition(
                "HOST_FILESYSTEM_UNSUPPORTED",
                f"/{name} of this machine is a folder and no link into /usr, so that containers cannot be shown its "
                "programs. Use another form of base image.",
            )


def _add_settings(tar: tarfile.TarFile, etc: Path) -> None:
    added = set()

    def add(path: Path) -> None:
        name = f"etc/{path.relative_to(etc)}"
        for parent in [*reversed(path.relative_to(etc).parents[:-1])]:
            if f"etc/{parent}" not in added:
                added.add(f"etc/{parent}")
                tar.addfile(_entry(f"etc/{parent}", tarfile.DIRTYPE, 0o755))
        if name in added:
            return
        added.add(name)
        status = path.lstat()
        if stat.S_ISLNK(status.st_mode):
            tar.addfile(_link(name, str(path.readlink())))
        elif stat.S_ISDIR(status.st_mode) and status.st_mode & stat.S_IROTH:
            tar.addfile(_entry(name, tarfile.DIRTYPE, 0o755))
            for child in sorted(path.iterdir()):
                add(child)
        elif stat.S_ISREG(status.st_mode) and status.st_mode & stat.S_IROTH:
            content = path.read_bytes()
            entry = _entry(name, tarfile.REGTYPE, 0o755 if status.st_mode & stat.S_IXOTH else 0o644)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))

    for name in _FILES:
        if (etc / name).exists():
            add(etc / name)
    for pattern in _TREES:
        for path in sorted(etc.glob(pattern)):
            add(path)


def _entry(name: str, kind: bytes, mode: int) -> tarfile.TarInfo:
    # No times and owners: the same system gives the same bytes.
    entry = tarfile.TarInfo(name)
    entry.type, entry.mode = kind, mode
    return entry


def _link(name: str, target: str) -> tarfile.TarInfo:
    entry = _entry(name, tarfile.SYMTYPE, 0o777)
    entry.linkname = target
    return entry
