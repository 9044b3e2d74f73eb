"""Answers of the admin service."""

from __future__ import annotations

from localaml.clock import Clock
from localaml.control.clock import advance, clock_facts
from localaml.services.context import ServiceContext
from localaml.services.messages import timestamp
from localaml.services.removal import empty_workspace, remove_everything
from localaml.services.rpc import Caller
from localaml.store import FORMAT_VERSION
from localaml_proto.admin.v1 import admin_pb2


class AdminService:
    """`localaml.admin.v1.AdminService`."""

    SERVICE = "localaml.admin.v1.AdminService"

    def __init__(self, context: ServiceContext) -> None:
        self._context = context

    async def get_info(self, request: admin_pb2.GetInfoRequest, caller: Caller) -> admin_pb2.GetInfoResponse:
        info = self._context.info()
        return admin_pb2.GetInfoResponse(
            version=info.version,
            state_dir=str(info.state_dir),
            state_format_version=FORMAT_VERSION,
            process_id=info.process_id,
            grpc_address=info.grpc_address,
            http_address=info.http_address,
            start_time=timestamp(info.start_time),
            compute_runtime=info.compute_runtime,
            ephemeral=info.ephemeral,
            active_run_count=self._context.store.runs.count_active(),
        )

    async def shutdown(self, request: admin_pb2.ShutdownRequest, caller: Caller) -> admin_pb2.ShutdownResponse:
        if request.cancel_runs:
            await self._context.orchestrator.cancel_all()
        self._context.shutdown()
        return admin_pb2.ShutdownResponse()

    async def reset(self, request: admin_pb2.ResetRequest, caller: Caller) -> admin_pb2.ResetResponse:
        if request.workspace:
            canceled = await empty_workspace(self._context, self._context.workspace(request.workspace))
            return admin_pb2.ResetResponse(canceled_run_count=canceled)
        reset = self._context.reset
        canceled = await remove_everything(self._context) if reset is None else await reset()
        return admin_pb2.ResetResponse(canceled_run_count=canceled)

    async def get_clock(self, request: admin_pb2.GetClockRequest, caller: Caller) -> admin_pb2.Clock:
        return _clock_message(self._context.clock)

    async def advance_clock(
        self, request: admin_pb2.AdvanceClockRequest, caller: Caller
    ) -> admin_pb2.AdvanceClockResponse:
        count = await advance(self._context.clock, request.seconds)
        return admin_pb2.AdvanceClockResponse(clock=_clock_message(self._context.clock), due_count=count)

    async def count_calls(self, request: admin_pb2.CountCallsRequest, caller: Caller) -> admin_pb2.CountCallsResponse:
        return admin_pb2.CountCallsResponse(counts=self._context.calls.counts())


def _clock_message(clock: Clock) -> admin_pb2.Clock:
    facts = clock_facts(clock)
    return admin_pb2.Clock(
        kind=facts.kind,
        time=timestamp(facts.now),
        scale=facts.scale,
        next_due=timestamp(facts.next_due) if facts.next_due is not None else None,
        timer_count=facts.timer_count,
    )
