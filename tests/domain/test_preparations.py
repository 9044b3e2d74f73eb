"""When a run is given up whose preparation ends the emulator."""

from __future__ import annotations

from typing import Any

from localaml.domain import preparations


def test_two_beginnings_without_an_end_are_enough() -> None:
    noted: dict[str, Any] = {"nodes": [["n", "host"]]}
    assert preparations.reason_to_give_up(noted) is None
    noted = preparations.begin(noted)
    assert preparations.reason_to_give_up(noted) is None and noted["nodes"]
    error = preparations.reason_to_give_up(preparations.begin(noted))
    assert error is not None and error.code == "PREPARATION_KILLS_EMULATOR" and "2 times" in error.message


def test_an_end_sets_the_count_back() -> None:
    noted = preparations.begin(preparations.end(preparations.begin({"kept": 1})))
    assert preparations.unfinished(noted) == 1 and noted["kept"] == 1
    assert preparations.reason_to_give_up(noted) is None


def test_a_record_with_nonsense_in_it_counts_as_none() -> None:
    assert preparations.unfinished({"preparations_begun": "many"}) == 0
