"""Each run has one end, its files, its logs, its metrics, its tags and properties; the history agrees."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from campaigns.calls import Caller, Lost, Message, Refused
from campaigns.kills import job
from campaigns.kills.checks import Finding
from campaigns.kills.checks.records import compare
from campaigns.kills.ledger import Key
from campaigns.kills.scene import EXPERIMENT, Scene
from campaigns.kills.submits import TERMINAL
from campaigns.kills.working import digest

_BATCH = 500


class RunCheck:
    """Compares all runs of the campaign.

    Attributes:
        ends: how many runs ended how; runs that go on by their state.
    """

    def __init__(self, scene: Scene, caller: Caller) -> None:
        self._scene, self._caller, self._ledger = scene, caller, scene.ledger
        self.ends: Counter[str] = Counter()
        self.files = self.lines = self.values = 0

    def findings(self) -> Iterator[Finding]:
        """All of them."""
        request = {"parent": EXPERIMENT, "includeChildren": True}
        runs = {run["runId"]: run for run in self._caller.pages("RunService", "ListRuns", request, "runs")}
        children: dict[str, list[Message]] = {}
        for run in runs.values():
            children.setdefault(run.get("parentRunId", ""), []).append(run)
        submitted = {key[1]: values for key, values in self._ledger.possible("submit").items()}
        own = {key[1]: values for key, values in self._ledger.possible("own-run").items()}
        for run_id, values in submitted.items():
            if run_id in runs:
                facts = next(value for value in values if value is not None)
                yield from self._submitted(runs[run_id], facts, children.get(run_id, []))
            elif None not in values:
                yield Finding("lost", f"{run_id}: its submit was answered, and there is no such run")
        for run_id, run in runs.items():
            if run_id not in submitted and run_id not in own and run.get("parentRunId") not in submitted:
                yield Finding("unexpected", f"{run_id} is there, and nobody asked for it")
        yield from self._own_runs(runs)
        yield from self._events(runs)

    # -- runs with processes ------------------------------------------------------------------------------------------

    def _submitted(self, run: Message, facts: Message, children: list[Message]) -> Iterator[Finding]:
        run_id, state = run["runId"], _state(run)
        self.ends[state] += 1
        ends = self._ledger.possible("end").get(("end", run_id), [facts["end"]])
        story = "; ".join(f"{each['state'][10:]} ({each.get('cause', '')})" for each in run["stateChanges"])
        if state not in TERMINAL.values():
            yield Finding("stuck", f"{run_id} ({facts['kind']}) is still {state}. Its story: {story}")
            return
        if state not in ends:
            error = run.get("error", {})
            yield Finding("wrong", f"{run_id} ({facts['kind']}) is {state}, not {ends}: {error}. Its story: {story}")
        for seen in self._ledger.possible("seen").get(("seen", run_id), []):
            if seen != state:
                yield Finding("wrong", f"{run_id} was {seen} and is {state} now. Its story: {story}")
        terminal = [change for change in run["stateChanges"] if change["state"] in TERMINAL]
        if len(terminal) != 1 or run["stateChanges"][-1] is not terminal[0]:
            yield Finding("wrong", f"{run_id} has {len(terminal)} ends. Its story: {story}")
        for name, value in facts["tags"].items():
            if run.get("tags", {}).get(name) != value:
                yield Finding("lost", f"{run_id}: tag {name!r} is {run.get('tags', {}).get(name)!r}, not {value!r}")
        if run.get("properties", {}).get("nonce") != run_id:
            yield Finding("lost", f"{run_id}: a property of the submit is not there: {run.get('properties')}")
        if facts["kind"] == "sweep":
            yield from self._sweep(run, state, facts, children)
            return
        yield from self._left(run, state, facts, ends)
        completed = [child for child in children if child["state"] == "RUN_STATE_COMPLETED"]
        wanted = facts["plan"].get("children", 0)
        if state == "Completed" and len(completed) < wanted:
            yield Finding("lost", f"{run_id} made {wanted} children, and {len(completed)} are Completed")
        for child in children:
            if child["state"] not in TERMINAL:
                yield Finding("stuck", f"{child['runId']}, child of {run_id} ({state}), is still {child['state']}")

    def _sweep(self, run: Message, state: str, facts: Message, children: list[Message]) -> Iterator[Finding]:
        if state == "Completed" and len(children) != 3:
            yield Finding("wrong", f"{run['runId']}: the sweep is Completed with {len(children)} children, not 3")
        for child in children:
            child_facts = {**facts, "kind": "child of a sweep", "end": "Completed", "tags": {}}
            end = _state(child)
            if end not in TERMINAL.values():
                yield Finding("stuck", f"{child['runId']}, child of {run['runId']} ({state}), is still {end}")
            elif state == "Completed" and end != "Completed":
                yield Finding("wrong", f"{child['runId']}, child of {run['runId']}, is {end}: {child.get('error')}")
            else:
                yield from self._left(child, end, child_facts, [end])

    def _left(self, run: Message, state: str, facts: Message, ends: list[str]) -> Iterator[Finding]:
        """What its processes left: files, logs, metrics."""
        run_id, plan = run["runId"], facts["plan"]
        states = [change["state"] for change in run["stateChanges"]]
        starts = states.count("RUN_STATE_STARTING")
        # Cancelled before the start of its processes was noted: what they had begun went with its folder.
        is_begun = starts == 1 and "RUN_STATE_RUNNING" in states
        notes = self._notes(run_id)
        try:
            artifacts = self._artifacts(run_id)
        except (Refused, Lost) as error:
            yield Finding("damaged", f"{run_id} ({state}): its files cannot be read: {error}")
            return
        self.files += len(artifacts)
        natural_end = state == facts["end"] and state != "Canceled"
        where = f"{run_id} ({facts['kind']}, {state}, started {starts} times)"
        for rank in range(facts["ranks"]):
            paths = job.files(plan, rank)
            noted = notes.get(rank)
            if natural_end:
                if noted is not None and noted.keys() != set(paths):
                    yield Finding("wrong", f"{where}: rank {rank} noted {len(noted)} files of {len(paths)}")
                wanted = {path: digest(job.content(run_id, path)) for path in paths}
            else:
                wanted = noted or {}
            lost = [path for path in wanted if path not in artifacts]
            if lost and (natural_end or is_begun):
                yield Finding("lost", f"{where}: {len(lost)} of {len(wanted)} files: {', '.join(lost[:5])}")
            changed = [path for path in wanted if path in artifacts and artifacts[path] != wanted[path]]
            if changed and natural_end:
                yield Finding("wrong", f"{where}: {len(changed)} files have other bytes: {', '.join(changed[:5])}")
            yield from self._log(where, run_id, facts, rank, natural_end)
            if plan.get("metrics") and natural_end:
                yield from self._metrics(where, run_id, plan["metrics"], rank, starts)

    def _log(self, where: str, run_id: str, facts: Message, rank: int, natural_end: bool) -> Iterator[Finding]:
        name = "azureml-logs/80_driver_log" + (f"_rank_{rank}" if facts["ranks"] > 1 else "") + ".txt"
        try:
            text = self._file(run_id, name).decode("utf-8", "replace")
        except (Refused, Lost) as error:
            if natural_end:
                yield Finding("lost", f"{where}: {name}: {error}")
            return
        printed = [line for line in text.splitlines() if line.startswith("line ")]
        wanted = job.lines(run_id, facts["plan"], rank)
        self.lines += len(printed)
        if natural_end and printed != wanted:
            yield Finding("lost", f"{where}: {name} has {len(printed)} lines of {len(wanted)}, or in another order")
        elif printed != wanted[: len(printed)] and printed[:-1] != wanted[: len(printed) - 1]:
            yield Finding("wrong", f"{where}: {name} does not begin as the job's output did")

    def _metrics(self, where: str, run_id: str, count: int, rank: int, starts: int) -> Iterator[Finding]:
        found = self._values(run_id).get(job.metric(rank), [])
        self.values += len(found)
        wanted = list(range(count))
        # Processes that were ended because nobody had noted their start may have logged before.
        if found != wanted if starts <= 1 else found[-count:] != wanted:
            yield Finding("lost", f"{where}: metric {job.metric(rank)} is {_short(found)}, not 0..{count - 1}")

    def _notes(self, run_id: str) -> dict[int, dict[str, str]]:
        """By rank: the digests that the last start of the job has noted."""
        folder: Path | None = self._scene.notes
        starts: dict[int, list[tuple[float, dict[str, str]]]] = {}
        for path in folder.glob(f"{run_id}.*.jsonl") if folder is not None else ():
            lines = [json.loads(line) for line in path.read_text("utf-8").splitlines() if line.endswith("}")]
            if lines:
                files = {line["file"]: line["sha256"] for line in lines if "file" in line}
                starts.setdefault(lines[0]["rank"], []).append((lines[0]["start"], files))
        return {rank: max(each, key=lambda start: start[0])[1] for rank, each in starts.items()}

    # -- runs of the clients ------------------------------------------------------------------------------------------

    def _own_runs(self, runs: Mapping[str, Message]) -> Iterator[Finding]:
        found: dict[Key, Any] = {}
        tags: dict[Key, Any] = {}
        properties: dict[Key, Any] = {}
        artifacts: dict[Key, Any] = {}
        values: dict[Key, list[int]] = {}
        mine = self._ledger.possible("own-run")
        for key in mine:
            run_id = key[1]
            run = runs.get(run_id)
            if run is None:
                continue
            state = "Running" if run["state"] == "RUN_STATE_RUNNING" else _state(run)
            self.ends[f"own: {state}"] += 1
            found[key] = {"state": state, "parent": run.get("parentRunId", "")}
            tags.update({("run-tag", run_id, name): value for name, value in run.get("tags", {}).items()})
            for name, value in run.get("properties", {}).items():
                if name.startswith("p"):
                    properties["run-property", run_id, name] = value
            try:
                artifacts.update({("artifact", run_id, path): sha for path, sha in self._artifacts(run_id).items()})
            except (Refused, Lost) as error:
                yield Finding("damaged", f"{run_id}: its files cannot be read: {error}")
            values.update({(run_id, name): series for name, series in self._values(run_id).items()})
        self.files += len(artifacts)
        yield from compare(mine, found)
        yield from compare(self._ledger.possible("run-tag"), tags)
        yield from compare(self._ledger.possible("run-property"), properties)
        yield from compare(self._ledger.possible("artifact"), artifacts)
        for series, wanted in self._ledger.metrics().items():
            self.values += len(values.get(series, []))
            if not fits(values.get(series, []), wanted):
                shown = _short(values.get(series, []))
                yield Finding("lost", f"metric {series}: {shown} does not fit to what was sent: {_short(wanted)}")

    # -- history ------------------------------------------------------------------------------------------------------

    def _events(self, runs: Mapping[str, Message]) -> Iterator[Finding]:
        events, after = [], 0
        while True:
            request = {"filter": {"kind": "run"}, "after": str(after)}
            page = self._caller.call("localaml.admin.v1.EventService", "ListEvents", request).get("events", [])
            if not page:
                break
            events += page
            after = int(page[-1]["sequence"])
        last: dict[str, str] = {}
        for event in events:
            run_id, old = event["runId"], event.get("oldState", "")
            if run_id in last and last[run_id] != old:
                yield Finding("wrong", f"event {event['sequence']}: {run_id} leaves {old!r}, and was {last[run_id]!r}")
            if last.get(run_id) in TERMINAL.values():
                yield Finding("wrong", f"event {event['sequence']}: {run_id} was {last[run_id]} and goes on")
            last[run_id] = event["newState"]
        for run_id, state in last.items():
            if run_id in runs and TERMINAL.get(runs[run_id]["state"], state) != state:
                yield Finding("wrong", f"{run_id} is {runs[run_id]['state']}, and the history's last word is {state}")

    # -- reading ------------------------------------------------------------------------------------------------------

    def _artifacts(self, run_id: str) -> dict[str, str]:
        """Path and digest of what the run has below `outputs` and `logs`, by download."""
        parent = f"{EXPERIMENT}/runs/{run_id}"
        listed = self._caller.pages("ArtifactService", "ListArtifacts", {"parent": parent}, "artifacts")
        sizes = {each["path"]: int(each.get("sizeBytes", 0)) for each in listed}
        paths = [path for path in sizes if path.startswith(("outputs/", "logs/"))]
        found = {}
        for begin in range(0, len(paths), _BATCH):
            request = {"parent": parent, "paths": paths[begin : begin + _BATCH]}
            for url in self._caller.call("ArtifactService", "CreateArtifactDownloadUrls", request)["urls"]:
                try:
                    data = self._caller.get(url["url"])
                except Refused as error:
                    if error.reason == "ARTIFACT_CHANGED":
                        found[url["path"]] = error.reason
                    continue  # else listed, and lost
                is_right = len(data) == sizes[url["path"]]
                found[url["path"]] = digest(data) if is_right else f"{len(data)} bytes, not {sizes[url['path']]}"
        return found

    def _file(self, run_id: str, path: str) -> bytes:
        request = {"parent": f"{EXPERIMENT}/runs/{run_id}", "paths": [path]}
        answer = self._caller.call("ArtifactService", "CreateArtifactDownloadUrls", request)
        return self._caller.get(answer["urls"][0]["url"])

    def _values(self, run_id: str) -> dict[str, list[int]]:
        found: dict[str, list[int]] = {}
        request = {"parent": f"{EXPERIMENT}/runs/{run_id}"}
        for series in self._caller.pages("MetricService", "ListMetrics", request, "series"):
            found.setdefault(series["name"], []).extend(json.loads(value) for value in series["valuesJson"])
        return found


def fits(found: list[int], wanted: list[tuple[int, bool]]) -> bool:
    """Whether all answered values are there in their order, and besides them only those whose answer was lost."""
    position = 0
    for value, answered in wanted:
        if position < len(found) and found[position] == value:
            position += 1
        elif answered:
            return False
    return position == len(found)


def _state(run: Message) -> str:
    """The word of a terminal state; that of the protocol for all others."""
    state = str(run["state"])
    return TERMINAL.get(state, state)


def _short(values: list[Any]) -> str:
    text = str(values)
    return text if len(text) < 200 else f"{text[:100]} ... {text[-60:]} ({len(values)})"
