"""Makes things go wrong on purpose: keeps the rules, asks `domain.faults` which of them strike, and does it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from google.protobuf.message import Message

from localaml.control.fault_book import FaultBook
from localaml.control.fault_errors import error_of
from localaml.domain.faults import (
    FaultKind,
    FaultRule,
    Hook,
    Occasion,
    RuleState,
    check_rule,
    consider_all,
    hooks_of,
    is_in_time,
)
from localaml.domain.models import Cluster, Node, Run, RunKey
from localaml.errors import FailedPrecondition, Unimplemented
from localaml.jobs.hooks import JobHooks

if TYPE_CHECKING:
    from localaml.clock import Clock, Timer
    from localaml.jobs.disturbances import Disturbances
    from localaml.jobs.history import History
    from localaml.store import Store

logger = logging.getLogger(__name__)
_ADMIN = "/localaml.admin."
_EXIT_CODE = 86


class FaultControl(JobHooks):
    """The faults of one emulator. A restart changes nothing about them.

    Args:
        clock: service time, for when rules are in force.
        machine_clock: machine time, for delays of calls.
        crash: ends the process at once, as a kill would.
    """

    def __init__(
        self, store: Store, history: History, clock: Clock, machine_clock: Clock, crash: Callable[[int], object]
    ) -> None:
        self._store = store
        self._history = history
        self._clock = clock
        self._machine_clock = machine_clock
        self._crash = crash
        self._book = FaultBook(store, clock)
        # Of rules on nodes that begin later.
        self._timers: dict[str, Timer] = {}
        self._disturbances: Disturbances | None = None
        self._try_again: Callable[[], None] = lambda: None

    def attach(self, disturbances: Disturbances, try_again: Callable[[], None]) -> None:
        """Connects it with what it disturbs; `try_again` makes clusters try at once what has failed."""
        self._disturbances = disturbances
        self._try_again = try_again

    # -- rules --------------------------------------------------------------------------------------------------------

    def add(self, rule: FaultRule) -> RuleState:
        """Adds a rule (its id is given here). What it does to nodes that are there has been done afterwards.

        Raises:
            InvalidArgument: ``FAULT_INVALID``.
            FailedPrecondition: ``NODE_NOT_LOW_PRIORITY``: it names a cluster whose nodes are not taken away.
            Unimplemented: ``FAULT_NOT_POSSIBLE``: it takes what a runtime of processes does not have.
        """
        rule = check_rule(rule)
        if rule.kind is FaultKind.NODE_EVICTED:
            self._check_low_priority(rule)
        elif rule.kind is FaultKind.PARTITION:
            self._check_containers(rule)
        with self._book.as_a_whole():
            rule = self._book.add(rule, self._clock.now())
            self._history.fault(rule.fault_id, "added", rule.kind.value)
        if Hook.NODE in hooks_of(rule.kind):
            self._begin_in_time(rule)
        return self.get(rule.fault_id)

    def close(self) -> None:
        """What was to begin later begins with the next emulator."""
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()

    def restore(self) -> None:
        """After a restart, once clusters and runs are known again: rules on nodes go on waiting for their time."""
        for rule in self._book.on_nodes():
            if not self._book.has_begun(rule.fault_id):
                self._begin_in_time(rule)

    def get(self, fault_id: str) -> RuleState:
        """Raises NotFound ``FAULT_NOT_FOUND``."""
        return self._book.get(fault_id)

    def list(self) -> Sequence[tuple[RuleState, datetime]]:
        """All rules, with the times of their addition."""
        return [(state, self._book.added_at(state.rule.fault_id)) for state in self._book.states()]

    def clear(self, fault_ids: Iterable[str] = ()) -> int:
        """Removes rules (none named: all); what clusters could not do because of them is tried again.

        Raises:
            NotFound: ``FAULT_NOT_FOUND``; nothing was removed.
        """
        ids = list(dict.fromkeys(fault_ids)) or [state.rule.fault_id for state in self._book.states()]
        for fault_id in ids:
            self.get(fault_id)
        with self._book.as_a_whole():
            for fault_id in ids:
                self._history.fault(fault_id, "cleared", "cleared")
            self._book.remove(ids)
        for fault_id in ids:
            if (timer := self._timers.pop(fault_id, None)) is not None:
                timer.cancel()
        if ids:
            self._try_again()
        return len(ids)

    # -- calls and bytes ----------------------------------------------------------------------------------------------

    async def before_call(self, path: str, request: Message) -> int | None:
        """A call of an rpc begins. Raises the LocalAmlError that it is to have.

        Returns after how many messages of a stream its connection is to be lost; for a unary call, that its answer is;
        None for neither.
        """
        if Hook.CALL not in self._book.in_use or path.startswith(_ADMIN):
            return None
        method = path.lstrip("/")
        facts = {"method": (method, method.rpartition(".")[2]), "run": _runs_of(request)}
        return await self._on_the_way(Occasion(Hook.CALL, facts), default_after=0)

    async def before_bytes(self, method: str, kind: str, key: str, run_id: str) -> int | None:
        """A transfer of bytes begins. Raises the LocalAmlError that it is to have.

        Returns after how many bytes the connection is to be lost, -1 for half of them; None for not at all.
        """
        if Hook.BYTES not in self._book.in_use:
            return None
        facts = {
            "method": (f"bytes/{method}/{kind}",),
            "run": (run_id,) if run_id else (),
            "store": self._names_of(key) if key else (),
        }
        return await self._on_the_way(Occasion(Hook.BYTES, facts), default_after=-1)

    async def _on_the_way(self, occasion: Occasion, default_after: int) -> int | None:
        after: int | None = None
        for rule in self._decide(occasion):
            if rule.kind is FaultKind.DELAY:
                await self._machine_clock.sleep(rule.effect.delay_seconds)
            elif rule.kind is FaultKind.DROP:
                after = default_after if rule.effect.after < 0 else rule.effect.after
            else:
                raise error_of(rule)
        return after

    # -- stored data --------------------------------------------------------------------------------------------------

    def before_store(self, key: str, *, writing: bool) -> None:
        """An object (or a prefix) is about to be read or written. Raises the LocalAmlError that it is to have."""
        hook = Hook.STORE_WRITE if writing else Hook.STORE_READ
        if hook in self._book.in_use:
            for rule in self._decide(Occasion(hook, {"store": self._names_of(key)})):
                raise error_of(rule)

    def _names_of(self, key: str) -> tuple[str, ...]:
        first, _, rest = key.partition("/")
        if first == "contents":
            return (first,)
        container, _, path = rest.partition("/")
        names = [container]
        if path.startswith("azureml/ExperimentRun/"):
            names.append("artifacts")
        for workspace in self._store.workspaces.list():
            names += [
                datastore.name.name
                for datastore in self._store.datastores.list(workspace.workspace_id)
                if (datastore.account_name, datastore.container_name) == (first, container)
            ]
        return tuple(names)

    # -- the course of runs and nodes ---------------------------------------------------------------------------------

    def reached(self, point: str, run: Run) -> None:
        if Hook.POINT in self._book.in_use:
            facts = {"run": (run.run_id,), "cluster": (run.target,)}
            for rule in self._decide(Occasion(Hook.POINT, facts, point), run):
                logger.warning("fault %s: crash at %s", rule.fault_id, point)
                self._crash(_EXIT_CODE)
        if point == "running" and Hook.NODE in self._book.in_use:
            # Not at once: the run is just about to be watched.
            asyncio.get_running_loop().call_soon(self._sweep)

    def before_cluster(self, cluster: Cluster) -> None:
        if Hook.CLUSTER_CREATE not in self._book.in_use:
            return
        facts = {"cluster": (cluster.name.name,), "vm_size": (cluster.vm_size,)}
        # As with a real quota, a cluster that begins without nodes can be made.
        ignored = () if cluster.scale.min_node_count else (FaultKind.OUT_OF_QUOTA,)
        for rule in self._decide(Occasion(Hook.CLUSTER_CREATE, facts), ignored=ignored):
            raise error_of(rule, cluster)

    async def before_node_start(self, cluster: Cluster, node: Node) -> None:
        if Hook.NODE_START not in self._book.in_use:
            return
        facts = {
            "cluster": (cluster.name.name,),
            "vm_size": (cluster.vm_size,),
            "node": (node.node_id, node.host_name),
        }
        for rule in self._decide(Occasion(Hook.NODE_START, facts)):
            raise error_of(rule, cluster)

    async def before_environment(self, run: Run) -> None:
        if Hook.ENVIRONMENT not in self._book.in_use:
            return
        facts = {"cluster": (run.target,), "run": (run.run_id,)}
        for rule in self._decide(Occasion(Hook.ENVIRONMENT, facts), run):
            raise error_of(rule)

    def _begin_in_time(self, rule: FaultRule) -> None:
        begin = rule.when.not_before
        seconds = 0.0 if begin is None else (begin - self._book.time_for(rule.fault_id)).total_seconds()
        if seconds > 0:
            self._timers[rule.fault_id] = self._clock.call_later(seconds, lambda: self._begin(rule.fault_id))
        else:
            self._begin(rule.fault_id)

    def _begin(self, fault_id: str) -> None:
        # In this order: after a kill between the two it looks again, and counts nothing twice.
        self._sweep(fault_id)
        self._book.begin(fault_id)

    def _sweep(self, new: str | None = None) -> None:
        """Lets rules on nodes strike: every rule on what is at work; one that begins now on idle nodes, too."""
        if self._disturbances is None:
            return
        nodes = self._disturbances.nodes()
        nodes.sort(key=lambda node: node.run_id is None)
        for rule in self._book.on_nodes():
            for node in nodes:
                # Another rule, or this one at another node, may have changed it in the meantime.
                if (node.run_id is not None or rule.fault_id == new) and node in self._disturbances.nodes():
                    self._look_at(rule, node)

    def _look_at(self, rule: FaultRule, node: Node) -> None:
        assert self._disturbances is not None
        attempt = 0
        if node.run_id is not None:
            key = RunKey(node.cluster.workspace_id, node.run_id)
            if not self._disturbances.is_at_work(key):
                return
            attempt = self._store.runs.get(key).attempt
        elif rule.kind in (FaultKind.OUT_OF_MEMORY, FaultKind.PROCESS_KILLED):
            return
        if rule.kind is FaultKind.NODE_EVICTED and not self._disturbances.is_low_priority(node.cluster):
            return
        if rule.kind is FaultKind.PARTITION and not self._disturbances.in_containers(node.cluster):
            return
        if self.get(rule.fault_id).is_used_up or not is_in_time(rule.when, self._book.time_for(rule.fault_id)):
            return
        facts = {
            "cluster": (node.cluster.cluster,),
            "node": (node.node_id, node.host_name),
            "run": (node.run_id,) if node.run_id is not None else (),
        }
        # That it was seen, counted and struck is kept together, or not at all.
        with self._book.as_a_whole():
            if self._book.look(rule.fault_id, node.node_id, node.run_id or "", attempt) and self._decide(
                Occasion(Hook.NODE, facts), node=node, only=rule.fault_id
            ):
                self._strike(rule, node)

    def _strike(self, rule: FaultRule, node: Node) -> None:
        assert self._disturbances is not None
        cause = f"fault {rule.fault_id}"
        key = RunKey(node.cluster.workspace_id, node.run_id or "")
        if rule.kind is FaultKind.NODE_EVICTED:
            notice = rule.effect.notice_seconds
            self._disturbances.evict_node(node.cluster, node.node_id, notice_seconds=notice, cause=cause)
        elif rule.kind is FaultKind.NODE_LOST:
            self._disturbances.lose_node(node.cluster, node.node_id, cause)
        elif rule.kind is FaultKind.PARTITION:
            self._disturbances.cut_off(node)
        elif rule.kind is FaultKind.OUT_OF_MEMORY:
            self._disturbances.out_of_memory(key, node.node_id, cause)
        else:
            self._disturbances.kill_processes(key, node.node_id, cause)

    # -- inside -------------------------------------------------------------------------------------------------------

    def _decide(
        self,
        occasion: Occasion,
        run: Run | None = None,
        *,
        node: Node | None = None,
        only: str | None = None,
        ignored: Sequence[FaultKind] = (),
    ) -> Sequence[FaultRule]:
        """The rules that strike, noted in the history."""
        asked = [
            state
            for state in self._book.states()
            if state.rule.kind not in ignored and only in (None, state.rule.fault_id)
        ]
        after, striking = consider_all(asked, occasion, self._book.time_for)
        with self._book.as_a_whole():
            self._book.note(after)
            for rule in striking:
                about = "; ".join(f"{part} {names[0]}" for part, names in occasion.facts.items() if names)
                self._history.fault(
                    rule.fault_id,
                    "struck",
                    f"{rule.kind.value}: {occasion.point or about}",
                    workspace_id=run.workspace_id if run else node.cluster.workspace_id if node else "",
                    cluster=run.target if run else node.cluster.cluster if node else "",
                    run_id=run.run_id if run else (node.run_id or "") if node else "",
                )
        return striking

    def _check_containers(self, rule: FaultRule) -> None:
        assert self._disturbances is not None
        pattern = rule.target.cluster or "*"
        meant = [each.key for each in self._store.clusters.list() if fnmatchcase(each.name.name, pattern)]
        if not any(self._disturbances.in_containers(key) for key in meant or (None,)):
            raise Unimplemented(
                "FAULT_NOT_POSSIBLE",
                "A network partition between nodes is not possible here: the nodes are processes of one machine and "
                "share its loopback interface. Use nodes that are containers (docs/docker.md), or node-lost, or drop "
                "and delay on the calls of the job.",
                {"kind": rule.kind.value},
            )

    def _check_low_priority(self, rule: FaultRule) -> None:
        named = [
            cluster
            for cluster in self._store.clusters.list()
            if rule.target.cluster and cluster.name.name == rule.target.cluster
        ]
        if named and all(cluster.vm_priority != "lowpriority" for cluster in named):
            raise FailedPrecondition(
                "NODE_NOT_LOW_PRIORITY",
                f"The nodes of {rule.target.cluster!r} are dedicated: they are not taken away. Use node-lost, or make "
                "the cluster with vm_priority='lowpriority'.",
            )


def _runs_of(request: Message) -> tuple[str, ...]:
    """The runs that a request names."""
    found = []
    for field in ("run_id", "name", "parent"):
        value = getattr(request, field, "")
        if isinstance(value, str) and value:
            if field == "run_id":
                found.append(value)
            elif "/runs/" in value:
                found.append(value.rpartition("/runs/")[2])
    return tuple(found)
