"""Which image a name means, and which local one stands for it."""

from __future__ import annotations

import pytest

from localaml.compute.docker.image_names import ImageMap, Substitute, at_registry, read_image_name, registry_host
from localaml.errors import InvalidArgument

BASE = "localaml/base:latest"


@pytest.mark.parametrize(
    ("text", "registry", "path", "version"),
    [
        ("python", "", "python", "latest"),
        ("library/python:3.11", "", "python", "3.11"),
        ("docker.io/library/python:3.11", "", "python", "3.11"),
        ("microsoft/mmlspark:plus-0.9", "", "microsoft/mmlspark", "plus-0.9"),
        ("mcr.microsoft.com/azureml/base:1", "mcr.microsoft.com", "azureml/base", "1"),
        ("localhost/a", "localhost", "a", "latest"),
        ("127.0.0.1:5000/a/b_c:1.0", "127.0.0.1:5000", "a/b_c", "1.0"),
        ("[::1]:5000/a", "[::1]:5000", "a", "latest"),
        ("Registry.Example.com/a", "Registry.Example.com", "a", "latest"),
        (f"x.io/a:1@sha256:{'0' * 64}", "x.io", "a", f"sha256:{'0' * 64}"),
    ],
)
def test_names_are_read_as_docker_reads_them(text: str, registry: str, path: str, version: str) -> None:
    name = read_image_name(text)
    assert (name.registry, name.path, name.version) == (registry, path, version)


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", "A/b", "a:", "a b", "a//b", "/a", "a/", "a:b:c", "-a", "../a", "a@b", "a@sha256:12", "a\nb", "a;b"),
        *("--privileged", "$(id)", "a" * 5000, "https://x.io/a", "user:password@x.io/a"),
    ],
)
def test_what_is_no_name_is_refused(text: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        read_image_name(text)
    assert caught.value.reason == "IMAGE_NAME_INVALID"


@pytest.mark.parametrize(
    ("address", "host"),
    [
        ("private.azurecr.io", "private.azurecr.io"),
        ("https://private.azurecr.io/", "private.azurecr.io"),
        ("https://index.docker.io/v1/", ""),
        ("docker.io", ""),
        ("127.0.0.1:5000/v2/", "127.0.0.1:5000"),
        ("", ""),
    ],
)
def test_addresses_of_registries_come_in_many_forms(address: str, host: str) -> None:
    assert registry_host(address) == host


def test_a_registry_named_apart_is_that_of_images_without_one() -> None:
    assert str(at_registry(read_image_name("team/image:1"), "https://x.azurecr.io")) == "x.azurecr.io/team/image:1"
    assert str(at_registry(read_image_name("y.io/image"), "x.azurecr.io")) == "y.io/image"


@pytest.mark.parametrize(
    ("pattern", "name"),
    [
        ("microsoft/mmlspark:*", "microsoft/mmlspark:plus-0.9"),
        ("microsoft/mmlspark:*", "microsoft/mmlspark"),
        ("microsoft/mmlspark", "microsoft/mmlspark:plus-0.9"),
        ("microsoft/mmlspark", "docker.io/microsoft/mmlspark:1"),
        ("docker.io/microsoft/*", "microsoft/mmlspark:1"),
        ("team/*", "x.azurecr.io/team/image:3"),
        ("x.azurecr.io/*", "x.azurecr.io/team/image:3"),
        ("python:3.?", "docker.io/library/python:3.9"),
        ("library/python", "python:3.9"),
        ("*", "anything/at-all"),
    ],
)
def test_patterns_need_not_know_how_a_script_writes_a_name(pattern: str, name: str) -> None:
    found = ImageMap({pattern: "mine:1"}, BASE).find(read_image_name(name))
    assert found == Substitute("mine:1", pattern)


@pytest.mark.parametrize(
    ("pattern", "name"),
    [("microsoft/mmlspark:1", "microsoft/mmlspark:2"), ("team/*", "x.io/other/image"), ("python", "team/python")],
)
def test_other_images_are_left_alone(pattern: str, name: str) -> None:
    assert ImageMap({pattern: "mine:1"}, BASE).find(read_image_name(name)) is None


def test_the_first_entry_that_fits_counts() -> None:
    image_map = ImageMap({"a/special": "one", "a/*": "two", "*": "three"}, BASE)
    answers = [image_map.find(read_image_name(name)) for name in ("a/special:9", "a/b", "c")]
    assert [found.image if found else None for found in answers] == ["one", "two", "three"]


def test_azures_own_images_are_the_base_image_unless_somebody_says_otherwise() -> None:
    names = ("mcr.microsoft.com/azureml/openmpi3.1.2-ubuntu18.04:20210301.v1", "azureml/base:0.2.4")
    for name in map(read_image_name, names):
        assert ImageMap({}, BASE).find(name) == Substitute(BASE)
        assert ImageMap({"*azureml/*": "mine"}, BASE).find(name) == Substitute("mine", "*azureml/*")
        # An empty image: that of the name itself.
        assert ImageMap({"*azureml/*": ""}, BASE).find(name) is None
    # Somebody's own, which is not Azure's.
    assert ImageMap({}, BASE).find(read_image_name("x.azurecr.io/azureml/base:1")) is None
    assert ImageMap({}, BASE).find(read_image_name("mcr.microsoft.com/dotnet/sdk")) is None
