"""Runs that the client performs itself: metrics, tags, properties, files, children, an end."""

from __future__ import annotations

import json
import time

from campaigns.calls import Lost, Message
from campaigns.kills.scene import EXPERIMENT
from campaigns.kills.working import Work, digest


class OwnRunWork(Work):
    """Interactive runs. What they are to be at the end is kept as ``("own-run", run id)`` and so on."""

    def one_run(self) -> None:
        """A run with all that belongs to it; some are left running."""
        run_id = self._begin("")
        if run_id is None:
            return
        for _ in range(self.random.randint(2, 6)):
            self.random.choice((self._log, self._log, self._tag, self._property, self._upload, self._child))(run_id)
        self._end(run_id)

    def _begin(self, parent: str) -> str | None:
        run_id = f"own_{int(time.time())}_{self.random.getrandbits(64):016x}"
        request = {"parent": EXPERIMENT, "runId": run_id, "parentRunId": parent, "requestId": self.new_id()}
        begun = False
        with self.ledger.change(("own-run", run_id), {"state": "Running", "parent": parent}):
            self.caller.call("RunService", "CreateRun", request, once=self.gives_up())
            begun = True
        return run_id if begun else None

    def _log(self, run_id: str) -> None:
        writer, name = f"{run_id}-{self.number}-{self.random.getrandbits(32):08x}", f"m{self.random.randint(0, 1)}"
        for batch in range(1, self.random.randint(2, 4)):
            first = self.random.getrandbits(30)
            values = list(range(first, first + self.random.randint(1, 20)))
            series = {
                "name": name,
                "type": "METRIC_TYPE_SCALAR",
                "valuesJson": [json.dumps(value) for value in values],
                "timesMicros": [str(int(time.time() * 1e6))] * len(values),
            }
            request: Message = {"parent": self._name(run_id), "series": [series], "writerId": writer}
            request["batchNumber"] = str(batch)
            try:
                self.caller.call("MetricService", "LogMetrics", request, once=self.gives_up())
            except Lost:
                self.ledger.count("lost")
                self.ledger.log(run_id, name, values, False)
                continue
            self.ledger.count("answered")
            self.ledger.log(run_id, name, values, True)

    def _tag(self, run_id: str) -> None:
        name, value = f"t{self.random.randint(0, 2)}", f"{self.random.getrandbits(50):x}"
        with self.ledger.change(("run-tag", run_id, name), value):
            self._update(run_id, {"setTags": {name: value}})
        if self.random.random() < 0.3:
            with self.ledger.change(("run-tag", run_id, name), None):
                self._update(run_id, {"removeTags": [name]})

    def _property(self, run_id: str) -> None:
        name, value = f"p{self.random.getrandbits(40):x}", f"{self.random.getrandbits(50):x}"
        with self.ledger.change(("run-property", run_id, name), value):
            self._update(run_id, {"addProperties": {name: value}})

    def _upload(self, run_id: str) -> None:
        path, data = f"outputs/f{self.random.getrandbits(40):x}.bin", self.data()
        self._put(run_id, path, data, overwrite=False)
        if self.random.random() < 0.3:
            self._put(run_id, path, self.data(), overwrite=True)

    def _put(self, run_id: str, path: str, data: bytes, *, overwrite: bool) -> None:
        request = {"parent": self._name(run_id), "paths": [path], "overwrite": overwrite}

        def ask() -> list[Message]:
            return list(self.caller.call("ArtifactService", "CreateArtifactUploadUrls", request).get("urls", ()))

        if not overwrite and self.ledger.values(("artifact", run_id, path)) != [None]:
            return
        with self.ledger.change(("artifact", run_id, path), digest(data)):
            self.upload(ask, {path: data})

    def _child(self, run_id: str) -> None:
        child = self._begin(run_id)
        if child is not None:
            self._log(child)
            self._end(child)

    def _end(self, run_id: str) -> None:
        how = self.random.choice(("CompleteRun", "CompleteRun", "FailRun", "CancelRun", ""))
        state = {"CompleteRun": "Completed", "FailRun": "Failed", "CancelRun": "Canceled"}.get(how)
        if state is None:
            return
        parent = self.ledger.values(("own-run", run_id))[-1]["parent"]
        request: Message = {"name": self._name(run_id)}
        if how == "FailRun":
            request["error"] = {"code": "CAMPAIGN", "message": "on purpose"}
        # Repeated after it was done it is refused: the run has ended.
        with self.ledger.change(
            ("own-run", run_id), {"state": state, "parent": parent}, ends_as=frozenset({"FAILED_PRECONDITION"})
        ):
            self.caller.call("RunService", how, request, once=self.gives_up())

    def _update(self, run_id: str, change: Message) -> None:
        self.caller.call("RunService", "UpdateRun", {"name": self._name(run_id), **change}, once=self.gives_up())

    def _name(self, run_id: str) -> str:
        return f"{EXPERIMENT}/runs/{run_id}"
