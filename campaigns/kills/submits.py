"""Submitting runs, following and cancelling them."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from campaigns.calls import Message, Refused
from campaigns.kills.scene import EXPERIMENT, PAIRS
from campaigns.kills.working import Work

TERMINAL = {"RUN_STATE_COMPLETED": "Completed", "RUN_STATE_FAILED": "Failed", "RUN_STATE_CANCELED": "Canceled"}
_MOST_OPEN = 2
_MOST_WAIT_SECONDS = 20.0
# Kind of run and how often it comes.
_KINDS = {"files": 30, "lines": 15, "metrics": 20, "pair": 8, "sweep": 3, "children": 5, "fails": 8, "waits": 14}


@dataclass
class Submitted:
    """A run that this client has submitted and not yet seen to have ended."""

    run_id: str
    kind: str
    cancel_at: float | None = None
    is_canceled: bool = field(default=False)


class SubmitWork(Work):
    """Runs with processes of their own."""

    _open: list[Submitted]

    def submit(self, kind: str = "") -> None:
        """Submits a run, unless enough of them go on.

        Args:
            kind: one of `_KINDS`; empty: by chance.
        """
        if not hasattr(self, "_open"):
            self._open = []
        if len(self._open) >= _MOST_OPEN:
            return
        kind = kind or self.random.choices(list(_KINDS), list(_KINDS.values()))[0]
        plan = self._plan(kind)
        run_id = f"killed_{int(time.time())}_{self.random.getrandbits(64):016x}"
        definition = self._definition(kind, plan)
        tags = {"client": str(self.number), "text": f"ä{self.random.getrandbits(40)}"}
        properties = {"nonce": run_id}
        request = {
            "parent": EXPERIMENT,
            "runId": run_id,
            "definition": definition,
            "snapshotId": self.scene.snapshot_id,
            "tags": tags,
            "properties": properties,
            "runType": "hyperdrive" if kind == "sweep" else "azureml.scriptrun",
            "requestId": self.new_id(),
        }
        natural = "Failed" if kind == "fails" else "Completed"
        facts = {"kind": kind, "plan": plan, "ranks": 2 if kind == "pair" else 1, "tags": tags, "end": natural}
        once = self.gives_up()
        with self.ledger.change(("submit", run_id), facts):
            self.caller.call("RunService", "SubmitRun", request, once=once)
            due = time.monotonic() + self.random.choice((0.0, 0.3, 1.0, 3.0)) * self.random.random()
            cancels = kind == "waits" or self.random.random() < 0.05
            self._open.append(Submitted(run_id, kind, due if cancels else None))

    def look(self) -> None:
        """Looks at the runs that go on; cancels those that are due."""
        for run in list(getattr(self, "_open", ())):
            if run.cancel_at is not None and time.monotonic() > run.cancel_at and not run.is_canceled:
                run.is_canceled = True
                self._cancel(run)
        if self.random.random() < 0.5:
            self._look_at_ends()

    def cancel_all(self) -> None:
        """Cancels what waits for that."""
        for run in list(getattr(self, "_open", ())):
            if run.cancel_at is not None and not run.is_canceled:
                run.is_canceled = True
                self._cancel(run)

    def _look_at_ends(self) -> None:
        for run in list(getattr(self, "_open", ())):
            answer = self.caller.call("RunService", "GetRun", {"name": f"{EXPERIMENT}/runs/{run.run_id}"})
            self.ledger.count("answered")
            state = TERMINAL.get(answer["state"])
            if state is not None:
                self._open.remove(run)
                self.ledger.expect(("seen", run.run_id), [state])

    def _cancel(self, run: Submitted) -> None:
        natural = "Failed" if run.kind == "fails" else "Completed"
        key = ("end", run.run_id)
        self.ledger.expect(key, [natural, "Canceled"])
        try:
            answer = self.caller.call(
                "RunService", "CancelRun", {"name": f"{EXPERIMENT}/runs/{run.run_id}"}, once=self.gives_up()
            )
        except Refused as error:
            if error.code != "FAILED_PRECONDITION":
                raise
            self.ledger.count("refused")
            if not error.was_repeated:
                self.ledger.expect(key, [natural])
            return
        self.ledger.count("answered")
        state = answer["state"]
        if state == "RUN_STATE_FINALIZING":
            # Its work was done already.
            self.ledger.expect(key, [natural])
        elif state in ("RUN_STATE_CANCEL_REQUESTED", "RUN_STATE_CANCELED"):
            self.ledger.expect(key, ["Canceled"])
        elif run.kind != "sweep":
            self.ledger.surprise(f"cancel of {run.run_id} answered with {state}")

    def _definition(self, kind: str, plan: Message) -> Message:
        if kind == "pair":
            return self.scene.definition(plan, nodes=2, target=PAIRS)
        definition = self.scene.definition(plan)
        if kind == "sweep":
            definition["sweep"] = {
                "sampling": "RANDOM",
                "parameters": [{"name": "--x", "distribution": "choice", "argumentsJson": [str(n) for n in range(9)]}],
                "primaryMetricName": "values0",
                "primaryMetricGoal": "PRIMARY_METRIC_GOAL_MAXIMIZE",
                "maxTotalRuns": 3,
                "maxConcurrentRuns": 2,
                "maxDurationMinutes": 60,
            }
        return definition

    def _plan(self, kind: str) -> Message:
        few = self.random.randint
        plan: Message = {"outputs": few(0, 6), "logs": few(0, 3), "lines": few(1, 40)}
        if kind == "files":
            plan.update(outputs=few(15, 60), logs=few(0, 12))
        elif kind == "lines":
            plan.update(lines=few(200, 1500))
        elif kind in ("metrics", "sweep"):
            plan.update(metrics=few(1, 60))
        elif kind == "children":
            plan.update(children=few(1, 3))
        elif kind == "fails":
            plan.update(code=few(1, 100), metrics=few(0, 5))
        elif kind == "waits":
            plan.update(wait=_MOST_WAIT_SECONDS)
        if kind not in ("sweep", "pair"):
            plan["leaves"] = self.random.random() < 0.1
        return plan
