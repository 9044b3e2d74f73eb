"""What a Dockerfile is built on can be exchanged, and nothing else of it."""

from __future__ import annotations

from localaml.compute.docker.dockerfiles import base_images, on_other_images

TEXT = """# FROM not/this
ARG VERSION=3.9
ARG NAME="team/image"
FROM mcr.microsoft.com/azureml/base:1 AS first
RUN echo "FROM inside"
from --platform=linux/amd64 python:${VERSION}-slim as Second
COPY --from=first /a /b
FROM second
FROM $NAME:${TAG:-latest}
FROM scratch
FROM mcr.microsoft.com/azureml/base:1
"""


def test_images_are_found_with_variables_and_without_stages() -> None:
    assert base_images(TEXT) == ["mcr.microsoft.com/azureml/base:1", "python:3.9-slim", "team/image:latest"]


def test_only_from_lines_change() -> None:
    changed = on_other_images(TEXT, {"mcr.microsoft.com/azureml/base:1": "sha256:1", "python:3.9-slim": "sha256:2"})
    expected = TEXT.replace("mcr.microsoft.com/azureml/base:1", "sha256:1").replace(
        "python:${VERSION}-slim", "sha256:2"
    )
    assert changed == expected


def test_a_text_without_images_stays_as_it_is() -> None:
    assert base_images("nonsense") == []
    assert on_other_images("nonsense", {"a": "b"}) == "nonsense"
