"""gRPC calls through the method table: answers, streams, and every way to fail."""

from __future__ import annotations

import errno
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
from google.rpc import error_details_pb2, status_pb2

from localaml.domain.models import RunKey
from localaml.errors import NotFound
from localaml.services.rpc import Caller, bind_grpc, method_table, snake_case
from localaml.services.tokens import RunTokens, authenticator
from localaml_proto.v1 import run_pb2, run_pb2_grpc

OWNER = (("authorization", "Bearer owner-token"),)
GOING_ON = RunKey("ws", "exp_1_aaaaaaaa")
ENDED = RunKey("ws", "exp_1_bbbbbbbb")


class Runs:
    """A servicer that answers some rpcs well and some badly."""

    SERVICE = "localaml.v1.RunService"

    def __init__(self) -> None:
        self.callers: list[Caller] = []
        self.stream_ended = False

    async def get_run(self, request: run_pb2.GetRunRequest, caller: Caller) -> run_pb2.Run:
        self.callers.append(caller)
        if request.name == "missing":
            raise NotFound("RUN_NOT_FOUND", "There is no run 'missing'. Umlaut: ä %", {"run_id": "missing"})
        if request.name == "long":
            raise NotFound("RUN_NOT_FOUND", "ä" * 50_000, {"names": "n" * 50_000})
        if request.name == "defect":
            raise RuntimeError("inside")
        if request.name == "full":
            raise OSError(errno.ENOSPC, "No space left on device")
        return run_pb2.Run(name=request.name, number=7)

    async def cancel_run(self, request: run_pb2.CancelRunRequest, caller: Caller) -> Any:
        return "not a message"

    async def fail_run(self, request: run_pb2.FailRunRequest, caller: Caller) -> run_pb2.Run:
        raise NotImplementedError

    async def watch_run(self, request: run_pb2.WatchRunRequest, caller: Caller) -> AsyncIterator[run_pb2.Run]:
        try:
            for number in range(3):
                yield run_pb2.Run(name=request.name, number=number)
            if request.name == "missing":
                raise NotFound("RUN_NOT_FOUND", "gone")
        finally:
            self.stream_ended = True


@pytest.fixture
def servicer() -> Runs:
    return Runs()


@pytest.fixture
async def stub(servicer: Runs, tmp_path: Path) -> AsyncIterator[Any]:
    tokens = RunTokens(b"k" * 32)
    server = grpc.aio.server()
    bind_grpc(server, [servicer], authenticator("owner-token", tokens, lambda run: run == GOING_ON))
    address = f"unix:{tmp_path}/s"
    server.add_insecure_port(address)
    await server.start()
    async with grpc.aio.insecure_channel(address) as channel:
        yield run_pb2_grpc.RunServiceStub(channel)
    await server.stop(0)


def info_of(error: grpc.aio.AioRpcError) -> error_details_pb2.ErrorInfo:
    trailing = dict(error.trailing_metadata())
    status = status_pb2.Status.FromString(trailing["grpc-status-details-bin"])
    assert status.code == error.code().value[0]
    info = error_details_pb2.ErrorInfo()
    assert status.details[0].Unpack(info)
    assert info.domain == "localaml.dev"
    return info


async def test_unary_answers(stub: Any, servicer: Runs) -> None:
    run = await stub.GetRun(run_pb2.GetRunRequest(name="r"), metadata=OWNER)
    assert (run.name, run.number) == ("r", 7)
    assert servicer.callers == [Caller(is_owner=True)]


async def test_stream_answers_and_is_closed(stub: Any, servicer: Runs) -> None:
    numbers = [run.number async for run in stub.WatchRun(run_pb2.WatchRunRequest(name="r"), metadata=OWNER)]
    assert numbers == [0, 1, 2]
    assert servicer.stream_ended


async def test_error_carries_reason_message_and_metadata(stub: Any) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.GetRun(run_pb2.GetRunRequest(name="missing"), metadata=OWNER)
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND
    assert caught.value.details() == "There is no run 'missing'. Umlaut: ä %"
    info = info_of(caught.value)
    assert info.reason == "RUN_NOT_FOUND"
    assert dict(info.metadata) == {"run_id": "missing"}


async def test_error_in_the_middle_of_a_stream(stub: Any) -> None:
    seen = []
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        async for run in stub.WatchRun(run_pb2.WatchRunRequest(name="missing"), metadata=OWNER):
            seen.append(run.number)
    assert seen == [0, 1, 2]
    assert info_of(caught.value).reason == "RUN_NOT_FOUND"


async def test_very_long_error_still_arrives(stub: Any) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.GetRun(run_pb2.GetRunRequest(name="long"), metadata=OWNER)
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND
    assert str(caught.value.details()).endswith("...")
    assert info_of(caught.value).reason == "RUN_NOT_FOUND"


async def test_defect_is_logged_and_not_told(stub: Any, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR), pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.GetRun(run_pb2.GetRunRequest(name="defect"), metadata=OWNER)
    assert caught.value.code() is grpc.StatusCode.INTERNAL
    info = info_of(caught.value)
    assert info.reason == "INTERNAL_ERROR"
    assert "RuntimeError" not in str(caught.value.details())
    record = next(record for record in caplog.records if info.metadata["incident"] in record.getMessage())
    assert record.exc_info is not None and isinstance(record.exc_info[1], RuntimeError)


async def test_full_disk(stub: Any) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.GetRun(run_pb2.GetRunRequest(name="full"), metadata=OWNER)
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert info_of(caught.value).reason == "DISK_FULL"


async def test_wrong_answer_type_is_internal(stub: Any) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.CancelRun(run_pb2.CancelRunRequest(name="r"), metadata=OWNER)
    assert caught.value.code() is grpc.StatusCode.INTERNAL


async def test_unimplemented_names_the_method(stub: Any) -> None:
    for call in (
        stub.FailRun(run_pb2.FailRunRequest(), metadata=OWNER),
        stub.ListRuns(run_pb2.ListRunsRequest(), metadata=OWNER),
    ):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call
        assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED
        assert caught.value.details() is not None and "Run" in caught.value.details()


async def test_unknown_method_of_ours_is_named(stub: Any, tmp_path: Path) -> None:
    async with grpc.aio.insecure_channel(f"unix:{tmp_path}/s") as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await channel.unary_unary("/localaml.v1.RunService/FlyRun")(b"")
        assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED
        assert "FlyRun" in str(caught.value.details())


async def test_malformed_request(stub: Any, tmp_path: Path) -> None:
    async with grpc.aio.insecure_channel(f"unix:{tmp_path}/s") as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await channel.unary_unary("/localaml.v1.RunService/GetRun")(b"\xff\xff", metadata=OWNER)
        assert info_of(caught.value).reason == "MALFORMED_REQUEST"


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        (None, "TOKEN_MISSING"),
        ("Bearer nonsense", "TOKEN_INVALID"),
        ("Bearer lar1.bm8.00", "TOKEN_INVALID"),
        ("Basic owner-token", "TOKEN_INVALID"),
        (f"Bearer {RunTokens(b'other').make(GOING_ON)}", "TOKEN_INVALID"),
        (f"Bearer {RunTokens(b'k' * 32).make(ENDED)}", "RUN_TOKEN_EXPIRED"),
    ],
)
async def test_bad_tokens_are_refused(stub: Any, header: str | None, reason: str) -> None:
    metadata = (("authorization", header),) if header else ()
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.GetRun(run_pb2.GetRunRequest(name="r"), metadata=metadata)
    assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED
    assert info_of(caught.value).reason == reason


async def test_run_token_makes_a_run_caller(stub: Any, servicer: Runs) -> None:
    token = RunTokens(b"k" * 32).make(GOING_ON)
    await stub.GetRun(run_pb2.GetRunRequest(name="r"), metadata=(("authorization", f"Bearer {token}"),))
    assert servicer.callers == [Caller(is_owner=False, run=GOING_ON)]


def test_table_refuses_doubles_and_strangers() -> None:
    with pytest.raises(ValueError, match="two servicers"):
        method_table([Runs(), Runs()])
    with pytest.raises(TypeError):
        method_table([object()])


def test_snake_case() -> None:
    assert snake_case("CreateDatastoreUploadUrls") == "create_datastore_upload_urls"
