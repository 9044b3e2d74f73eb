"""Secrets, quotas, clusters, datastores, files, models, datasets, environments, tags, workspaces: each has a possible
value, and nothing else is there."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from campaigns.calls import Caller, Lost, Message, Refused
from campaigns.kills.checks import Finding
from campaigns.kills.ledger import Key, Ledger
from campaigns.kills.scene import DATASTORE, EXPERIMENT, GROUP, PAIRS, SINGLE, WORKSPACE
from campaigns.kills.working import digest

_BATCH = 500


def check_records(caller: Caller, ledger: Ledger) -> Iterator[Finding]:
    """Compares all kinds. What belongs to runs is in `runs`."""
    readers: Mapping[str, Callable[[Caller], dict[Key, Any]]] = {
        "secret": _secrets,
        "quota": _quotas,
        "cluster": _clusters,
        "datastore": _datastores,
        "file": _files,
        "model": _models,
        "dataset": _datasets,
        "environment": _environments,
        "experiment-tag": _experiment_tags,
        "workspace": _workspaces,
    }
    for kind, read in readers.items():
        try:
            found = read(caller)
        except (Refused, Lost) as error:
            yield Finding("damaged", f"{kind}: cannot be read: {error}")
            continue
        yield from compare(ledger.possible(kind), found)


def compare(possible: Mapping[Key, list[Any]], found: Mapping[Key, Any]) -> Iterator[Finding]:
    """Findings for each key whose value is none of the possible ones, and for keys that nobody wrote."""
    for key, values in possible.items():
        value = found.get(key)
        if value not in values:
            kind = "lost" if value is None else "wrong"
            yield Finding(kind, f"{key} is {value!r}; possible: {values!r}")
    for key in found.keys() - possible.keys():
        yield Finding("unexpected", f"{key} is there ({found[key]!r}), and nobody asked for it")


def _secrets(caller: Caller) -> dict[Key, Any]:
    found: dict[Key, Any] = {}
    for secret in caller.pages("SecretService", "ListSecrets", {"parent": WORKSPACE}, "secrets"):
        value = caller.call("SecretService", "GetSecret", {"name": secret["name"]}).get("value", "")
        found["secret", _short(secret)] = value
    return found


def _quotas(caller: Caller) -> dict[Key, Any]:
    answer = caller.call("ComputeService", "ListQuotas", {"parent": WORKSPACE})
    limits: dict[Key, Any] = {("quota", quota["vmFamily"]): quota.get("coreLimit", 0) for quota in answer["quotas"]}
    # That of all others is the default.
    return {key: limit for key, limit in limits.items() if limit != 10_000}


def _clusters(caller: Caller) -> dict[Key, Any]:
    found: dict[Key, Any] = {}
    for cluster in caller.pages("ComputeService", "ListComputeTargets", {"parent": WORKSPACE}, "computeTargets"):
        if _short(cluster) not in (SINGLE, PAIRS):
            scale = cluster.get("scaleSettings", {})
            fields = ("minNodeCount", "maxNodeCount", "idleSecondsBeforeScaledown")
            found["cluster", _short(cluster)] = [scale.get(name, 0) for name in fields]
    return found


def _datastores(caller: Caller) -> dict[Key, Any]:
    listed = caller.pages("DatastoreService", "ListDatastores", {"parent": WORKSPACE}, "datastores")
    made = [each for each in listed if not _short(each).startswith("workspace")]
    return {("datastore", _short(each)): each["containerName"] for each in made}


def _files(caller: Caller) -> dict[Key, Any]:
    request = {"name": DATASTORE, "prefix": "data/"}
    paths = [file["path"] for file in caller.pages("DatastoreService", "ListDatastoreFiles", request, "files")]
    found: dict[Key, Any] = {}
    for begin in range(0, len(paths), _BATCH):
        wanted = {"name": DATASTORE, "paths": paths[begin : begin + _BATCH]}
        answer = caller.call("DatastoreService", "CreateDatastoreDownloadUrls", wanted)
        found.update({("file", url["path"]): digest(caller.get(url["url"])) for url in answer["urls"]})
    return found


def _models(caller: Caller) -> dict[Key, Any]:
    found: dict[Key, Any] = {}
    versions: set[tuple[str, str]] = set()
    for model in caller.pages("ModelService", "ListModels", {"parent": WORKSPACE}, "models"):
        name, nonce = _short(model), model["properties"]["nonce"]
        key = ("model", name[1:].partition("-")[0], nonce)
        which = {"name": model["name"], "version": model["version"]}
        files = {
            url["path"]: digest(caller.get(url["url"]))
            for url in caller.pages("ModelService", "CreateModelDownloadUrls", which, "urls")
        }
        facts = {"name": name, "files": files, "colour": model["tags"]["colour"]}
        again = key in found or (name, model["version"]) in versions
        versions.add((name, model["version"]))
        found[key] = {"registered twice": [found.get(key), facts]} if again else facts
    return found


def _datasets(caller: Caller) -> dict[Key, Any]:
    found: dict[Key, Any] = {}
    for dataset in caller.pages("DatasetService", "ListDatasets", {"parent": WORKSPACE}, "datasets"):
        key = ("dataset", dataset["tags"]["nonce"])
        facts = {"name": dataset["name"], "path": dataset["definition"]["sources"][0]["path"]}
        found[key] = {"registered twice": facts} if key in found else facts
    return found


def _environments(caller: Caller) -> dict[Key, Any]:
    request = {"parent": WORKSPACE, "latestOnly": True, "excludeCurated": True}
    return {
        ("environment", _short(each)): each["definition"]["environmentVariables"]["NONCE"]
        for each in caller.pages("EnvironmentService", "ListEnvironments", request, "environments")
    }


def _experiment_tags(caller: Caller) -> dict[Key, Any]:
    tags = caller.call("ExperimentService", "GetExperiment", {"name": EXPERIMENT}).get("tags", {})
    return {("experiment-tag", name): value for name, value in tags.items()}


def _workspaces(caller: Caller) -> dict[Key, Any]:
    listed = caller.pages("WorkspaceService", "ListWorkspaces", {"parent": GROUP}, "workspaces")
    return {("workspace", _short(each)): _short(each) for each in listed if each["name"] != WORKSPACE}


def _short(message: Message) -> str:
    return str(message["name"]).rpartition("/")[2]
