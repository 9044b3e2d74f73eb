"""Faults on demand: which rule strikes when. Pure: what happens at a hook goes in, the rules that strike come out.

A rule says what it is about (`FaultTarget`), what goes wrong (`FaultKind`, `FaultEffect`), and when (`FaultWhen`).
Doing it is the business of `localaml.control`.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import datetime
from enum import Enum
from fnmatch import fnmatchcase

from localaml.errors import InvalidArgument, LocalAmlError


class FaultKind(str, Enum):
    """What goes wrong. The values are the words of the command line."""

    # Calls and transfers of bytes.
    ERROR = "error"
    DELAY = "delay"
    DROP = "drop"
    THROTTLE = "throttle"
    # Stored data.
    DISK_FULL = "disk-full"
    DATASTORE_UNREACHABLE = "datastore-unreachable"
    # Getting nodes and environments.
    PROVISIONING_FAILED = "provisioning-failed"
    OUT_OF_QUOTA = "out-of-quota"
    SKU_NOT_AVAILABLE = "sku-not-available"
    IMAGE_BUILD_FAILED = "image-build-failed"
    # Nodes and runs at work.
    NODE_EVICTED = "node-evicted"
    NODE_LOST = "node-lost"
    PARTITION = "partition"
    OUT_OF_MEMORY = "out-of-memory"
    PROCESS_KILLED = "process-killed"
    # The emulator itself.
    CRASH = "crash"


class Hook(str, Enum):
    """Where the emulator asks whether a fault is due."""

    CALL = "call"
    BYTES = "bytes"
    STORE_WRITE = "store write"
    STORE_READ = "store read"
    CLUSTER_CREATE = "cluster create"
    NODE_START = "node start"
    ENVIRONMENT = "environment"
    NODE = "node"
    POINT = "point"


# Points at which the emulator can be made to crash, in the order in which a run passes them.
CRASH_POINTS = (
    "submit-committed",
    "placed",
    "environment-ready",
    "launched",
    "running",
    "processes-ended",
    "before-finalize",
    "finalized",
    "evicted",
)

_CALLS = frozenset({Hook.CALL, Hook.BYTES})
_HOOKS: Mapping[FaultKind, frozenset[Hook]] = {
    FaultKind.ERROR: _CALLS,
    FaultKind.DELAY: _CALLS,
    FaultKind.DROP: _CALLS,
    FaultKind.THROTTLE: _CALLS,
    FaultKind.DISK_FULL: frozenset({Hook.STORE_WRITE}),
    FaultKind.DATASTORE_UNREACHABLE: frozenset({Hook.STORE_READ, Hook.STORE_WRITE}),
    FaultKind.PROVISIONING_FAILED: frozenset({Hook.NODE_START}),
    FaultKind.OUT_OF_QUOTA: frozenset({Hook.CLUSTER_CREATE, Hook.NODE_START}),
    FaultKind.SKU_NOT_AVAILABLE: frozenset({Hook.CLUSTER_CREATE, Hook.NODE_START}),
    FaultKind.IMAGE_BUILD_FAILED: frozenset({Hook.ENVIRONMENT}),
    FaultKind.NODE_EVICTED: frozenset({Hook.NODE}),
    FaultKind.NODE_LOST: frozenset({Hook.NODE}),
    FaultKind.PARTITION: frozenset({Hook.NODE}),
    FaultKind.OUT_OF_MEMORY: frozenset({Hook.NODE}),
    FaultKind.PROCESS_KILLED: frozenset({Hook.NODE}),
    FaultKind.CRASH: frozenset({Hook.POINT}),
}

# Which parts of a target each hook knows. A part that a kind never sees is refused: it would silently do nothing.
_KNOWN: Mapping[Hook, frozenset[str]] = {
    Hook.CALL: frozenset({"method", "run"}),
    Hook.BYTES: frozenset({"method", "run", "store"}),
    Hook.STORE_WRITE: frozenset({"store"}),
    Hook.STORE_READ: frozenset({"store"}),
    Hook.CLUSTER_CREATE: frozenset({"cluster", "vm_size"}),
    Hook.NODE_START: frozenset({"cluster", "vm_size", "node"}),
    Hook.ENVIRONMENT: frozenset({"cluster", "run"}),
    Hook.NODE: frozenset({"cluster", "node", "run"}),
    Hook.POINT: frozenset({"run", "cluster"}),
}
_EFFECTS: Mapping[FaultKind, frozenset[str]] = {
    FaultKind.ERROR: frozenset({"code", "reason", "message"}),
    FaultKind.DELAY: frozenset({"delay_seconds"}),
    FaultKind.DROP: frozenset({"after"}),
    FaultKind.THROTTLE: frozenset({"retry_after_seconds", "message"}),
    FaultKind.NODE_EVICTED: frozenset({"notice_seconds"}),
    FaultKind.CRASH: frozenset({"point"}),
}
_ONCE = frozenset(
    {
        FaultKind.NODE_EVICTED,
        FaultKind.NODE_LOST,
        FaultKind.PARTITION,
        FaultKind.OUT_OF_MEMORY,
        FaultKind.PROCESS_KILLED,
        FaultKind.CRASH,
    }
)
_CODES = frozenset(error.grpc_code for error in LocalAmlError.__subclasses__())
_LONGEST_SECONDS = 7 * 24 * 3600.0


@dataclass(frozen=True, slots=True)
class FaultTarget:
    """What a rule is about. Patterns with ``*``, ``?`` and ``[...]``; an empty one means anything.

    Attributes:
        method: ``RunService/SubmitRun``, or ``bytes/PUT/artifact`` for transfers (kinds: content, artifact, datastore,
            log).
        node: a node's id or its host name.
        store: a datastore's name or its container; ``contents`` (of snapshots) or ``artifacts``.
    """

    method: str = ""
    cluster: str = ""
    node: str = ""
    run: str = ""
    store: str = ""
    vm_size: str = ""


@dataclass(frozen=True, slots=True)
class FaultWhen:
    """Which of the matching occasions a rule strikes at.

    Attributes:
        count: at most so often; 0 for no limit.
        skip: the first so many occasions go well.
        every: only each n-th occasion after those.
        probability: and of these only with this probability, decided by `seed` and the number of the occasion.
        not_before, not_after: only in this time; None for no bound.
    """

    count: int = 0
    skip: int = 0
    every: int = 1
    probability: float = 1.0
    seed: int = 0
    not_before: datetime | None = None
    not_after: datetime | None = None


@dataclass(frozen=True, slots=True)
class FaultEffect:
    """The details of what goes wrong; each kind has its own.

    Attributes:
        code: of an error: a canonical gRPC code, which over HTTP becomes the status that goes with it.
        after: of a drop: messages of a stream, or bytes of a transfer, that get through; -1 for half of the bytes.
        notice_seconds: of an eviction: SIGTERM first, the end after so long.
        point: of a crash; one of `CRASH_POINTS`.
    """

    code: str = ""
    reason: str = ""
    message: str = ""
    delay_seconds: float = 0.0
    retry_after_seconds: float = 0.0
    after: int = -1
    notice_seconds: float = 0.0
    point: str = ""


@dataclass(frozen=True, slots=True)
class FaultRule:
    """One fault that was asked for."""

    fault_id: str
    kind: FaultKind
    target: FaultTarget = field(default_factory=FaultTarget)
    when: FaultWhen = field(default_factory=FaultWhen)
    effect: FaultEffect = field(default_factory=FaultEffect)


@dataclass(frozen=True, slots=True)
class RuleState:
    """A rule, with how many matching occasions there were and at how many it struck."""

    rule: FaultRule
    seen: int = 0
    struck: int = 0

    @property
    def is_used_up(self) -> bool:
        return 0 < self.rule.when.count <= self.struck


@dataclass(frozen=True, slots=True)
class Occasion:
    """Something that is about to happen, at a hook.

    Attributes:
        facts: names of what it is about, by part of a target; several where a thing has several names.
    """

    hook: Hook
    facts: Mapping[str, tuple[str, ...]]
    point: str = ""


def find_kind(word: str) -> FaultKind:
    """The kind of that name.

    Raises:
        InvalidArgument: ``FAULT_KIND_UNKNOWN``.
    """
    try:
        return FaultKind(word)
    except ValueError:
        known = ", ".join(kind.value for kind in FaultKind)
        raise InvalidArgument(
            "FAULT_KIND_UNKNOWN", f"{word[:64]!r} is not a kind of fault. There are: {known}.", {"kind": word[:64]}
        ) from None


def check_rule(rule: FaultRule) -> FaultRule:
    """The rule, with what its kind takes for granted filled in.

    Raises:
        InvalidArgument: ``FAULT_INVALID``: a part of it means nothing for its kind, or has no possible value.
    """

    def bad(why: str) -> InvalidArgument:
        return InvalidArgument("FAULT_INVALID", f"This fault of kind {rule.kind.value!r} cannot be: {why}.")

    known = frozenset[str]().union(*(_KNOWN[hook] for hook in _HOOKS[rule.kind]))
    for part in fields(FaultTarget):
        if getattr(rule.target, part.name) and part.name not in known:
            raise bad(f"it is not about a {part.name.replace('_', ' ')}; it takes {', '.join(sorted(known))}")
    when, effect = rule.when, rule.effect
    used = _EFFECTS.get(rule.kind, frozenset())
    for part in fields(FaultEffect):
        if getattr(effect, part.name) != part.default and part.name not in used:
            raise bad(f"{part.name} means nothing for it")
    if when.count < 0 or when.skip < 0 or when.every < 1:
        raise bad("count and skip must not be negative, and every must be at least 1")
    if not 0.0 <= when.probability <= 1.0:
        raise bad(f"the probability must be between 0 and 1 (it is {when.probability:g})")
    if when.not_before is not None and when.not_after is not None and when.not_after < when.not_before:
        raise bad("it ends before it begins")
    for name in ("delay_seconds", "retry_after_seconds", "notice_seconds"):
        if not 0.0 <= getattr(effect, name) <= _LONGEST_SECONDS:
            raise bad(f"{name} must be between 0 and {_LONGEST_SECONDS:g}")
    if effect.after < -1:
        raise bad("after must be a number of messages or bytes, or -1 for half of the bytes")
    if rule.kind is FaultKind.ERROR:
        code = effect.code.upper() or "UNAVAILABLE"
        if code not in _CODES:
            raise bad(f"{effect.code[:64]!r} is not an error code; there are {', '.join(sorted(_CODES))}")
        effect = replace(effect, code=code)
    if rule.kind is FaultKind.DELAY and effect.delay_seconds == 0:
        raise bad("delay_seconds says how long it takes, and must be more than 0")
    if rule.kind is FaultKind.CRASH and effect.point not in CRASH_POINTS:
        raise bad(f"point must be one of {', '.join(CRASH_POINTS)}")
    if rule.kind is FaultKind.CRASH and when.count == 0:
        raise bad("count must be at least 1, since without a limit the emulator would never come back to be told")
    return replace(rule, effect=effect)


def default_count(kind: FaultKind) -> int:
    """How often a rule strikes when nothing is said: what happens to nodes and runs, once; all else until cleared."""
    return 1 if kind in _ONCE else 0


def hooks_of(kind: FaultKind) -> frozenset[Hook]:
    """Where a kind strikes."""
    return _HOOKS[kind]


def matches(rule: FaultRule, occasion: Occasion) -> bool:
    """Whether a rule is about this."""
    if occasion.hook not in _HOOKS[rule.kind] or (rule.kind is FaultKind.CRASH and rule.effect.point != occasion.point):
        return False
    for part in fields(FaultTarget):
        pattern = getattr(rule.target, part.name)
        if pattern and not any(fnmatchcase(name, pattern) for name in occasion.facts.get(part.name, ())):
            return False
    return True


def consider(state: RuleState, occasion: Occasion, now: datetime) -> tuple[RuleState, bool]:
    """The rule's state after this occasion, and whether it strikes."""
    when = state.rule.when
    if state.is_used_up or not matches(state.rule, occasion) or not is_in_time(when, now):
        return state, False
    seen = state.seen + 1
    counted = seen - when.skip
    strikes = counted > 0 and counted % when.every == 0 and _chance(when, seen)
    return replace(state, seen=seen, struck=state.struck + strikes), strikes


def consider_all(
    states: Iterable[RuleState], occasion: Occasion, time_for: Callable[[str], datetime]
) -> tuple[list[RuleState], list[FaultRule]]:
    """As `consider`, for all rules: every one counts the occasion, whatever the others do.

    Args:
        time_for: the time as the rule of that id counts it.
    """
    after: list[RuleState] = []
    striking: list[FaultRule] = []
    for state in states:
        changed, strikes = consider(state, occasion, time_for(state.rule.fault_id))
        after.append(changed)
        if strikes:
            striking.append(state.rule)
    return after, striking


def is_in_time(when: FaultWhen, now: datetime) -> bool:
    """Whether a rule is in force."""
    return (when.not_before is None or when.not_before <= now) and (when.not_after is None or now <= when.not_after)


def _chance(when: FaultWhen, occasion: int) -> bool:
    # Of the occasion's number, not of a generator's state: other rules and restarts change nothing.
    return when.probability >= 1.0 or random.Random(f"{when.seed}:{occasion}").random() < when.probability  # noqa: S311
