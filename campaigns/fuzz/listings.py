"""Whether every listing can be read: what one call put in must never be in the way of others."""

from __future__ import annotations

import json
from collections.abc import Iterable

from google.protobuf import json_format

from campaigns.fuzz.rpcs import Rpc
from campaigns.fuzz.transports import Outcome, Transports
from campaigns.fuzz.world import RUN, WORKSPACE

_WS = {"parent": WORKSPACE}
_RUNS = {"parent": f"{WORKSPACE}/experiments/-", "includeChildren": True}
# By the service that writes what they show.
_LISTINGS: dict[str, list[tuple[str, dict[str, object]]]] = {
    "WorkspaceService": [("WorkspaceService/ListWorkspaces", {})],
    "ExperimentService": [("ExperimentService/ListExperiments", {**_WS, "view": "EXPERIMENT_VIEW_ALL"})],
    "RunService": [
        ("RunService/ListRuns", dict(_RUNS)),
        ("ExperimentService/ListExperiments", dict(_WS)),
        ("RunService/ListRunLogs", {"name": RUN}),
        ("EventService/ListEvents", {}),
    ],
    "ComputeService": [
        ("ComputeService/ListComputeTargets", dict(_WS)),
        ("ComputeService/ListNodes", {"parent": f"{WORKSPACE}/computes/cpu"}),
        ("ComputeService/ListQuotas", dict(_WS)),
    ],
    "DatastoreService": [
        ("DatastoreService/ListDatastores", dict(_WS)),
        ("DatastoreService/ListDatastoreFiles", {"name": f"{WORKSPACE}/datastores/data"}),
    ],
    "DatasetService": [("DatasetService/ListDatasets", dict(_WS))],
    "EnvironmentService": [("EnvironmentService/ListEnvironments", {**_WS, "excludeCurated": True})],
    "ModelService": [
        ("ModelService/ListModels", dict(_WS)),
        ("ModelService/ListModels", {**_WS, "tags": {"a": "b"}, "framework": "x", "datasetId": "x"}),
    ],
    "SecretService": [("SecretService/ListSecrets", dict(_WS))],
    "ArtifactService": [("ArtifactService/ListArtifacts", {"parent": RUN})],
    "MetricService": [("MetricService/ListMetrics", {"parent": RUN})],
    "FaultService": [("FaultService/ListFaults", {})],
    "AdminService": [("AdminService/CountCalls", {})],
}


class Listings:
    """Asks for listings over both transports."""

    def __init__(self, rpcs: dict[str, Rpc]) -> None:
        self._rpcs = rpcs
        self.count = 0

    def faults(self, calls: Transports, service: str = "") -> list[str]:
        """What is wrong with the listings of a service; of all services when none is named."""
        wanted = [service] if service else list(_LISTINGS)
        return [fault for each in wanted for fault in self._of(calls, _LISTINGS.get(each, []))]

    def _of(self, calls: Transports, listings: Iterable[tuple[str, dict[str, object]]]) -> Iterable[str]:
        for name, values in listings:
            rpc = self._rpcs[name]
            request = json_format.ParseDict(values, rpc.request_class())
            for transport, outcome in (
                ("gRPC", calls.grpc(rpc, request.SerializeToString())),
                ("HTTP", calls.http(rpc, json.dumps(values).encode())),
            ):
                self.count += 1
                if (why := _wrong(outcome)) is not None:
                    yield f"{name} over {transport}: {why}"


def _wrong(outcome: Outcome) -> str | None:
    if outcome.fault:
        return outcome.fault
    # What the listing is about may have been removed.
    if outcome.code not in ("OK", "NOT_FOUND"):
        return f"{outcome.code}: {outcome.message[:200]}"
    if outcome.answer is not None and len(getattr(outcome.answer, "unreadable", ())):
        return f"a record cannot be read: {outcome.answer.unreadable[0]}"
    return None
