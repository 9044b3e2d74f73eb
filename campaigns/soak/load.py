"""Clients that keep an emulator busy: small runs, runs of their own, followers that come and go."""

from __future__ import annotations

import json
import random
import threading
import time
import traceback
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from azureml._localaml.errors import ConnectionFailed, ServiceError
from campaigns.calls import Caller, Message

if TYPE_CHECKING:
    from campaigns.emulator import EmulatorProcess

WORKSPACE = "subscriptions/campaign/resourceGroups/soak/workspaces/soak"
EXPERIMENT = f"{WORKSPACE}/experiments/soaked"
_PRINTS = "for n in 1 2 3 4 5 6 7 8 9; do echo line $n; done; mkdir -p outputs; echo result > outputs/result.txt"
_LOGS = "from azureml.core import Run; r = Run.get_context(); [r.log('value', n) for n in range(20)]; print('done')"
_ENDED = ("RUN_STATE_COMPLETED", "RUN_STATE_FAILED", "RUN_STATE_CANCELED")


@dataclass
class Load:
    """What all clients share.

    Attributes:
        python: interpreter of the runs that log metrics.
        submits: seconds that submits took, taken out by whoever measures.
        troubles: what went wrong; nothing may.
    """

    emulator: EmulatorProcess
    python: str
    seed: int = 1
    ended: threading.Event = field(default_factory=threading.Event)
    submits: deque[float] = field(default_factory=deque)
    troubles: list[str] = field(default_factory=list)
    completed: int = 0
    follows: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def prepare(self, caller: Caller, most_nodes: int) -> None:
        """Makes the workspace and its cluster."""
        parent, _, name = WORKSPACE.rpartition("/workspaces/")
        caller.call("WorkspaceService", "CreateWorkspace", {"parent": parent, "workspaceName": name})
        scale = {"minNodeCount": 0, "maxNodeCount": most_nodes, "idleSecondsBeforeScaledown": 5}
        target = {"vmSize": "STANDARD_D2_V2", "scaleSettings": scale}
        request = {"parent": WORKSPACE, "computeTargetName": "nodes", "computeTarget": target}
        caller.call("ComputeService", "CreateComputeTarget", request)

    def start(self, clients: int) -> list[threading.Thread]:
        """Starts the clients."""
        threads: list[threading.Thread] = [SoakClient(self, number) for number in range(clients)]
        for thread in threads:
            thread.start()
        return threads


class SoakClient(threading.Thread):
    """One client: submits, follows the run in one of several ways, and begins again."""

    def __init__(self, load: Load, number: int) -> None:
        super().__init__(name=f"client {number}", daemon=True)
        self._load = load
        self._random = random.Random(f"{load.seed}/soak/{number}")
        self._caller = Caller(load.emulator, "http" if number % 2 else "grpc")

    def run(self) -> None:
        """Works until it is over."""
        while not self._load.ended.is_set():
            try:
                self._random.choice((self._submitted, self._submitted, self._submitted, self._own))()
            except Exception:
                self._load.troubles.append(f"{self.name}: {traceback.format_exc()}")
                self._load.ended.wait(0.5)
        self._caller.close()

    def _submitted(self) -> None:
        logs = self._random.random() < 0.25
        command = [self._load.python, "-c", _LOGS] if logs else ["sh", "-c", _PRINTS]
        environment = {"python": {"userManagedDependencies": True, "interpreterPath": self._load.python}}
        definition = {"command": command, "target": "nodes", "nodeCount": 1, "environment": environment}
        request = {"parent": EXPERIMENT, "definition": definition, "tags": {"client": self.name}}
        began = time.monotonic()
        run = self._caller.call("RunService", "SubmitRun", request)
        self._load.submits.append(time.monotonic() - began)
        name = run["name"]
        self._random.choice((self._watch, self._watch, self._read_log, self._glance))(name)
        state = self._wait(name)
        if state != "RUN_STATE_COMPLETED":
            self._load.troubles.append(f"{name} is {state}")
        self._caller.call("ArtifactService", "ListArtifacts", {"parent": name})
        with self._load.lock:
            self._load.completed += 1

    def _own(self) -> None:
        name = self._caller.call("RunService", "CreateRun", {"parent": EXPERIMENT})["name"]
        values = [json.dumps(self._random.random()) for _ in range(50)]
        series: dict[str, Any] = {"name": "value", "type": "METRIC_TYPE_SCALAR", "valuesJson": values}
        series["timesMicros"] = ["1"] * len(values)
        request = {"parent": name, "series": [series], "writerId": name, "batchNumber": "1"}
        self._caller.call("MetricService", "LogMetrics", request)
        self._caller.call("RunService", "UpdateRun", {"name": name, "setTags": {"a": "b"}})
        paths = {"parent": name, "paths": ["outputs/file.bin"]}
        for url in self._caller.call("ArtifactService", "CreateArtifactUploadUrls", paths)["urls"]:
            self._caller.put(url["url"], self._random.randbytes(2000))
        self._caller.call("RunService", "CompleteRun", {"name": name})
        with self._load.lock:
            self._load.completed += 1

    # -- following ----------------------------------------------------------------------------------------------------

    def _watch(self, name: str) -> None:
        """To the end, or goes away after one message."""
        self._follow("WatchRun", {"name": name}, only=self._random.choice((0, 0, 1)))

    def _read_log(self, name: str) -> None:
        request = {"name": name, "logName": "azureml-logs/80_driver_log.txt", "follow": True}
        self._follow("ReadRunLog", request, only=self._random.choice((0, 0, 1)))

    def _glance(self, name: str) -> None:
        self._caller.call("RunService", "GetRun", {"name": name})

    def _follow(self, method: str, request: Message, only: int) -> None:
        try:
            with self._caller.stream("RunService", method, request) as messages:
                for count, _ in enumerate(messages, 1):
                    if count == only or self._load.ended.is_set():
                        break
        except ServiceError as error:
            # A log that is not there yet.
            if error.grpc_code not in ("NOT_FOUND", "FAILED_PRECONDITION"):
                raise
        except ConnectionFailed as error:
            self._load.troubles.append(f"{method}: {error}")
        with self._load.lock:
            self._load.follows += 1

    def _wait(self, name: str) -> str:
        state = ""
        with self._caller.stream("RunService", "WatchRun", {"name": name}) as messages:
            for message in messages:
                state = str(message["state"])
                if state in _ENDED:
                    break
        return state
