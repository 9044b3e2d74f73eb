"""Dockerfiles, which are given as text or by the path of a file."""

import os
from typing import Any, Optional

from azureml._localaml.path_text import path_text


def dockerfile_text(given: Any) -> Optional[str]:
    """The text of a Dockerfile; None when there is none.

    Args:
        given: the text, or the path of a file.

    Raises:
        UserErrorException: it can only be a path, and there is no such file, or it cannot be read.
    """
    from azureml.exceptions import UserErrorException

    text = path_text(given)
    if not text or not isinstance(text, str):
        return None
    if "\n" in text or not os.path.isfile(text):
        # Every line that says something in a Dockerfile has a blank.
        if len(text.split()) > 1:
            return text
        raise UserErrorException("There is no Dockerfile {}. Give its path, or its text.".format(text))
    try:
        with open(text, encoding="utf-8") as file:
            return file.read()
    except (OSError, UnicodeDecodeError) as error:
        raise UserErrorException("The Dockerfile {} cannot be read: {}.".format(text, error)) from None
