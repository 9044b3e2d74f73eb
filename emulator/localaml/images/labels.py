"""Names that images, and containers in which images are made, carry."""

from __future__ import annotations

from enum import Enum


class Form(str, Enum):
    """The ways to make a base image."""

    HOST_FILESYSTEM = "host-filesystem"
    DEBIAN = "debian"
    DOCKERFILE = "dockerfile"


# What an emulator takes where a run definition names no image.
DEFAULT_TAG = "localaml/base:latest"
HOST_FILESYSTEM_TAG = "localaml/host-filesystem:latest"
DEBIAN_TAG = "localaml/base:debian"
DOCKERFILE_TAG = "localaml/base:dockerfile"

TAGS = {
    Form.HOST_FILESYSTEM: HOST_FILESYSTEM_TAG,
    Form.DEBIAN: DEBIAN_TAG,
    Form.DOCKERFILE: DOCKERFILE_TAG,
}

# On every image made here: its form, and the hash of what went into it.
FORM_LABEL = "localaml.image"
INPUTS_LABEL = "localaml.image-inputs"
# On the Debian without Python packages that the form `debian` is built on: the hash of what went into that.
ROOT_INPUTS_LABEL = "localaml.image-root-inputs"
# Containers of such images get this machine's /usr, read-only (compute/docker/images.py).
HOST_FILESYSTEM_LABEL = "localaml.host-filesystem"
# Names of containers in which an image is made begin so: none of them outlives its build.
BUILD_CONTAINER_PREFIX = "localaml-image-build-"
