"""Names from callers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localaml.domain.names import (
    check_name,
    check_relative_path,
    parse_child,
    parse_resource_group,
    parse_run,
    parse_workspace,
)
from localaml.errors import InvalidArgument

WORKSPACE = "subscriptions/s/resourceGroups/g/workspaces/ws"
KINDS = ["subscription", "resource group", "workspace", "compute target", "datastore", "experiment", "run id"]
BAD = ["", "a/b", "..", "../x", "a\x00b", "a\nb", "x" * 300, " a", "a b", "é", "-a", "."]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("value", BAD)
def test_bad_names_are_refused_with_the_rule(kind: str, value: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        check_name(kind, value)
    assert caught.value.reason == "INVALID_NAME"
    assert kind in caught.value.message
    assert len(caught.value.message) < 400


def test_names_survive_a_round_trip() -> None:
    for name, parse in [
        ("subscriptions/s/resourceGroups/g", parse_resource_group),
        (WORKSPACE, parse_workspace),
        (f"{WORKSPACE}/experiments/e/runs/e_1_ab", parse_run),
        (f"{WORKSPACE}/experiments/-/runs/e_1_ab", parse_run),
    ]:
        assert str(parse(name)) == name
    assert str(parse_child(f"{WORKSPACE}/computes/cpu-cluster", "computes")) == f"{WORKSPACE}/computes/cpu-cluster"


@pytest.mark.parametrize(
    "name", ["", "x", WORKSPACE + "/", WORKSPACE + "/computes", f"{WORKSPACE}/computes/../x", "/" + WORKSPACE]
)
def test_other_shapes_are_refused(name: str) -> None:
    with pytest.raises(InvalidArgument):
        parse_workspace(name)
    with pytest.raises(InvalidArgument):
        parse_run(name)
    with pytest.raises(InvalidArgument):
        parse_child(name, "computes")


@given(st.text(max_size=60))
def test_a_checked_path_stays_inside(value: str) -> None:
    try:
        path = check_relative_path(value)
    except InvalidArgument:
        return
    assert not path.startswith("/")
    assert ".." not in path.split("/")
    assert "" not in path.split("/")
    assert check_relative_path(path) == path


@pytest.mark.parametrize(
    "value", ["", "/etc/passwd", "../x", "a/../../x", "a\\b", "a\x00", "./", "x/" * 600, "y" * 256]
)
def test_bad_paths_are_refused(value: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        check_relative_path(value)
    assert caught.value.reason == "INVALID_PATH"


def test_paths_are_normalised() -> None:
    assert check_relative_path("./outputs//model.pkl") == "outputs/model.pkl"
