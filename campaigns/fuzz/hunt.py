"""The campaign: calls one after the other, a look after each, and the smallest call that shows a fault."""

from __future__ import annotations

import re
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from google.protobuf import text_format
from hypothesis import strategies as st

from campaigns.fuzz.corpus import BODIES
from campaigns.fuzz.drawing import drawn
from campaigns.fuzz.good_requests import good_requests
from campaigns.fuzz.listings import Listings
from campaigns.fuzz.rpcs import Rpc, all_rpcs
from campaigns.fuzz.smallest import smaller
from campaigns.fuzz.transports import Outcome, Transports
from campaigns.fuzz.values import Values, as_json
from campaigns.fuzz.world import NEVER, World
from localaml.paths import StatePaths
from localaml.testing.emulators import OwnEmulator

# After so many calls all listings are looked at, whatever the calls were about, ...
_ALL_LISTINGS_EVERY = 50
# ... and the world is made anew.
_NEW_WORLD_EVERY = 1000
_MOST_FAULTS = 20
# Rarely: what follows takes long.
_HEAVY = ("AdminService/Reset", "AdminService/Shutdown", "StateService/LoadState", "WorkspaceService/DeleteWorkspace")
# They write files of this machine, or stop the emulator: never with bytes that were not looked at.
_NO_RAW = ("StateService/SaveState", "StateService/LoadState", "AdminService/Shutdown", "FaultService/AddFault")
_CHANGES_WORLD = re.compile(
    r".*/(Delete|Unregister)|.*/(Reset|LoadState|UpdateQuota|UpdateComputeTarget|UpdateWorkspace|RegisterDatastore"
    r"|CreateComputeTarget|CancelRun)"
)
_BAD_LINES = re.compile(r"Traceback \(most recent call last\)|\bincident [0-9a-f]{12}\b|\bERROR\b|never retrieved")


@dataclass(frozen=True)
class Call:
    """One call.

    Attributes:
        transport: `gRPC` or `HTTP`.
        message: the request; None for raw bytes.
        raw: bytes to send as they are.
    """

    rpc: Rpc
    transport: str
    message: Any = None
    raw: bytes = b""
    content_type: str = ""
    envelope: bool = True

    def told(self) -> str:
        """For people: enough to make the call again."""
        if self.message is None:
            return f"{self.rpc.name} over {self.transport} with the bytes {self.raw[:2000]!r} {self.content_type}"
        text = as_json(self.message).decode("utf-8", "surrogatepass")
        fields = "" if len(text) < 3000 else f"\n(as text format: {text_format.MessageToString(self.message)[:3000]})"
        return f"{self.rpc.name} over {self.transport} with {text[:3000]}{fields}"


@dataclass
class Findings:
    """What a campaign saw.

    Attributes:
        calls: how many were made, listings apart.
        codes: how they were answered.
        faults: by what is the same about them.
    """

    calls: int = 0
    accepted: int = 0
    listings: int = 0
    seconds: float = 0.0
    codes: Counter[str] = field(default_factory=Counter)
    rpcs: Counter[str] = field(default_factory=Counter)
    faults: dict[str, str] = field(default_factory=dict)


class Hunt:
    """One campaign against one emulator of its own.

    Args:
        number: seed of everything that is made.
        say: told of faults as they are found, and now and then of how far it is.
    """

    def __init__(self, number: int, say: Callable[[str], None] = print) -> None:
        self._seed = number
        self._say = say
        self._rpcs = all_rpcs()
        self._folder = Path(tempfile.mkdtemp(prefix="localaml.fuzz-"))
        files = self._folder / "files"
        files.mkdir()
        (files / "garbage").write_bytes(b"no archive")
        self._emulator = OwnEmulator(
            keep=True, seed=number, offline=True, cache_dir=self._folder / "cache", cancel_grace_seconds=0.5
        )
        self._world = World(self._rpcs, files)
        self._good = good_requests(self._world)
        assert set(self._good) == set(self._rpcs), set(self._good) ^ set(self._rpcs)
        self._values = Values(self._world, self._good)
        self._listings = Listings(self._rpcs)
        self.findings = Findings()
        self._calls: Transports | None = None
        self._log: Any = None

    def close(self) -> None:
        """Ends the emulator with its jobs, and removes all files."""
        if self._calls is not None:
            self._calls.close()
        if self._log is not None:
            self._log.close()
        self._emulator.close()
        shutil.rmtree(self._emulator.state_dir, ignore_errors=True)
        shutil.rmtree(self._folder, ignore_errors=True)

    def run(self, calls: int, seconds: float = float("inf")) -> Findings:
        """Makes so many calls, or as many as the time is enough for."""
        begin = time.monotonic()
        self._start()
        self._log = StatePaths(self._emulator.state_dir).log.open("rb")
        self._new_world()
        part = 0
        while self.findings.calls < calls and len(self.findings.faults) < _MOST_FAULTS:
            if time.monotonic() - begin > seconds:
                break
            self._some(min(500, calls - self.findings.calls), self._seed * 100_000 + part)
            part += 1
            rate = self.findings.calls / (time.monotonic() - begin)
            self._say(f"{self.findings.calls} calls, {rate:.0f} a second, {len(self.findings.faults)} faults")
        self.findings.listings = self._listings.count
        self.findings.seconds = time.monotonic() - begin
        return self.findings

    # -- the emulator -------------------------------------------------------------------------------------------------

    def _start(self) -> None:
        self._emulator.start()
        if self._calls is not None:
            self._calls.close()
        from localaml.cli.endpoint import read_endpoint

        endpoint = read_endpoint(self._emulator.state_dir)
        assert endpoint is not None
        token = Path(endpoint.token_file).read_text().strip()
        self._calls = Transports(endpoint.http_address, endpoint.grpc_address, token)

    @property
    def _transports(self) -> Transports:
        assert self._calls is not None
        return self._calls

    def _new_world(self) -> None:
        calls = self._transports
        self._world.call(calls, "FaultService/ClearFaults")
        self._world.call(calls, "AdminService/Reset")
        archive = str(self._world.files / "empty")
        self._world.call(calls, "StateService/SaveState", path=archive, overwrite=True)
        self._world.build(calls)

    # -- calls --------------------------------------------------------------------------------------------------------

    def _some(self, count: int, number: int) -> None:
        for index in range(count):
            if len(self.findings.faults) >= _MOST_FAULTS:
                return
            call = drawn(number * 1000 + index, self._draw)
            if call is not None:
                self._step(call)

    def _draw(self, draw: Callable[[Any], Any]) -> Call:
        rpc = self._rpcs[draw(st.sampled_from(sorted(self._rpcs)))]
        if rpc.name in _HEAVY and draw(st.integers(0, 9)):
            rpc = self._rpcs["RunService/SubmitRun"]
        kind = draw(st.integers(0, 19))
        if kind < 3 and rpc.name not in _NO_RAW:
            return self._draw_raw(draw, rpc)
        message = draw(self._values.request(rpc))
        tame(rpc.name, message)
        return Call(rpc, "gRPC" if kind % 2 else "HTTP", message)

    def _draw_raw(self, draw: Callable[[Any], Any], rpc: Rpc) -> Call:
        kind = draw(st.integers(0, 4))
        if kind == 0:
            return Call(rpc, "gRPC", raw=draw(st.binary(max_size=60)))
        if kind == 1:
            message = draw(self._values.request(rpc))
            tame(rpc.name, message)
            data = message.SerializeToString()
            return Call(rpc, "gRPC", raw=data[: draw(st.integers(0, min(len(data), 2**15)))] + draw(_TAILS))
        if kind == 2:
            message = draw(self._values.request(rpc))
            tame(rpc.name, message)
            data = as_json(message)
            return Call(rpc, "HTTP", raw=data[: draw(st.integers(0, min(len(data), 2**15)))])
        kinds = ("", "application/json", "text/plain", "application/proto", "application/connect+json; x=y", "\xe4")
        body, content_type = draw(st.sampled_from(BODIES)), draw(st.sampled_from(kinds))
        return Call(rpc, "HTTP", raw=body, content_type=content_type, envelope=draw(st.booleans()))

    def _send(self, call: Call) -> Outcome:
        if call.transport == "gRPC":
            data = call.raw if call.message is None else call.message.SerializeToString()
            return self._transports.grpc(call.rpc, data)
        if call.message is not None:
            return self._transports.http(call.rpc, as_json(call.message))
        envelope = None if call.envelope else call.raw
        return self._transports.http(call.rpc, call.raw, envelope=envelope, content_type=call.content_type)

    # -- looking ------------------------------------------------------------------------------------------------------

    def _step(self, call: Call) -> None:
        found = self.findings
        outcome = self._send(call)
        found.calls += 1
        found.accepted += outcome.is_accepted
        found.codes[outcome.code] += 1
        found.rpcs[call.rpc.name] += 1
        # The log is read in any case: what this call left there must not be taken for the next one's.
        logged = self._logged()
        fault = outcome.fault or self._dead(call, outcome) or logged
        service = call.rpc.name.partition("/")[0]
        stopping = call.rpc.name == "AdminService/Shutdown" and outcome.is_accepted
        if not fault and call.rpc.is_write and outcome.is_accepted and not stopping:
            fault = self._first(self._listings.faults(self._transports, service)) or self._logged()
        if fault:
            self._note(call, fault)
        self._afterwards(call, outcome)
        if not fault and found.calls % _ALL_LISTINGS_EVERY == 0:
            fault = self._first(self._listings.faults(self._transports)) or self._logged()
            if fault:
                self._note(call, f"(seen later) {fault}")
        if found.calls % _NEW_WORLD_EVERY == 0 or fault:
            self._new_world()

    @staticmethod
    def _first(faults: list[str]) -> str:
        return faults[0] if faults else ""

    def _dead(self, call: Call, outcome: Outcome) -> str:
        if outcome.code != "UNAVAILABLE" or call.rpc.name == "AdminService/Shutdown":
            return ""
        if self._emulator.is_running:
            return "" if outcome.message and "Connect" not in outcome.message else f"no answer: {outcome.message}"
        return f"the emulator ended: {self._emulator.log()[-1500:]}"

    def _logged(self) -> str:
        """What went wrong inside since the last look, by the log."""
        text = self._log.read().decode("utf-8", "replace")
        if not _BAD_LINES.search(text):
            return ""
        return f"in the log: {text[-3000:]}"

    def _afterwards(self, call: Call, outcome: Outcome) -> None:
        """Makes the world good for the next call."""
        if not self._emulator.is_running or (call.rpc.name == "AdminService/Shutdown" and outcome.is_accepted):
            if self._emulator.is_running:
                self._emulator.wait_for_end()
            self._start()
            self._world.build(self._transports)
        elif outcome.is_accepted and call.rpc.name == "FaultService/AddFault":
            self._world.call(self._transports, "FaultService/ClearFaults")
        elif outcome.is_accepted and _CHANGES_WORLD.match(call.rpc.name):
            self._world.build(self._transports)

    def _note(self, call: Call, fault: str) -> None:
        kind = _kind(call, fault)
        if kind in self.findings.faults:
            return
        self.findings.faults[kind] = ""
        if call.message is not None and call.rpc.name not in _HEAVY and self._emulator.is_running:

            def shows(message: Any) -> bool:
                tame(call.rpc.name, message)
                again = Call(call.rpc, call.transport, message)
                self._new_world()
                self._logged()
                outcome = self._send(again)
                seen = outcome.fault or self._dead(again, outcome) or self._logged()
                if not seen and outcome.is_accepted and call.rpc.is_write:
                    seen = self._first(self._listings.faults(self._transports)) or self._logged()
                if not self._emulator.is_running:
                    self._start()
                else:
                    self._afterwards(again, outcome)
                return bool(seen) and _kind(again, seen) == kind

            call = Call(call.rpc, call.transport, smaller(call.message, shows))
        self.findings.faults[kind] = f"{call.told()}\n    -> {fault}"
        self._say(f"FAULT {len(self.findings.faults)}: {self.findings.faults[kind]}")


_TAILS = st.sampled_from(
    (b"", b"\xff", b"\xba\x3e\x01A", b"\x0b" * 200, b"\x0a\x02\xff\xfe", b"\x0a\xff\xff\xff\xff\x7f")
)


def _kind(call: Call, fault: str) -> str:
    """What is the same about two faults: the rpc, and the error without what differs from call to call."""
    lines = [line for line in fault.splitlines() if line.strip()]
    last = lines[-1] if fault.startswith("in the log") else lines[0]
    return f"{call.rpc.name} {re.sub(r'[0-9a-f]{6,}|[0-9]+', '#', last)[:120]}"


def tame(name: str, request: Any) -> None:
    """Changes what would keep the machine busy for nothing, or make the emulator fail because it was asked to."""
    if name == "RunService/SubmitRun":
        definition = request.definition
        if definition.target != NEVER:
            definition.environment.python.user_managed_dependencies = True
        if 5 < definition.sweep.max_total_runs <= 10_000:
            definition.sweep.max_total_runs = 5
    elif name == "FaultService/AddFault":
        target = request.fault.target
        if request.fault.kind == "crash":
            request.fault.effect.point = "no-such-point"
        for part, _ in target.ListFields():
            setattr(target, part.name, f"no-such-{getattr(target, part.name)}")
