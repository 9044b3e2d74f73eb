"""Answers of the fault service."""

from __future__ import annotations

from datetime import datetime, timedelta

from localaml.control.faults import FaultControl
from localaml.domain.faults import (
    FaultEffect,
    FaultRule,
    FaultTarget,
    FaultWhen,
    RuleState,
    default_count,
    find_kind,
)
from localaml.errors import InvalidArgument, Unimplemented
from localaml.services.context import ServiceContext
from localaml.services.messages import timestamp
from localaml.services.paging import unreadable_ones
from localaml.services.rpc import Caller
from localaml_proto.admin.v1 import fault_pb2

_LONGEST_SECONDS = 10 * 366 * 86_400.0


class FaultService:
    """`localaml.admin.v1.FaultService`."""

    SERVICE = "localaml.admin.v1.FaultService"

    def __init__(self, context: ServiceContext) -> None:
        self._context = context

    async def add_fault(self, request: fault_pb2.AddFaultRequest, caller: Caller) -> fault_pb2.Fault:
        now = self._context.clock.now()
        state = self._faults.add(_rule(request.fault, now))
        return _message(state, now)

    async def list_faults(self, request: fault_pb2.ListFaultsRequest, caller: Caller) -> fault_pb2.ListFaultsResponse:
        faults = [_message(state, at) for state, at in self._faults.list()]
        broken = unreadable_ones(self._context.store.faults.stored())
        return fault_pb2.ListFaultsResponse(faults=faults, unreadable=broken)

    async def clear_faults(
        self, request: fault_pb2.ClearFaultsRequest, caller: Caller
    ) -> fault_pb2.ClearFaultsResponse:
        return fault_pb2.ClearFaultsResponse(cleared_count=self._faults.clear(request.fault_ids))

    @property
    def _faults(self) -> FaultControl:
        if self._context.faults is None:
            raise Unimplemented("FAULTS_NOT_SUPPORTED", "This emulator was put together without faults.")
        return self._context.faults


def _rule(fault: fault_pb2.Fault, now: datetime) -> FaultRule:
    kind, target, when, effect = find_kind(fault.kind), fault.target, fault.when, fault.effect
    return FaultRule(
        "",
        kind,
        FaultTarget(target.method, target.cluster, target.node, target.run, target.store, target.vm_size),
        FaultWhen(
            count=when.count if when.HasField("count") else default_count(kind),
            skip=when.skip,
            every=when.every if when.HasField("every") else 1,
            probability=when.probability if when.HasField("probability") else 1.0,
            seed=when.seed,
            not_before=_later(now, when.start_seconds) if when.HasField("start_seconds") else None,
            not_after=_later(now, when.end_seconds) if when.HasField("end_seconds") else None,
        ),
        FaultEffect(
            code=effect.code,
            reason=effect.reason,
            message=effect.message,
            delay_seconds=effect.delay_seconds,
            retry_after_seconds=effect.retry_after_seconds,
            after=effect.after if effect.HasField("after") else -1,
            notice_seconds=effect.notice_seconds,
            point=effect.point,
        ),
    )


def _later(now: datetime, seconds: float) -> datetime:
    if not 0 <= seconds <= _LONGEST_SECONDS:
        raise InvalidArgument("FAULT_INVALID", f"A fault cannot begin or end {seconds:g} seconds from now.")
    return now + timedelta(seconds=seconds)


def _message(state: RuleState, added_at: datetime) -> fault_pb2.Fault:
    rule = state.rule
    target, when, effect = rule.target, rule.when, rule.effect
    message = fault_pb2.Fault(
        fault_id=rule.fault_id,
        kind=rule.kind.value,
        target=fault_pb2.FaultTarget(
            method=target.method,
            cluster=target.cluster,
            node=target.node,
            run=target.run,
            store=target.store,
            vm_size=target.vm_size,
        ),
        when=fault_pb2.FaultWhen(
            count=when.count, skip=when.skip, every=when.every, probability=when.probability, seed=when.seed
        ),
        effect=fault_pb2.FaultEffect(
            code=effect.code,
            reason=effect.reason,
            message=effect.message,
            delay_seconds=effect.delay_seconds,
            retry_after_seconds=effect.retry_after_seconds,
            notice_seconds=effect.notice_seconds,
            point=effect.point,
        ),
        seen_count=state.seen,
        struck_count=state.struck,
        used_up=state.is_used_up,
        create_time=timestamp(added_at),
    )
    if effect.after >= 0:
        message.effect.after = effect.after
    for name, time in (("start_seconds", when.not_before), ("end_seconds", when.not_after)):
        if time is not None:
            setattr(message.when, name, (time - added_at).total_seconds())
    return message
