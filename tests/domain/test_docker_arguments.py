"""Arguments of `docker run`: what is taken, in every form that Docker's command line knows, and what is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localaml.domain.docker_arguments import DockerArguments, Ulimit, parse_docker_arguments
from localaml.domain.sizes import parse_size
from localaml.errors import InvalidArgument

_NAMES = st.text(st.characters(blacklist_characters="=\0\u2028\u2029", blacklist_categories=("Cs", "Cc")), min_size=1)
_VALUES = st.text(st.characters(blacklist_characters="\0", blacklist_categories=("Cs",)))
_FORMS = st.sampled_from(["two words", "equals"])


def _words(name: str, value: str, form: str) -> list[str]:
    return [name, value] if form == "two words" else [f"{name}={value}"]


def test_no_arguments_ask_for_nothing() -> None:
    assert parse_docker_arguments([]) == DockerArguments()


def test_each_argument_in_its_forms() -> None:
    words = ["--shm-size", "512m", "--cpus=1.5", "-m", "2g", "-e", "A=1", "-eB=x y", "-e=C=", "--env", "D=a=b"]
    words += ["--ulimit", "nofile=1024:2048", "--ulimit=memlock=-1"]
    assert parse_docker_arguments(words) == DockerArguments(
        environment={"A": "1", "B": "x y", "C": "", "D": "a=b"},
        ulimits=(Ulimit("nofile", 1024, 2048), Ulimit("memlock", -1, -1)),
        shm_size_bytes=512 * 1024**2,
        cpus=1.5,
        memory_bytes=2 * 1024**3,
    )
    assert parse_docker_arguments(["-m512m"]) == parse_docker_arguments(["--memory=512m"])


def test_the_last_one_counts() -> None:
    found = parse_docker_arguments(["--cpus=1", "--cpus=2", "-eA=1", "-eA=2", "--ulimit=core=1", "--ulimit=core=0:-1"])
    assert (found.cpus, found.environment, found.ulimits) == (2.0, {"A": "2"}, (Ulimit("core", 0, -1),))


@given(st.dictionaries(_NAMES, _VALUES), st.data())
def test_any_variable_comes_through_as_it_is(variables: dict[str, str], data: st.DataObject) -> None:
    words: list[str] = []
    for name, value in variables.items():
        words += _words("--env", f"{name}={value}", data.draw(_FORMS))
    assert parse_docker_arguments(words) == DockerArguments(environment=variables)


@given(st.integers(1, 2**50), st.sampled_from(["", "b", "k", "Kb", "m", "MiB", "g", "GB"]))
def test_sizes_are_powers_of_1024(number: int, unit: str) -> None:
    factor = 1024 ** ["", "k", "m", "g"].index(unit[:1].lower().replace("b", ""))
    wanted = number * factor
    assert parse_size(f"{number}{unit}") == (wanted if wanted < 2**63 else None)


@given(st.text())
def test_no_text_breaks_the_reading_of_sizes(text: str) -> None:
    size = parse_size(text)
    assert size is None or 0 <= size < 2**63


@given(st.lists(st.text() | st.sampled_from(["--env", "-e", "--cpus=", "--ulimit", "nofile=1", "-m", "--shm-size=1g"])))
def test_words_are_taken_or_refused_with_a_reason(words: list[str]) -> None:
    try:
        found = parse_docker_arguments(words)
    except InvalidArgument as error:
        assert error.reason in ("UNSUPPORTED_DOCKER_ARGUMENT", "DOCKER_ARGUMENT_INVALID")
        assert words
    else:
        assert words == [] or found != DockerArguments()


@pytest.mark.parametrize(
    "words",
    [
        ["--privileged"],
        ["--privileged=true"],
        ["-v", "/:/host"],
        ["-v/:/host"],
        ["--volume=/:/host"],
        ["--mount", "type=bind,source=/,target=/host"],
        ["--network", "host"],
        ["--net=host"],
        ["--pid=host"],
        ["--ipc", "host"],
        ["--uts=host"],
        ["--userns=host"],
        ["--cap-add=ALL"],
        ["--device", "/dev/sda"],
        ["--security-opt", "seccomp=unconfined"],
        ["--hostname", "x"],
        ["-h", "x"],
        ["--add-host=a:1.2.3.4"],
        ["--entrypoint=sh"],
        ["--user", "0"],
        ["--env-file", "/etc/shadow"],
        ["--runtime", "other"],
        ["-it"],
        ["--", "image"],
        ["image"],
        [""],
        ["--ENV", "A=1"],
        ["--cpus=1", "--privileged"],
    ],
)
def test_what_leads_out_of_the_container_is_refused_by_name(words: list[str]) -> None:
    with pytest.raises(InvalidArgument) as caught:
        parse_docker_arguments(words)
    assert caught.value.reason == "UNSUPPORTED_DOCKER_ARGUMENT"
    name = next(word for word in words if not word.startswith("--cpus")).partition("=")[0]
    assert repr(name) in caught.value.message


@pytest.mark.parametrize(
    "words",
    [
        ["--env"],
        ["-e"],
        ["-e", "NAME"],
        ["-e", "=x"],
        ["-e", "A=\0"],
        ["--cpus", "0"],
        ["--cpus", "-1"],
        ["--cpus", "nan"],
        ["--cpus", "1e9"],
        ["--cpus", "0.0000000001"],
        ["--memory", "1m"],
        ["--memory", "lots"],
        ["--memory", "-1"],
        ["--shm-size", "0"],
        ["--shm-size", ""],
        ["--ulimit", "nofile"],
        ["--ulimit", "nofile=x"],
        ["--ulimit", "nofile=1:"],
        ["--ulimit", "nofile=2:1"],
        ["--ulimit", "nofile=-1:1"],
        ["--ulimit", "files=1"],
        ["--ulimit", "nofile=" + "9" * 30],
    ],
)
def test_values_that_mean_nothing(words: list[str]) -> None:
    with pytest.raises(InvalidArgument) as caught:
        parse_docker_arguments(words)
    assert caught.value.reason == "DOCKER_ARGUMENT_INVALID"
