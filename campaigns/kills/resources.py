"""Everything else of a workspace: datastores and their files, models, datasets, environments, secrets, clusters,
quotas, tags, further workspaces."""

from __future__ import annotations

from collections.abc import Callable

from campaigns.calls import Lost, Message, Refused
from campaigns.kills.scene import DATASTORE, EXPERIMENT, GROUP, WORKSPACE, cluster_request
from campaigns.kills.working import Work, digest

# None of them is that of the clusters that runs go to.
_FAMILIES = (
    "standardDFamily",
    "standardDSv2Family",
    "standardDSv3Family",
    "standardESv3Family",
    "standardFSv2Family",
    "standardNCFamily",
    "standardNCSv2Family",
    "standardNVFamily",
)
_MOST_UPLOADS = 10
_GONE = frozenset({"NOT_FOUND"})


class ResourceWork(Work):
    """Writes resources, changes and removes them."""

    def work(self) -> list[tuple[Callable[[], None], int]]:
        """What it can do, and how often each is done."""
        return [
            (self.secret, 6),
            (self.quota, 4),
            (self.cluster, 6),
            (self.files, 10),
            (self.datastore, 4),
            (self.model, 8),
            (self.dataset, 6),
            (self.environment, 4),
            (self.experiment_tag, 4),
            (self.other_workspace, 2),
        ]

    def secret(self) -> None:
        """Sets or deletes one."""
        name = f"c{self.number}-secret{self.random.randint(0, 3)}"
        key = ("secret", name)
        if self.random.random() < 0.2:
            with self.ledger.change(key, None):
                self._call("SecretService", "DeleteSecret", {"name": f"{WORKSPACE}/secrets/{name}"})
            return
        value = self.random.choice(("", "ß-")) + f"{self.random.getrandbits(200):x}"
        with self.ledger.change(key, value):
            self._call("SecretService", "SetSecret", {"parent": WORKSPACE, "secretName": name, "value": value})

    def quota(self) -> None:
        """Sets that of this client's family."""
        family, limit = _FAMILIES[self.number % len(_FAMILIES)], self.random.randint(0, 5000)
        with self.ledger.change(("quota", family), limit):
            self._call("ComputeService", "UpdateQuota", {"parent": WORKSPACE, "vmFamily": family, "coreLimit": limit})

    def cluster(self) -> None:
        """Makes one, changes or deletes it."""
        mine = [key for key in self.ledger.possible("cluster") if key[1].startswith(f"c{self.number}-")]
        certain = [key for key in mine if len(values := self.ledger.values(key)) == 1 and values[0] is not None]
        if len(certain) < 2 or self.random.random() < 0.2:
            name = self.new_name("nodes")
            scale = self._scale()
            with self.ledger.change(("cluster", name), scale):
                self._call("ComputeService", "CreateComputeTarget", cluster_request(name, scale, self.new_id()))
            return
        key = self.random.choice(certain)
        full_name = f"{WORKSPACE}/computes/{key[1]}"
        if self.random.random() < 0.4:
            with self.ledger.change(key, None, ends_as=_GONE):
                self._call("ComputeService", "DeleteComputeTarget", {"name": full_name})
            return
        scale = self._scale()
        least, most, idle = scale
        request = {
            "name": full_name,
            "minNodeCount": least,
            "maxNodeCount": most,
            "idleSecondsBeforeScaledown": idle,
        }
        with self.ledger.change(key, scale):
            self._call("ComputeService", "UpdateComputeTarget", request)

    def files(self) -> None:
        """Puts files into the default datastore, some over others."""
        files = {
            f"data/c{self.number}/{self.random.choice(('', 'deep/'))}{self.random.randint(0, 30)}.bin": self.data(
                large=True
            )
            for _ in range(self.random.randint(1, 3))
        }
        for path, data in files.items():

            def ask(path: str = path) -> list[Message]:
                request = {"name": DATASTORE, "paths": [path], "overwrite": True}
                answer = self.caller.call("DatastoreService", "CreateDatastoreUploadUrls", request)
                return list(answer.get("urls", ()))

            with self.ledger.change(("file", path), digest(data)):
                self.upload(ask, {path: data})

    def datastore(self) -> None:
        """Registers one, anew or over itself, or forgets it."""
        name = f"c{self.number}_store{self.random.randint(0, 2)}"
        key = ("datastore", name)
        if self.random.random() < 0.3 and self.ledger.values(key)[-1] is not None and len(self.ledger.values(key)) == 1:
            with self.ledger.change(key, None, ends_as=_GONE):
                self._call("DatastoreService", "UnregisterDatastore", {"name": f"{WORKSPACE}/datastores/{name}"})
            return
        container = f"container-{self.random.getrandbits(40):x}"
        datastore = {"datastoreType": "AzureBlob", "accountName": f"account{self.number}", "containerName": container}
        request = {"parent": WORKSPACE, "datastoreName": name, "datastore": datastore, "secret": "c2VjcmV0"}
        with self.ledger.change(key, container):
            self._call("DatastoreService", "RegisterDatastore", {**request, "overwrite": True})

    def model(self) -> None:
        """Registers a version of uploaded files; changes or deletes an older one."""
        mine = [key for key in self.ledger.possible("model") if key[1] == str(self.number)]
        certain = [key for key in mine if len(values := self.ledger.values(key)) == 1 and values[0] is not None]
        if certain and self.random.random() < 0.3:
            self._change_model(self.random.choice(certain)[2])
            return
        name, nonce, upload_id = f"c{self.number}-model{self.random.randint(0, 1)}", self.new_id(), self.new_id()
        files = {f"m/{number}.bin": self.data() for number in range(self.random.randint(1, 4))}

        def ask() -> list[Message]:
            request = {"parent": WORKSPACE, "uploadId": upload_id, "paths": list(files)}
            return list(self.caller.call("ModelService", "CreateModelUploadUrls", request).get("urls", ()))

        request = {
            "parent": WORKSPACE,
            "modelName": name,
            "uploadId": upload_id,
            "fileCount": str(len(files)),
            "properties": {"nonce": nonce},
            "tags": {"colour": nonce[:4]},
            "requestId": self.new_id(),
        }
        facts = {"name": name, "files": {path: digest(data) for path, data in files.items()}, "colour": nonce[:4]}
        with self.ledger.change(("model", str(self.number), nonce), facts):
            for _ in range(_MOST_UPLOADS):
                self.upload(ask, files)
                try:
                    self._call("ModelService", "RegisterModel", request)
                    return
                except Refused as error:
                    # A start removes files of models that nobody has registered: the SDK sends them again, too.
                    if error.reason != "MODEL_FILES_MISSING":
                        raise
            raise Lost("each time a start came between the files and the registration")

    def _change_model(self, nonce: str) -> None:
        key = ("model", str(self.number), nonce)
        facts = self.ledger.values(key)[0]
        listing = {"parent": WORKSPACE, "modelName": facts["name"], "properties": {"nonce": nonce}}
        found = self.caller.call("ModelService", "ListModels", listing).get("models", [])
        if len(found) != 1:
            self.ledger.surprise(f"{len(found)} models of the one answered registration {key}")
            return
        which = {"name": found[0]["name"], "version": found[0]["version"]}
        if self.random.random() < 0.4:
            with self.ledger.change(key, None, ends_as=_GONE):
                self._call("ModelService", "DeleteModel", which)
            return
        colour = f"{self.random.getrandbits(40):x}"
        with self.ledger.change(key, {**facts, "colour": colour}):
            self._call("ModelService", "UpdateModel", {**which, "setTags": {"colour": colour}})

    def dataset(self) -> None:
        """Registers a version."""
        nonce = self.new_id()
        name, path = f"c{self.number}-dataset{self.random.randint(0, 1)}", f"data/{nonce}/**"
        source = {"datastoreName": "workspaceblobstore", "path": path}
        request = {
            "parent": WORKSPACE,
            "datasetName": name,
            "definition": {"datasetType": "DATASET_TYPE_FILE", "sources": [source]},
            "tags": {"nonce": nonce},
            "createNewVersion": True,
            "requestId": self.new_id(),
        }
        with self.ledger.change(("dataset", nonce), {"name": name, "path": path}):
            self._call("DatasetService", "RegisterDataset", request)

    def environment(self) -> None:
        """Registers a version; what counts is the newest."""
        name, nonce = f"c{self.number}-environment{self.random.randint(0, 1)}", self.new_id()
        request = {
            "parent": WORKSPACE,
            "environmentName": name,
            "definition": {"environmentVariables": {"NONCE": nonce}},
            "requestId": self.new_id(),
        }
        with self.ledger.change(("environment", name), nonce):
            self._call("EnvironmentService", "RegisterEnvironment", request)

    def experiment_tag(self) -> None:
        """Of the experiment that all runs are in; each client has tags of its own."""
        name, value = f"c{self.number}-{self.random.randint(0, 2)}", f"{self.random.getrandbits(50):x}"
        with self.ledger.change(("experiment-tag", name), value):
            self._call("ExperimentService", "UpdateExperiment", {"name": EXPERIMENT, "setTags": {name: value}})

    def other_workspace(self) -> None:
        """A workspace that comes with a file and goes, or stays."""
        name = self.new_name("ws")
        key = ("workspace", name)
        request = {"parent": GROUP, "workspaceName": name, "requestId": self.new_id()}
        made = False
        with self.ledger.change(key, name):
            self._call("WorkspaceService", "CreateWorkspace", request)
            made = True
        if not made:
            return
        path, data = "in/it.bin", self.data()
        datastore = f"{GROUP}/workspaces/{name}/datastores/workspaceblobstore"

        def ask() -> list[Message]:
            wanted = {"name": datastore, "paths": [path], "overwrite": True}
            return list(self.caller.call("DatastoreService", "CreateDatastoreUploadUrls", wanted).get("urls", ()))

        self.upload(ask, {path: data})
        if self.random.random() < 0.7:
            with self.ledger.change(key, None, ends_as=_GONE):
                self._call("WorkspaceService", "DeleteWorkspace", {"name": f"{GROUP}/workspaces/{name}"})

    def _call(self, service: str, method: str, request: Message) -> Message:
        return self.caller.call(service, method, request, once=self.gives_up())

    def _scale(self) -> list[int]:
        least = self.random.choice((0, 0, 0, 1))
        return [least, least + self.random.randint(0, 3) or 1, self.random.choice((1, 60, 600))]
