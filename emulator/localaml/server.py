"""Puts an `Emulator` together: ``async with Emulator(settings) as emulator: ...``

``python -m localaml.server --settings-json FILE`` (``-``: stdin) runs one until SIGTERM or SIGINT; with ``--owner FD``
also until the other end of this pipe is closed, as it is when the process that has it dies. Jobs go on; the next
emulator of the state dir adopts them.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import random
import signal
import sys
from contextlib import AsyncExitStack
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import grpc.aio
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from localaml import __version__
from localaml.clock import Clock, RealClock
from localaml.compute.assembly import ContainerParts, build_runtime, loopback_ports, remove_leftovers
from localaml.control.calls import CallCounter
from localaml.control.faults import FaultControl
from localaml.control.faulty_store import FaultyStore
from localaml.control.kept_clock import make_clock
from localaml.control.state_exchange import finish_exchange
from localaml.descriptors import raise_limit
from localaml.errors import LocalAmlError
from localaml.gateway.admission import http_limits
from localaml.gateway.app import Gateway
from localaml.gateway.byte_plane import BytePlane
from localaml.gateway.http_server import HttpServer
from localaml.jobs.assembly import build_orchestrator
from localaml.jobs.datastore_data import account_finder
from localaml.jobs.environments.routed import RoutedEnvironments
from localaml.jobs.history import History
from localaml.jobs.identifiers import Identifiers
from localaml.jobs.job_sdk import job_sdk_folder
from localaml.jobs.job_variables import Connection
from localaml.jobs.unfinished_writes import settle_storage
from localaml.listening import bind_grpc_port, bind_http_port, check_host, connection_options, url_host
from localaml.paths import StatePaths
from localaml.services import build_services
from localaml.services.context import EmulatorInfo, ServiceContext
from localaml.services.definition import stored_job_spec
from localaml.services.model_files import remove_stale_uploads
from localaml.services.rpc import SERVER_OPTIONS, Streams, bind_grpc, method_table
from localaml.services.sealing import SecretSealer
from localaml.services.sweep_definition import StoredSweeps
from localaml.services.tokens import RunTokens, UrlSigner, authenticator, is_owner_token
from localaml.settings import Settings
from localaml.state_dir import Endpoint, Ports, StateDir, abandoned
from localaml.storage.clouds import open_cloud
from localaml.storage.routed import RoutedStore
from localaml.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable

    from localaml.compute.runtime import NodeRuntime
    from localaml.jobs.environments.builder import UvEnvironmentBuilder
    from localaml.jobs.environments.contract import EnvironmentBuilder
    from localaml.jobs.orchestrator import Orchestrator
    from localaml.storage.object_store import ObjectStore

_LOG = logging.getLogger(__name__)
# How long calls that are going on may still take when the emulator stops. Streams end at once.
_STOP_GRACE_SECONDS = 2.0


class Emulator:
    """One emulator. Several can be in one process, each with its own state dir.

    Args:
        clock: where service time comes from; what the settings ask for by default.
        runtime: where nodes and processes live; processes of this machine by default.
        environments: what makes Python environments; `uv` by default.
        crash: ends the process at once, for the fault of that kind.
        open_files: the soft limit of open files that jobs get; None for this process's one.

    Attributes (once started):
        http_address: ``http://127.0.0.1:1234``.
        grpc_address: ``127.0.0.1:1233``.
        token: the owner's bearer token.
    """

    store: Store
    objects: ObjectStore
    orchestrator: Orchestrator
    token: str
    http_address: str
    grpc_address: str

    def __init__(
        self,
        settings: Settings,
        *,
        clock: Clock | None = None,
        runtime: NodeRuntime | None = None,
        environments: EnvironmentBuilder | None = None,
        crash: Callable[[int], object] = os._exit,
        open_files: int | None = None,
    ) -> None:
        self.settings = settings
        self.paths = StatePaths(settings.state_dir.absolute())
        self._clock = clock
        self._machine_clock = RealClock()
        self._runtime = runtime
        self._environments = environments
        self._crash = crash
        self._open_files = open_files
        self._exit = AsyncExitStack()
        self._started = False
        self._is_serving = False
        self._streams = Streams()
        self._stop_wanted = asyncio.Event()
        self._closing: asyncio.Task[None] | None = None
        self._start_time: datetime = self._machine_clock.now()

    async def __aenter__(self) -> Emulator:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    # -- life ---------------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Starts serving; afterwards endpoint.json names the addresses.

        Raises:
            FailedPrecondition: the state dir cannot be used (see `StateDir.open`, `Store.open`),
                ``HOST_NOT_LOOPBACK``, or ``PORT_IN_USE``. Nothing is left behind then.
        """
        try:
            await self._start()
        except BaseException:
            await self._exit.aclose()
            raise
        self._started = True

    def request_shutdown(self) -> None:
        """Makes the emulator stop (as soon as it has started). Returns at once: servicers call it. Idempotent."""
        self._stop_wanted.set()
        if self._started and self._closing is None:
            self._closing = asyncio.get_running_loop().create_task(self._close())

    async def wait_closed(self) -> None:
        """Returns once somebody has asked the emulator to stop, and it has stopped."""
        await self._stop_wanted.wait()
        await self.close()

    async def close(self) -> None:
        """Stops. Jobs go on, unless the emulator is ephemeral. Idempotent."""
        self.request_shutdown()
        if self._closing is not None:
            await asyncio.shield(self._closing)

    async def _close(self) -> None:
        self._is_serving = False
        await self._exit.aclose()

    # -- putting together ---------------------------------------------------------------------------------------------

    async def _start(self) -> None:
        settings, later = self.settings, self._exit
        check_host(settings.host, settings.allow_remote)
        state = StateDir.open(settings.state_dir, ephemeral=settings.ephemeral)
        later.callback(state.close)
        clock = self._clock or make_clock(settings, self.paths.clock, self._machine_clock)
        self.token = state.token
        tokens = RunTokens(state.signing_key)
        urls = UrlSigner(state.signing_key, lambda: self.http_address, clock, settings.signed_url_seconds)

        self.store = Store.open(self.paths.metadata)
        later.callback(self.store.close)
        cloud = await open_cloud(settings.storage, self.paths, is_new=lambda: not self.store.workspaces.list())
        later.push_async_callback(asyncio.to_thread, cloud.close)
        faults = FaultControl(self.store, History(self.store, clock), clock, self._machine_clock, self._crash)
        later.callback(faults.close)
        patience = settings.storage.store_patience_seconds
        routed = RoutedStore(cloud.objects, account_finder(self.store), patience_seconds=patience)
        later.push_async_callback(asyncio.to_thread, routed.close)
        self.objects = FaultyStore(routed, faults)
        await finish_exchange(self.paths, self.store, routed)
        await settle_storage(self.store, routed, is_empty=settings.storage.cloud == "moto")
        relay_ports = loopback_ports(value for _, value in sorted(cloud.job_variables.items()))
        containers = ContainerParts(
            self.paths,
            self._machine_clock,
            settings,
            lambda: [http_port, grpc_port, *relay_ports],
            shown=[job_sdk_folder()],
        )
        routed_runtime = build_runtime(self.paths, self._machine_clock, settings, containers, self._open_files)
        runtime: NodeRuntime = self._runtime or routed_runtime
        uv_environments = _uv_environments(settings, self._machine_clock, containers)
        environments = self._environments or uv_environments
        sealer = SecretSealer(state.signing_key)
        identifiers = Identifiers(random.SystemRandom())
        if settings.seed is not None:
            identifiers = Identifiers.seeded(settings.seed, self.store.counters.next("starts"))
        self.orchestrator = build_orchestrator(
            store=self.store,
            objects=self.objects,
            runtime=runtime,
            environments=environments,
            settings=settings,
            clock=clock,
            connection=lambda run: Connection(
                self.http_address, self.paths.endpoint, tokens.make(run), cloud.job_variables
            ),
            spec_of=lambda run: stored_job_spec(run, sealer),
            sweeps=StoredSweeps(sealer, clock.now),
            hooks=faults,
            identifiers=identifiers,
        )
        faults.attach(self.orchestrator.disturbances, self.orchestrator.try_again)
        calls = CallCounter()
        services = build_services(
            ServiceContext(
                store=self.store,
                orchestrator=self.orchestrator,
                runtime=runtime,
                objects=self.objects,
                environments=environments,
                urls=urls,
                sealer=sealer,
                clock=clock,
                settings=settings,
                info=lambda: self._info(runtime.name),
                shutdown=self.request_shutdown,
                calls=calls,
                identifiers=identifiers,
                faults=faults,
                check_runtime=routed_runtime.check if self._runtime is None else None,
            )
        )
        going_on = self.store.runs.is_going_on
        authenticate = authenticator(state.token, tokens, going_on, require_token=settings.require_token)

        # Ports are taken before anything starts, so that jobs which the recovery starts get the right addresses; calls
        # are answered only when the recovery is done.
        last = state.last_ports()
        grpc_server = grpc.aio.server(options=(*SERVER_OPTIONS, *connection_options(settings)))
        names = bind_grpc(grpc_server, services, authenticate, self._streams, calls.note, faults.before_call)
        health_servicer = health.aio.HealthServicer()  # type: ignore[attr-defined]  # the stubs leave it out
        health_pb2_grpc.add_HealthServicer_to_server(health_servicer, grpc_server)
        reflection.enable_server_reflection([*names, health.SERVICE_NAME, reflection.SERVICE_NAME], grpc_server)
        grpc_port = bind_grpc_port(grpc_server, settings.host, settings.port, last.grpc)
        later.push_async_callback(grpc_server.stop, None)
        http_socket = bind_http_port(settings.host, settings.http_port, last.http)
        later.callback(http_socket.close)
        http_port = http_socket.getsockname()[1]
        self.grpc_address = f"{url_host(settings.host)}:{grpc_port}"
        self.http_address = f"http://{url_host(settings.host)}:{http_port}"

        if settings.ephemeral:
            later.push_async_callback(self._end_leftovers, self.paths)
        later.push_async_callback(self.orchestrator.close)
        await self.orchestrator.start()
        faults.restore()

        gateway = Gateway(
            method_table(services, self._streams, calls.note, faults.before_call),
            authenticate,
            BytePlane(self.store, self.objects, urls, clock, self.orchestrator.logs.path, faults.before_bytes),
            version=__version__,
            is_serving=lambda: self._is_serving,
            any_host=settings.allow_remote,
        )
        http_server = HttpServer(gateway.handle, http_limits(settings), lambda text: is_owner_token(text, state.token))
        later.push_async_callback(self._stop_serving, grpc_server, http_server, state)
        later.push_async_callback(health_servicer.enter_graceful_shutdown)
        await grpc_server.start()
        await http_server.start(http_socket)
        for name in ("", *names):
            await health_servicer.set(name, health_pb2.HealthCheckResponse.SERVING)
        self._is_serving = True
        state.publish(self._endpoint(), Ports(grpc_port, http_port))
        afterwards = asyncio.create_task(self._afterwards(uv_environments))
        later.push_async_callback(asyncio.wait, [afterwards])
        later.callback(afterwards.cancel)

    async def _stop_serving(self, grpc_server: grpc.aio.Server, http_server: HttpServer, state: StateDir) -> None:
        state.withdraw()
        self._streams.stop()
        await asyncio.gather(grpc_server.stop(_STOP_GRACE_SECONDS), http_server.close(_STOP_GRACE_SECONDS))

    async def _afterwards(self, environments: RoutedEnvironments) -> None:
        """What nobody has to wait for: readiness for the first job; removing what killed ephemeral emulators left."""
        try:
            if self._environments is None:
                await environments.load()
            await remove_stale_uploads(self.store, self.objects, self._machine_clock)
            for state in abandoned():
                try:
                    ended = await self._end_leftovers(state.paths)
                    _LOG.info("removing %s, which a killed emulator left, and %d processes", state.paths.root, ended)
                finally:
                    await asyncio.to_thread(state.close)
        except Exception:
            _LOG.exception("something failed after the start")

    async def _end_leftovers(self, paths: StatePaths) -> int:
        if self._runtime is not None and paths == self.paths:
            return await self._runtime.end_leftovers(frozenset())
        return await remove_leftovers(paths, self._machine_clock, self.settings)

    # -- facts --------------------------------------------------------------------------------------------------------

    def _info(self, runtime_name: str) -> EmulatorInfo:
        return EmulatorInfo(
            version=__version__,
            state_dir=self.paths.root,
            process_id=os.getpid(),
            grpc_address=self.grpc_address,
            http_address=self.http_address,
            start_time=self._start_time,
            compute_runtime=runtime_name,
            ephemeral=self.settings.ephemeral,
        )

    def _endpoint(self) -> Endpoint:
        return Endpoint(
            http_address=self.http_address,
            grpc_address=self.grpc_address,
            process_id=os.getpid(),
            token_file=str(self.paths.token),
            state_dir=str(self.paths.root),
            version=__version__,
            start_time=self._start_time.isoformat(),
        )


def _uv_environments(settings: Settings, clock: Clock, containers: ContainerParts) -> RoutedEnvironments:
    """Environments for this machine and for images. Their modules are loaded when the first one is wanted."""

    def on_this_machine() -> UvEnvironmentBuilder:
        from localaml.jobs.environments.builder import UvEnvironmentBuilder

        return UvEnvironmentBuilder(settings.cache_dir, settings.environments, clock)

    def in_images(host: UvEnvironmentBuilder) -> EnvironmentBuilder:
        from localaml.jobs.environments.container_builder import ContainerEnvironments

        return ContainerEnvironments(containers.images, host, settings.environments)

    return RoutedEnvironments(on_this_machine, in_images)


async def _run(settings: Settings, owner: int | None) -> None:
    emulator = Emulator(settings, open_files=raise_limit())
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, emulator.request_shutdown)
    if owner is not None:

        def owner_has_gone() -> None:
            loop.remove_reader(owner)
            emulator.request_shutdown()

        loop.add_reader(owner, owner_has_gone)
    async with emulator:
        _LOG.info("serving on %s (HTTP) and %s (gRPC)", emulator.http_address, emulator.grpc_address)
        await emulator.wait_closed()
    _LOG.info("stopped")


def main(arguments: list[str] | None = None) -> int:
    """Runs an emulator until it is asked to stop; returns the exit code (1: it could not start)."""
    from localaml.settings_json import settings_from_json

    parser = argparse.ArgumentParser(prog="python -m localaml.server", description="Runs one LocalAML emulator.")
    parser.add_argument("--settings-json", required=True, metavar="FILE", help="its settings; - reads standard input")
    parser.add_argument("--owner", type=int, metavar="FD", help="a pipe: stops when its other end is closed")
    options = parser.parse_args(arguments)
    source = options.settings_json
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    try:
        settings = settings_from_json(sys.stdin.read() if source == "-" else Path(source).read_text("utf-8"))
        asyncio.run(_run(settings, options.owner))
    except LocalAmlError as error:
        print(f"The emulator cannot start: {error.message}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
