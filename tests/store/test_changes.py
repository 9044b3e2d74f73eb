"""The change feed loses no wake-up."""

from __future__ import annotations

import asyncio

from tests.store.records import make_cluster, make_run

from localaml.domain.models import ClusterKey, RunKey
from localaml.store import ChangeFeed, Store


async def test_what_was_published_before_the_wait_counts() -> None:
    feed = ChangeFeed()
    with feed.subscribe("a") as subscription:
        feed.publish("a")
        await asyncio.wait_for(subscription.wait(), 1)
        waiting = asyncio.ensure_future(subscription.wait())
        await asyncio.sleep(0)
        assert not waiting.done()
        feed.publish("b")
        await asyncio.sleep(0)
        assert not waiting.done()
        feed.publish("a")
        await asyncio.wait_for(waiting, 1)


async def test_a_waiter_always_sees_the_last_value() -> None:
    feed = ChangeFeed()
    value = 0
    seen: list[int] = []

    async def follow() -> None:
        with feed.subscribe("a") as subscription:
            while not seen or seen[-1] != 1000:
                seen.append(value)
                if value != 1000:
                    await subscription.wait()

    follower = asyncio.ensure_future(follow())
    for value in range(1, 1001):
        feed.publish("a")
        if value % 7 == 0:
            await asyncio.sleep(0)
    await asyncio.wait_for(follower, 5)
    assert seen == sorted(seen)
    assert feed.subscription_count == 0


async def test_a_run_and_a_cluster_of_the_same_name_are_different_topics() -> None:
    feed = ChangeFeed()
    with feed.subscribe(RunKey("w", "x")) as of_run, feed.subscribe(ClusterKey("w", "x")) as of_cluster:
        feed.publish(ClusterKey("w", "x"))
        await asyncio.wait_for(of_cluster.wait(), 1)
        waiting = asyncio.ensure_future(of_run.wait())
        await asyncio.sleep(0)
        assert not waiting.done()
        waiting.cancel()


async def test_repositories_publish(workspace_store: Store) -> None:
    store = workspace_store
    run, cluster = make_run(), make_cluster()
    with store.changes.subscribe(run.key) as of_run, store.changes.subscribe(cluster.key) as of_cluster:
        store.runs.insert(run)
        await asyncio.wait_for(of_run.wait(), 1)
        store.runs.modify(run.key, lambda stored: stored)
        await asyncio.wait_for(of_run.wait(), 1)
        store.clusters.insert(cluster)
        await asyncio.wait_for(of_cluster.wait(), 1)
        store.clusters.update(cluster)
        await asyncio.wait_for(of_cluster.wait(), 1)
        store.clusters.delete(cluster.key)
        await asyncio.wait_for(of_cluster.wait(), 1)
        store.workspaces.delete(run.workspace_id)
        await asyncio.wait_for(of_run.wait(), 1)
