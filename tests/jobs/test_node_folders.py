"""Folders of nodes go with their node, cluster and workspace; what a killed emulator has left goes at the start."""

from __future__ import annotations

from pathlib import Path

from tests.jobs.world import World


def left(world: World) -> set[str]:
    root = world.paths.nodes
    return {str(path.relative_to(root)) for path in root.rglob("*")}


def make(world: World, cluster: str, node_id: str, workspace_id: str = "wid") -> Path:
    folder = world.paths.node(workspace_id, cluster, node_id)
    folder.mkdir(parents=True)
    return folder


async def test_a_start_removes_what_belongs_to_no_node(world: World) -> None:
    world.cluster(low=1, high=1)
    await world.until(lambda: len(world.runtime.nodes) == 1, "a node")
    [node_id] = world.runtime.nodes
    kept = make(world, "cpu", node_id)
    (kept / "of the node").write_text("")
    (make(world, "cpu", "killed-in-its-stop") / "sockets").mkdir()
    make(world, "gone", "n1")
    make(world, "of-another", "n1", "a-workspace-that-is-gone")
    (world.paths.nodes / "empty/too").mkdir(parents=True)
    await world.restart()
    assert left(world) == {"wid", "wid/cpu", f"wid/cpu/{node_id}", f"wid/cpu/{node_id}/of the node"}


async def test_a_deleted_cluster_takes_its_folder_along(world: World) -> None:
    key = world.cluster(high=1)
    (world.paths.nodes / "wid/cpu").mkdir(parents=True)
    await world.orchestrator.delete_cluster(key)
    assert left(world) == set()


async def test_a_deleted_workspace_takes_all_its_folders_along(world: World) -> None:
    world.cluster(high=1)
    folders = [above / "wid" for above in (world.paths.nodes, world.paths.marks, world.paths.runs)]
    for folder in folders:
        (folder / "cpu").mkdir(parents=True)
    await world.orchestrator.delete_workspace_runs("wid")
    assert not any(folder.exists() for folder in folders)
