"""Answers of the event service."""

from __future__ import annotations

from collections.abc import AsyncGenerator

from localaml.domain.models import Event
from localaml.errors import InvalidArgument
from localaml.services.context import ServiceContext
from localaml.services.messages import timestamp
from localaml.services.paging import fill_page, items_of
from localaml.services.rpc import Caller
from localaml.store import EVENTS_TOPIC, EventFilter
from localaml_proto.admin.v1 import event_pb2

_KINDS = ("", "run", "node", "cluster", "fault")
_PAGE = 1000


class EventService:
    """`localaml.admin.v1.EventService`."""

    SERVICE = "localaml.admin.v1.EventService"

    def __init__(self, context: ServiceContext) -> None:
        self._context = context

    async def list_events(self, request: event_pb2.ListEventsRequest, caller: Caller) -> event_pb2.ListEventsResponse:
        limit = request.limit or _PAGE
        if not 0 < limit <= _PAGE:
            raise InvalidArgument("INVALID_LIMIT", f"limit must be between 1 and {_PAGE}, not {request.limit}.")
        found = self._context.store.events.newest_stored(self._filter(request.filter), request.after, limit)
        response = event_pb2.ListEventsResponse()
        items = items_of((("", each) for each in found), event_message)
        fill_page(response.events, items, limit, response.unreadable)
        return response

    async def watch_events(
        self, request: event_pb2.WatchEventsRequest, caller: Caller
    ) -> AsyncGenerator[event_pb2.Event, None]:
        events, wanted = self._context.store.events, self._filter(request.filter)
        with self._context.store.changes.subscribe(EVENTS_TOPIC) as subscription:
            after = events.last() if request.after < 0 else request.after
            while True:
                last = events.last()
                while found := events.list(wanted, after, _PAGE):
                    for event in found:
                        yield event_message(event)
                    after = found[-1].sequence
                # What did not pass the filter is not read again.
                after = max(after, last)
                await subscription.wait()

    def _filter(self, wanted: event_pb2.EventFilter) -> EventFilter:
        if wanted.kind not in _KINDS:
            known = ", ".join(_KINDS[1:])
            raise InvalidArgument("EVENT_KIND_UNKNOWN", f"{wanted.kind[:64]!r} is no kind of event: use {known}.")
        workspace_id = self._context.workspace(wanted.workspace).workspace_id if wanted.workspace else ""
        return EventFilter(workspace_id, wanted.run_id, wanted.cluster, wanted.kind)


def event_message(event: Event) -> event_pb2.Event:
    return event_pb2.Event(
        sequence=event.sequence,
        time=timestamp(event.at),
        kind=event.kind,
        subject=event.subject,
        old_state=event.old_state,
        new_state=event.new_state,
        cause=event.cause,
        workspace_id=event.workspace_id,
        cluster=event.cluster,
        run_id=event.run_id,
    )
