"""Dockerfiles that would make the engine fetch addresses from this machine's own network."""

from __future__ import annotations

import pytest

from localaml.domain.dockerfile_rules import check_dockerfile, check_triggers
from localaml.errors import InvalidArgument


@pytest.mark.parametrize(
    "text",
    [
        "FROM x\nADD http://127.0.0.1:8080/v1 /x\n",
        "FROM x\n  add\thttp://localhost/ /x",
        "FROM x\nARG U=http://127.0.0.1/\nADD $U /x\n",
        'FROM x\nADD ["http://127.0.0.1/", "/x"]\n',
        "FROM x\nADD --chown=1:1 http://127.0.0.1/ /x\n",
        "FROM x\nADD \\\n http://127.0.0.1/ /x\n",
        "FROM x\nA\\\nDD http://127.0.0.1/ /x\n",
        "FROM x\nAD\\  \n# between\n\nD http://127.0.0.1/ /x\n",
        "# escape=`\nFROM x\nRUN echo \\\nADD http://127.0.0.1/ /x\n",
        "# escape=`\nFROM x\nA`\nDD http://127.0.0.1/ /x\n",
        "FROM x\r\nADD http://127.0.0.1/ /x\r\n",
        "FROM x\nONBUILD ADD http://127.0.0.1/ /x\n",
        "FROM x\nADD git://127.0.0.1/x.git /x\n",
    ],
)
def test_the_engine_fetches_nothing(text: str) -> None:
    with pytest.raises(InvalidArgument, match="RUN") as caught:
        check_dockerfile(text)
    assert caught.value.reason == "DOCKERFILE_INVALID"


@pytest.mark.parametrize(
    "text",
    [
        "FROM x\nRUN curl -O https://example.org/x\nENV ADD=1\nLABEL a=ADD\n",
        "FROM x AS ADD\nRUN true \\\n && echo \\\n  ADD http://127.0.0.1/\n",
        "FROM x\n# ADD http://127.0.0.1/ /x\nRUN ADDUSER x\nRUN ADD_USER\n",
        "FROM a AS one\nFROM b\nCOPY --from=one /x /x\n",
    ],
)
def test_all_else_is_the_container_s(text: str) -> None:
    check_dockerfile(text)


def test_what_images_ask_for_on_build() -> None:
    check_triggers(["RUN true", "COPY x /x"], "image")
    with pytest.raises(InvalidArgument, match="ONBUILD"):
        check_triggers(["RUN true", "ADD http://127.0.0.1/ /x"], "image")
