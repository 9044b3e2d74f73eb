"""What uv prints becomes lines, however it comes in."""

from __future__ import annotations

import pytest

from localaml.jobs.environments.uv_output import UvOutput


@pytest.mark.parametrize("size", [1, 2, 5, 1000])
def test_pieces_become_lines(size: int) -> None:
    text = "Resolved 3 packages\r\n\n  + caf\u00e9==1\nhttps://user:secret@host/simple\nno end".encode()
    logged: list[str] = []
    output = UvOutput(logged.append)
    for begin in range(0, len(text), size):
        output.feed(text[begin : begin + size])
    lines = output.end()
    assert lines[:3] == ("Resolved 3 packages", "", "  + caf\u00e9==1")
    assert "secret" not in lines[3] and lines[4:] == ("no end",)
    assert logged == list(lines)


def test_a_line_without_an_end_does_not_fill_the_memory() -> None:
    output = UvOutput(lambda _: None)
    for _ in range(5):
        output.feed(b"x" * 50_000)
    assert sum(map(len, output.end())) == 250_000
    assert max(map(len, output.lines)) <= 100_000
