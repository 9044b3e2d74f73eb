"""The house rules that no tool checks."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from tests.support.old_pythons import need_python

import localaml

ROOT = Path(__file__).parent.parent
# A class of Azure's SDK has as many methods as it has.
MOST_LINES = {"emulator": 400, "sdk": 500}
_VERSION = re.compile(r'^version = "(.+)"$', re.MULTILINE)


def _sources(*folders: str) -> list[Path]:
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py") if ".venv" not in path.parts)


def test_files_have_one_job() -> None:
    long = {
        str(path.relative_to(ROOT)): count
        for folder, most in MOST_LINES.items()
        for path in _sources(folder)
        if (count := len(path.read_text("utf-8").splitlines())) > most
    }
    assert not long, f"too many lines, so probably two things in one: {long}"


def test_nothing_is_left_for_later() -> None:
    word = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")
    own = Path(__file__)
    sources = _sources("campaigns", "emulator", "sdk", "tests", "examples")
    left = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in [*sources, *ROOT.glob("scripts/*"), *ROOT.glob("docs/*")]
        if path != own and path.is_file()
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1)
        if word.search(line)
    ]
    assert not left


def test_the_readme_names_two_commands_that_can_be_run() -> None:
    text = (ROOT / "README.md").read_text("utf-8")
    for command in ("./scripts/demo", "./scripts/test"):
        assert command in text
        assert os.access(ROOT / command, os.X_OK)
    assert os.access(ROOT / ".ci/run", os.X_OK)


def test_links_between_documents_lead_somewhere() -> None:
    link = re.compile(r"\]\((?!https?://|#)([^)#]+)")
    broken = [
        f"{page.relative_to(ROOT)} -> {target}"
        for page in [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("examples/**/*.md")]
        for target in link.findall(page.read_text("utf-8"))
        if not (page.parent / target).exists()
    ]
    assert not broken


def test_licence_and_changelog_are_there() -> None:
    assert "MIT License" in (ROOT / "LICENSE").read_text("utf-8")
    assert f"[{localaml.__version__}]" in (ROOT / "CHANGELOG.md").read_text("utf-8")


def test_the_distributions_have_one_version() -> None:
    for project in ("pyproject.toml", "proto/pyproject.toml", "sdk/pyproject.toml"):
        match = _VERSION.search((ROOT / project).read_text("utf-8"))
        assert match is not None
        assert match.group(1) == localaml.__version__


def test_no_registry_is_named() -> None:
    """Where packages come from is the user's choice."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False)
    if listed.returncode != 0:
        pytest.skip("not a git checkout")
    words = ("pypi." + "org", "python" + "hosted", "npm" + "js.", "deb." + "debian")
    named = [
        name
        for name in listed.stdout.decode().split("\0")
        if name and (ROOT / name).is_file() and any(word.encode() in (ROOT / name).read_bytes() for word in words)
    ]
    assert not named


def test_the_sdk_is_python_3_6() -> None:
    """Training environments of the time are Python 3.6: every file of the SDK must compile there."""
    python = need_python("3.6")
    program = (
        "import sys\n"
        "for name in sys.stdin.read().split('\\0'):\n"
        "    compile(open(name, encoding='utf-8').read(), name, 'exec')\n"
    )
    names = "\0".join(str(path) for path in _sources("sdk"))
    done = subprocess.run([str(python), "-c", program], input=names, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_version_is_told_without_loading_anything() -> None:
    program = (
        "import sys; sys.argv = ['localaml', '--version']\n"
        "from localaml.cli import main; main()\n"
        "print(sorted({'typer', 'rich', 'pydantic', 'grpc', 'asyncio'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == f"localaml {localaml.__version__}\n[]\n"
