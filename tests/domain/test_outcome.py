"""How a run ends."""

from __future__ import annotations

import pytest

from localaml.domain.models import ErrorInfo
from localaml.domain.outcome import ProcessesEnd, Stop, StopReason, decide, stronger
from localaml.domain.run_lifecycle import RunEvent

GOOD = ProcessesEnd(None)
BAD = ProcessesEnd(ErrorInfo("USER_SCRIPT_FAILED", "exit code 3"))
WISH = ErrorInfo("UserError", "told so")


@pytest.mark.parametrize("end", [None, GOOD, BAD])
@pytest.mark.parametrize("wish", [None, WISH])
def test_a_stopped_run_ends_for_the_reason_it_was_stopped(end: ProcessesEnd | None, wish: ErrorInfo | None) -> None:
    assert decide(Stop(StopReason.CANCELED, "c"), end, wish).event is RunEvent.END_CANCELED
    timed_out = decide(Stop(StopReason.TIMED_OUT, "t"), end, wish)
    assert timed_out.event is RunEvent.FAIL
    assert timed_out.error is not None and timed_out.error.code == "MAX_RUN_DURATION_EXCEEDED"
    lost = decide(Stop(StopReason.NODE_LOST, "l", "n1"), end, wish)
    assert lost.error is not None and lost.error.code == "NODE_LOST" and lost.error.metadata["node_id"] == "n1"
    for reason, code in [(StopReason.OUT_OF_MEMORY, "OUT_OF_MEMORY"), (StopReason.PROCESS_KILLED, "PROCESS_KILLED")]:
        killed = decide(Stop(reason, "k"), end, wish)
        assert killed.event is RunEvent.FAIL and killed.error is not None and killed.error.code == code


@pytest.mark.parametrize("end", [None, GOOD, BAD])
@pytest.mark.parametrize("wish", [None, WISH])
def test_an_evicted_run_goes_back_to_the_queue(end: ProcessesEnd | None, wish: ErrorInfo | None) -> None:
    outcome = decide(Stop(StopReason.NODE_EVICTED, "e", "n1"), end, wish)
    assert outcome.event is RunEvent.REQUEUE and outcome.error is None


@pytest.mark.parametrize("first", list(StopReason))
@pytest.mark.parametrize("second", list(StopReason))
def test_the_first_wish_counts_but_an_eviction_yields(first: StopReason, second: StopReason) -> None:
    one, other = Stop(first, "1"), Stop(second, "2")
    yields = first is StopReason.NODE_EVICTED and second is not StopReason.NODE_EVICTED
    assert stronger(one, other) is (other if yields else one)
    assert stronger(None, other) is other


def test_only_good_ends_complete() -> None:
    assert decide(None, GOOD, None).event is RunEvent.COMPLETE
    assert decide(None, BAD, None).error is BAD.error
    assert decide(None, BAD, WISH).error is BAD.error
    assert decide(None, GOOD, WISH).error is WISH


def test_no_end_without_a_reason() -> None:
    with pytest.raises(ValueError, match="processes"):
        decide(None, None, None)
