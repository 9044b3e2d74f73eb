"""The short form of `scripts/campaign soak`; and that its verdict sees what grows."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from campaigns.soak.campaign import Options, perform
from campaigns.soak.samples import Sample, Tolerance, Tolerances, judge

pytestmark = pytest.mark.timeout(180)

# Twenty seconds are all warming up, on a machine that has other work: only what leaks with every run shows.
SHORT = Tolerances(
    memory=Tolerance(0.1, 25.0),
    descriptors=Tolerance(0.0, 15.0),
    threads=Tolerance(0.0, 8.0),
    disk=Tolerance(1.0, 40.0),
    submit_median=Tolerance(2.0, 200.0),
    submit_p95=Tolerance(4.0, 1000.0),
)


@pytest.mark.slow
def test_a_short_soak_is_flat(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert perform(Options(seconds=20, tolerances=SHORT, folder=tmp_path / "it")), capsys.readouterr().out


def samples() -> list[Sample]:
    return [
        Sample(
            seconds=float(n),
            runs=10 * n,
            memory=100 << 20,
            descriptors=30,
            threads=8,
            run_folders=2,
            disk=10_000 * n,
            submits=(0.01, 0.012),
            floors=(0.002,),
        )
        for n in range(50)
    ]


def test_what_stays_is_flat() -> None:
    assert all(row.is_flat for row in judge(samples(), Tolerances()))


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("memory", lambda n: {"memory": (100 + n) << 20}),
        ("descriptors", lambda n: {"descriptors": 30 + n}),
        ("threads", lambda n: {"threads": 8 + n}),
        ("folders of runs", lambda n: {"run_folders": n}),
        ("disk for each run", lambda n: {"disk": 3_000 * n * n}),
        ("submit, median", lambda n: {"submits": (0.01 + 0.001 * n, 0.01 + 0.001 * n)}),
        ("submit, 95 %", lambda n: {"submits": (0.01, 0.01 + 0.01 * n)}),
    ],
)
def test_what_grows_is_told(name: str, changes: object) -> None:
    assert callable(changes)
    growing = [replace(sample, **changes(number)) for number, sample in enumerate(samples())]
    assert name in [row.name for row in judge(growing, Tolerances()) if not row.is_flat]


def test_a_machine_that_has_become_slower_is_no_fault_of_the_emulator() -> None:
    slower = [
        replace(each, submits=(0.01 * (1 + n // 25),), floors=(0.002 * (1 + n // 25),))
        for n, each in enumerate(samples())
    ]
    assert all(row.is_flat for row in judge(slower, Tolerances()))
    only_the_emulator = [replace(each, submits=(0.01 * (1 + n // 25),)) for n, each in enumerate(samples())]
    assert [row.name for row in judge(only_the_emulator, Tolerances()) if not row.is_flat] == ["submit, median"]


def test_too_short_a_time_is_told() -> None:
    with pytest.raises(ValueError, match="too few"):
        judge(samples()[:5], Tolerances())
