"""Reading pip requirement files and taking requirement strings apart, as far as conda specifications need it."""

import os
import re
from typing import Dict, List, Sequence, Tuple

_NAME = re.compile(r"^\s*([A-Za-z0-9][A-Za-z0-9._-]*)\s*(\[[^\]]*\])?\s*(.*)", re.DOTALL)
_MAX_DEPTH = 10


def read_requirements_file(path: str) -> List[str]:
    """The lines of a pip requirements file: comments and empty lines left out, continued lines joined, `-r` files
    put in place.

    Raises:
        UserErrorException: the file, or one that it names, cannot be read.
    """
    return _read(path, 0)


def _read(path: str, depth: int) -> List[str]:
    from azureml.exceptions import UserErrorException

    if depth > _MAX_DEPTH:
        raise UserErrorException("The pip requirements file {} includes itself.".format(path))
    try:
        with open(path, encoding="utf-8-sig") as file:
            text = file.read()
    except UnicodeDecodeError as error:
        raise UserErrorException("The pip requirements file {} cannot be read: {}.".format(path, error)) from None
    found: List[str] = []
    for line in text.replace("\\\n", " ").splitlines():
        line = re.sub(r"(?<!\S)#.*", "", line).strip()
        if not line:
            continue
        match = re.match(r"(?:-r|--requirement)[\s=]*(.+)", line, re.DOTALL)
        if match:
            found.extend(_read(os.path.join(os.path.dirname(path), match.group(1).strip()), depth + 1))
        else:
            found.append(line)
    return found


def split_requirement(requirement: str) -> Tuple[str, str, str]:
    """Name, extras (with brackets) and the rest of a requirement; a URL or option is all name."""
    match = _NAME.match(requirement)
    if not match or "://" in requirement.split("#")[0].split("@")[0]:
        return requirement.strip(), "", ""
    return match.group(1), match.group(2) or "", match.group(3).strip()


def package_key(requirement: str) -> str:
    """What makes two requirements the same package: the normalised name (PEP 503), without conda's channel."""
    name = split_requirement(requirement.split("::")[-1])[0]
    return re.sub(r"[-_.]+", "-", name).lower()


def merge_requirements(requirements: Sequence[str]) -> List[str]:
    """One requirement per package, in the order of first mention, with all version conditions of its mentions."""
    merged: Dict[str, Tuple[str, str, List[str]]] = {}
    for requirement in requirements:
        key = package_key(requirement)
        name, extras, rest = split_requirement(requirement)
        first = merged.setdefault(key, (name, extras, []))
        if rest and rest not in first[2]:
            first[2].append(rest)
    return [name + extras + ",".join(rests) for name, extras, rests in merged.values()]
