"""The history, quotas and counters."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest

from localaml.domain.models import Event, Workspace
from localaml.domain.names import WorkspaceName
from localaml.errors import NotFound
from localaml.store import EVENTS_TOPIC, EventFilter, Store
from localaml.store import events as events_module

NOW = datetime(2026, 1, 1, tzinfo=timezone.utc)


def event(subject: str, **more: str) -> Event:
    return Event("run", NOW, subject, "because", **more)


def test_events_come_back_in_order_and_by_filter(store: Store) -> None:
    store.events.append(event("a", workspace_id="w", run_id="a", cluster="cpu", old_state="x", new_state="y"))
    store.events.append(event("b", workspace_id="w", run_id="b"))
    store.events.append(event("c", workspace_id="v", run_id="a"))
    assert [each.subject for each in store.events.list()] == ["a", "b", "c"]
    assert [each.subject for each in store.events.list(EventFilter(run_id="a"))] == ["a", "c"]
    assert [each.subject for each in store.events.list(EventFilter("w", "a"))] == ["a"]
    assert [each.subject for each in store.events.list(EventFilter(cluster="cpu"))] == ["a"]
    first = store.events.list(limit=1)[0]
    assert (first.old_state, first.new_state, first.at, first.sequence) == ("x", "y", NOW, 1)
    assert [each.subject for each in store.events.list(after=2)] == ["c"]
    assert [each.subject for each in store.events.newest(EventFilter(), 0, 2)] == ["b", "c"]
    store.events.forget("w")
    assert [each.subject for each in store.events.list()] == ["c"]
    store.events.forget()
    assert store.events.last() == 0
    assert store.events.append(event("d")) == 4, "numbers are not given again"


def test_only_the_newest_are_kept(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events_module, "_MOST", 20)
    monkeypatch.setattr(events_module, "_SLACK", 10)
    for number in range(100):
        store.events.append(event(str(number)))
        assert len(store.events.list()) <= 30
    assert [each.subject for each in store.events.list()] == [str(number) for number in range(80, 100)]


async def test_followers_are_told_after_the_commit(store: Store) -> None:
    with store.changes.subscribe(EVENTS_TOPIC) as subscription:
        with store.transaction():
            store.events.append(event("a"))
        await subscription.wait()


def test_quotas_go_with_their_workspace(store: Store) -> None:
    store.workspaces.insert(Workspace(WorkspaceName("s", "g", "quotas"), "wq", NOW))
    store.quotas.put("wq", "standardDFamily", 4)
    store.quotas.put("wq", "standardDFamily", 5)
    store.quotas.put("wq", "standardNCFamily", 6)
    store.quotas.delete("wq", "standardNCFamily")
    assert store.quotas.of("wq") == {"standardDFamily": 5}
    store.workspaces.delete("wq")
    assert store.quotas.of("wq") == {}
    with pytest.raises(NotFound):
        store.quotas.put("nowhere", "standardDFamily", 4)


def test_counters_count(store: Store) -> None:
    assert [store.counters.next("a"), store.counters.next("a"), store.counters.next("b")] == [1, 2, 1]
