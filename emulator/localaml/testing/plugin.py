"""The pytest plugin: fixtures, options, the marker `localaml`, and what failed tests tell of their runs.

It is loaded into every pytest process of an environment with LocalAML in it. So nothing but pytest is imported here,
and nothing is started, until a test asks for one of the fixtures.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Generator, Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from azureml.core import Workspace
    from azureml.core.compute import AmlCompute
    from localaml.testing.faults import Faults
    from localaml.testing.sessions import EmulatorSession
    from localaml.testing.time import EmulatorClock

_MARKER = "localaml"
# The fixture on which all others stand: a test uses this plugin when this one is among its fixtures.
_ROOT = "localaml_emulator"
_session_key = pytest.StashKey["EmulatorSession"]()
_kept_key = pytest.StashKey[list[str]]()
_KEPT = "localaml_kept"


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("localaml", "LocalAML, the Azure ML emulator")
    group.addoption(
        "--localaml-endpoint",
        metavar="URL",
        help="use the emulator that runs there (http://127.0.0.1:8765; 'env': LOCALAML_ENDPOINT) instead of own ones",
    )
    group.addoption(
        "--localaml-keep",
        action="store_true",
        help="leave workspaces and state folders there after the tests, and say where",
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers",
        "localaml(clock='real', latency='none', own=False, **settings): the emulator that a test runs against; tests "
        "with equal settings share one, unless own=True",
    )
    config.stash[_kept_key] = []


# -- one test ---------------------------------------------------------------------------------------------------------


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    names = getattr(item, "fixturenames", ())
    if _ROOT not in names:
        return
    settings: dict[str, Any] = {}
    for marker in reversed(list(item.iter_markers(_MARKER))):
        if marker.args:
            pytest.fail(f"The marker {_MARKER} takes names and values, not {marker.args!r}.", pytrace=False)
        settings.update(marker.kwargs)
    own = bool(settings.pop("own", False))
    if "clock" in names:
        settings.setdefault("clock", "virtual")
    from localaml.cli.failure import CliError
    from localaml.testing.emulators import check_settings

    try:
        # Only what the test itself has got wrong is told without a traceback: a defect of ours keeps its own.
        check_settings(settings)
    except TypeError as error:
        pytest.fail(f"The marker {_MARKER} of this test: {error}", pytrace=False)
    try:
        _session(item.config).enter(settings, own=own)
    except CliError as error:
        pytest.fail(str(error), pytrace=False)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None, Any, None]:
    yield
    session = item.config.stash.get(_session_key, None)
    if session is not None:
        session.leave()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, Any, None]:
    answer = yield
    report = answer.get_result()
    session = item.config.stash.get(_session_key, None)
    if (
        session is None
        or not report.failed
        or call.when == "teardown"
        or _ROOT not in getattr(item, "fixturenames", ())
    ):
        return
    try:
        text = session.report(known=report.longreprtext)
    except Exception as error:
        # The test's own failure is what counts.
        text = f"What became of the runs cannot be told: {type(error).__name__}: {error}"
    if text:
        report.sections.append(("LocalAML runs", text))


# -- the session ------------------------------------------------------------------------------------------------------


def _session(config: pytest.Config) -> EmulatorSession:
    if _session_key not in config.stash:
        from localaml.testing.sessions import EmulatorSession, endpoint_of

        endpoint = endpoint_of(config.getoption("localaml_endpoint"))
        config.stash[_session_key] = EmulatorSession(endpoint, keep=config.getoption("localaml_keep"))
    return config.stash[_session_key]


@pytest.hookimpl(hookwrapper=True, trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> Generator[None, Any, None]:
    # After Ctrl-C or pytest.exit() pytest tears the fixtures down only now, and they need the emulators.
    yield
    emulators = session.config.stash.get(_session_key, None)
    if emulators is not None:
        emulators.close()
        kept = [str(path) for path in emulators.kept]
        session.config.stash[_kept_key] += kept
        if hasattr(session.config, "workeroutput"):  # under pytest-xdist: the controller prints it
            session.config.workeroutput[_KEPT] = kept


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any, error: object) -> None:
    """A worker of pytest-xdist has ended."""
    node.config.stash[_kept_key] += getattr(node, "workeroutput", {}).get(_KEPT, [])


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    kept = config.stash[_kept_key]
    if kept:
        terminalreporter.section("LocalAML state, kept")
        for path in kept:
            terminalreporter.line(f"localaml start -d --state-dir {path}")


# -- fixtures ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def localaml_emulator(request: pytest.FixtureRequest) -> EmulatorSession:
    """The emulator of the test that runs now, one for each worker and set of settings; the SDK is led to it."""
    return _session(request.config)


@pytest.fixture
def workspace(request: pytest.FixtureRequest, localaml_emulator: EmulatorSession) -> Iterator[Workspace]:
    """A workspace of the test's own; with everything in it, it goes with the test."""
    made = localaml_emulator.make_workspace(request.node.name)
    yield made
    localaml_emulator.remove_workspace(made)


@pytest.fixture
def amlcompute(workspace: Workspace, localaml_emulator: EmulatorSession) -> Callable[..., AmlCompute]:
    """Makes clusters in the test's workspace: ``amlcompute(max_nodes=2)``.

    Further arguments are those of `AmlCompute.provisioning_configuration` (`vm_size` is STANDARD_D2_V2 unless given);
    `name` is the cluster's. It waits for `min_nodes`, unless `wait=False`: where the cloud's delays go by a virtual
    clock, the nodes come when the test lets time pass.
    """
    numbers = itertools.count(1)

    def make(name: str | None = None, *, wait: bool = True, **settings: Any) -> AmlCompute:
        __tracebackhide__ = True
        return localaml_emulator.make_cluster(workspace, name or f"cluster-{next(numbers)}", wait, settings)

    return make


@pytest.fixture
def clock(localaml_emulator: EmulatorSession) -> EmulatorClock:
    """The emulator's time. A test that uses it gets an emulator with a virtual clock, unless its marker says more."""
    found: EmulatorClock = localaml_emulator.clock
    return found


@pytest.fixture
def faults(localaml_emulator: EmulatorSession) -> Iterator[Faults]:
    """Makes things go wrong on purpose; whatever rules a test has added are gone after it."""
    from localaml.testing.faults import Faults

    with Faults(localaml_emulator.current) as rules:
        yield rules
