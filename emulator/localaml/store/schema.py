"""The tables, as a list of migrations: number n takes a database from `user_version` n-1 to n.

Never edit one that was released. Times are whole microseconds since the epoch. Maps and lists are JSON. Long columns
come last in `runs`, so that filters do not read past them.
"""

from __future__ import annotations

_FIRST = """
CREATE TABLE workspaces (
    workspace_id TEXT NOT NULL PRIMARY KEY,
    -- Names of Azure resources are the same in any case.
    subscription TEXT NOT NULL COLLATE NOCASE,
    resource_group TEXT NOT NULL COLLATE NOCASE,
    name TEXT NOT NULL COLLATE NOCASE,
    created_at INTEGER NOT NULL,
    friendly_name TEXT NOT NULL,
    description TEXT NOT NULL,
    location TEXT NOT NULL,
    sku TEXT NOT NULL,
    tags TEXT NOT NULL,
    default_datastore TEXT NOT NULL,
    UNIQUE (subscription, resource_group, name)
) WITHOUT ROWID;

CREATE TABLE clusters (
    workspace_id TEXT NOT NULL REFERENCES workspaces ON DELETE CASCADE,
    name TEXT NOT NULL,
    vm_size TEXT NOT NULL,
    vm_priority TEXT NOT NULL,
    min_node_count INTEGER NOT NULL,
    max_node_count INTEGER NOT NULL,
    idle_seconds INTEGER NOT NULL,
    provisioning_state TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    provisioning_state_changed_at INTEGER NOT NULL,
    allocation_state_changed_at INTEGER NOT NULL,
    tags TEXT NOT NULL,
    description TEXT NOT NULL,
    errors TEXT NOT NULL,
    for_run TEXT,
    PRIMARY KEY (workspace_id, name)
) WITHOUT ROWID;

CREATE TABLE nodes (
    workspace_id TEXT NOT NULL,
    cluster TEXT NOT NULL,
    node_id TEXT NOT NULL,
    state TEXT NOT NULL,
    host_name TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    state_changed_at INTEGER NOT NULL,
    run_id TEXT,
    PRIMARY KEY (workspace_id, cluster, node_id),
    FOREIGN KEY (workspace_id, cluster) REFERENCES clusters (workspace_id, name) ON DELETE CASCADE
) WITHOUT ROWID;

CREATE TABLE datastores (
    workspace_id TEXT NOT NULL REFERENCES workspaces ON DELETE CASCADE,
    name TEXT NOT NULL,
    datastore_type TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    account_name TEXT NOT NULL,
    container_name TEXT NOT NULL,
    protocol TEXT NOT NULL,
    endpoint TEXT NOT NULL,
    credential_type TEXT NOT NULL,
    secret TEXT NOT NULL,
    settings TEXT NOT NULL,
    PRIMARY KEY (workspace_id, name)
) WITHOUT ROWID;

CREATE TABLE experiments (
    workspace_id TEXT NOT NULL REFERENCES workspaces ON DELETE CASCADE,
    name TEXT NOT NULL,
    experiment_id TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    description TEXT NOT NULL,
    tags TEXT NOT NULL,
    archived_at INTEGER,
    PRIMARY KEY (workspace_id, name)
) WITHOUT ROWID;

CREATE TABLE runs (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    workspace_id TEXT NOT NULL REFERENCES workspaces ON DELETE CASCADE,
    run_id TEXT NOT NULL,
    experiment TEXT NOT NULL,
    number INTEGER NOT NULL,
    run_type TEXT NOT NULL,
    state TEXT NOT NULL,
    is_terminal INTEGER NOT NULL,
    submitted INTEGER NOT NULL,
    target TEXT NOT NULL,
    parent_run_id TEXT,
    root_run_id TEXT,
    request_id TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    started_at INTEGER,
    ended_at INTEGER,
    snapshot_id TEXT NOT NULL,
    display_name TEXT NOT NULL,
    description TEXT NOT NULL,
    tags TEXT NOT NULL,
    properties TEXT NOT NULL,
    error TEXT,
    warnings TEXT NOT NULL,
    node_ids TEXT NOT NULL,
    state_changes TEXT NOT NULL,
    execution TEXT NOT NULL,
    definition BLOB NOT NULL,
    UNIQUE (workspace_id, run_id)
);
-- Entries of one key are in the order of `seq`: newest first needs no sorting.
CREATE INDEX runs_by_experiment ON runs (workspace_id, experiment);
CREATE INDEX runs_by_experiment_and_parent ON runs (workspace_id, experiment, parent_run_id);
CREATE INDEX runs_by_parent ON runs (workspace_id, parent_run_id);
CREATE INDEX runs_by_state ON runs (workspace_id, state);
CREATE INDEX runs_by_target ON runs (workspace_id, target);
CREATE INDEX runs_by_type ON runs (workspace_id, run_type);
CREATE UNIQUE INDEX runs_by_request ON runs (workspace_id, request_id) WHERE request_id <> '';
CREATE INDEX runs_active ON runs (workspace_id) WHERE submitted = 1 AND is_terminal = 0;

-- Tags (kind 0) and properties (kind 1) again, for filters. `runs` has the truth.
CREATE TABLE run_labels (
    workspace_id TEXT NOT NULL,
    kind INTEGER NOT NULL,
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    seq INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE,
    PRIMARY KEY (workspace_id, kind, key, value, seq)
) WITHOUT ROWID;
CREATE INDEX run_labels_by_run ON run_labels (seq);

CREATE TABLE metric_batches (
    run_seq INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE,
    writer_id TEXT NOT NULL,
    batch_number INTEGER NOT NULL,
    PRIMARY KEY (run_seq, writer_id, batch_number)
) WITHOUT ROWID;

CREATE TABLE metrics (
    -- runs.seq * 2^32 + the number of the record in its run: one narrow key in the order of reading (a fifth quicker to
    -- insert than a key of two columns with a reference).
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    metric_type INTEGER NOT NULL,
    value_json TEXT NOT NULL,
    time_micros INTEGER NOT NULL,
    step INTEGER,
    description TEXT NOT NULL
);
CREATE TRIGGER metrics_go_with_their_run AFTER DELETE ON runs BEGIN
    DELETE FROM metrics WHERE id BETWEEN old.seq << 32 AND (old.seq + 1 << 32) - 1;
END;

CREATE TABLE artifacts (
    workspace_id TEXT NOT NULL,
    run_id TEXT NOT NULL,
    path TEXT NOT NULL,
    size_bytes INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    object_key TEXT NOT NULL,
    PRIMARY KEY (workspace_id, run_id, path),
    FOREIGN KEY (workspace_id, run_id) REFERENCES runs (workspace_id, run_id) ON DELETE CASCADE
) WITHOUT ROWID;

CREATE TABLE snapshots (
    workspace_id TEXT NOT NULL REFERENCES workspaces ON DELETE CASCADE,
    snapshot_id TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    entries TEXT NOT NULL,
    PRIMARY KEY (workspace_id, snapshot_id)
) WITHOUT ROWID;
"""

_SECOND = """
-- Models, environments and data sets: what is registered under a name and counted in versions.
CREATE TABLE assets (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    workspace_id TEXT NOT NULL REFERENCES workspaces ON DELETE CASCADE,
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    version INTEGER NOT NULL,
    asset_id TEXT NOT NULL,
    request_id TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    description TEXT NOT NULL,
    tags TEXT NOT NULL,
    properties TEXT NOT NULL,
    labels TEXT NOT NULL,
    payload TEXT NOT NULL,
    UNIQUE (workspace_id, kind, name, version)
);
CREATE UNIQUE INDEX assets_by_id ON assets (workspace_id, kind, asset_id);
CREATE UNIQUE INDEX assets_by_request ON assets (workspace_id, kind, request_id) WHERE request_id <> '';

-- The last number that was given: that of a deleted version is never given again, since others may have noted it.
CREATE TABLE asset_versions (
    workspace_id TEXT NOT NULL REFERENCES workspaces ON DELETE CASCADE,
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    last_version INTEGER NOT NULL,
    PRIMARY KEY (workspace_id, kind, name)
) WITHOUT ROWID;

CREATE TABLE secrets (
    workspace_id TEXT NOT NULL REFERENCES workspaces ON DELETE CASCADE,
    -- As in a key vault, the same in any case.
    name TEXT NOT NULL COLLATE NOCASE,
    content_type TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    -- Encrypted: the database never sees the value.
    sealed BLOB NOT NULL,
    PRIMARY KEY (workspace_id, name)
) WITHOUT ROWID;
"""

_THIRD = """
-- What has happened: states of runs, nodes and clusters, and faults, in order. It outlives what it tells of, so it
-- refers to nothing; only the newest are kept.
CREATE TABLE events (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    at INTEGER NOT NULL,
    kind TEXT NOT NULL,
    workspace_id TEXT NOT NULL,
    cluster TEXT NOT NULL,
    run_id TEXT NOT NULL,
    subject TEXT NOT NULL,
    old_state TEXT NOT NULL,
    new_state TEXT NOT NULL,
    cause TEXT NOT NULL
);

-- Cores that a workspace's clusters may have, by VM family, where that is not the default.
CREATE TABLE quotas (
    workspace_id TEXT NOT NULL REFERENCES workspaces ON DELETE CASCADE,
    family TEXT NOT NULL,
    core_limit INTEGER NOT NULL,
    PRIMARY KEY (workspace_id, family)
) WITHOUT ROWID;

CREATE TABLE counters (
    name TEXT NOT NULL PRIMARY KEY,
    value INTEGER NOT NULL
) WITHOUT ROWID;
"""

_FOURTH = """
-- Faults that were asked for. They belong to this emulator, not to its resources: they never travel.
CREATE TABLE faults (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    added_at INTEGER NOT NULL,
    kind TEXT NOT NULL,
    -- Target, when and effect.
    rule TEXT NOT NULL,
    seen INTEGER NOT NULL,
    struck INTEGER NOT NULL,
    has_begun INTEGER NOT NULL
);

-- Which nodes at work a rule on nodes has looked at: each counts once.
CREATE TABLE fault_looks (
    fault_seq INTEGER NOT NULL REFERENCES faults ON DELETE CASCADE,
    node_id TEXT NOT NULL,
    run_id TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    PRIMARY KEY (fault_seq, node_id, run_id, attempt)
) WITHOUT ROWID;
"""

_FIFTH = """
-- SHA-256 of what was stored, in hex digits; empty for artifacts of before.
ALTER TABLE artifacts ADD COLUMN sha256 TEXT NOT NULL DEFAULT '';

-- What was begun in the object store and has no record yet, or no record any more. A start finds it when the emulator
-- was killed in the middle. It belongs to this emulator's store: it never travels.
CREATE TABLE unfinished (
    -- An object; with a slash at its end, all objects below it.
    key TEXT NOT NULL PRIMARY KEY
) WITHOUT ROWID;
"""

MIGRATIONS: tuple[str, ...] = (_FIRST, _SECOND, _THIRD, _FOURTH, _FIFTH)
"""SQL scripts, in order. Their count is the format version of a state dir."""

FORMAT_VERSION = len(MIGRATIONS)
