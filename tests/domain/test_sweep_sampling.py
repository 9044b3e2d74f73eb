"""Values of a sweep's children: inside their bounds, the same for the same seed, every point of a grid once."""

from __future__ import annotations

import itertools
import math
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localaml.domain.sweep_sampling import DISTRIBUTIONS, draw, own_sampler
from localaml.domain.sweeps import Parameter, Sampling, Sweep, argument_words, option_of, reports_of


def sweep(sampling: Sampling, *parameters: Parameter, seed: int = 1, total: int = 1000) -> Sweep:
    return Sweep(sampling, parameters, seed, "acc", True, total, total)


def choice(option: str, *values: Any) -> Parameter:
    return Parameter(option, "choice", values)


def values_of(what: Sweep, count: int | None = None) -> list[dict[str, Any]]:
    sampler = own_sampler(what)
    found = [sampler.sample(index, ()) for index in range(what.max_total if count is None else count)]
    return [dict(values) for values in found if values is not None]


SEEDS = st.integers(0, 2**40)
NUMBERS = st.floats(-1e6, 1e6)
STEPS = st.integers(1, 1000)


class TestGrid:
    def test_the_order_is_that_of_the_parameters_and_the_last_one_changes_fastest(self) -> None:
        grid = sweep(Sampling.GRID, choice("--a", 1, 2), choice("--b", "x", "y", "z"))
        assert values_of(grid) == [{"--a": a, "--b": b} for a, b in itertools.product((1, 2), "xyz")]
        assert list(values_of(grid)[0]) == ["--a", "--b"]

    @given(st.lists(st.lists(st.integers(), min_size=1, max_size=5), min_size=1, max_size=4), SEEDS)
    def test_every_point_comes_exactly_once(self, options: list[list[int]], seed: int) -> None:
        # Equal options are options of their own, as in the product.
        grid = sweep(Sampling.GRID, *(choice(f"--p{n}", *each) for n, each in enumerate(options)), seed=seed)
        found = [tuple(values.values()) for values in values_of(grid, math.prod(map(len, options)) + 3)]
        assert found == list(itertools.product(*options))

    def test_it_can_be_larger_than_any_list(self) -> None:
        grid = sweep(Sampling.GRID, *(choice(f"--p{n}", *range(50)) for n in range(8)))
        assert values_of(grid, 51)[50] == {**dict.fromkeys([f"--p{n}" for n in range(8)], 0), "--p6": 1}


class TestRandom:
    @given(st.lists(st.integers(1, 5), min_size=1, max_size=3), SEEDS, st.integers(1, 200))
    def test_in_a_space_that_can_be_counted_no_point_comes_twice(self, sizes: list[int], seed: int, total: int) -> None:
        space = [choice(f"--c{n}", *range(size)) for n, size in enumerate(sizes)]
        space.append(Parameter("--r", "randint", (3,)))
        found = [tuple(values.items()) for values in values_of(sweep(Sampling.RANDOM, *space, seed=seed, total=total))]
        assert len(set(found)) == len(found) == min(total, 3 * math.prod(sizes))

    def test_equal_options_are_two(self) -> None:
        found = values_of(sweep(Sampling.RANDOM, choice("--a", 1, 1)))
        assert found == [{"--a": 1}, {"--a": 1}]

    def test_a_space_that_is_too_large_to_be_counted(self) -> None:
        space = [choice(f"--p{n}", *range(1000)) for n in range(30)]
        found = values_of(sweep(Sampling.RANDOM, *space, total=20))
        assert len({tuple(values.values()) for values in found}) == 20

    @given(SEEDS, st.integers(0, 500))
    def test_a_child_has_the_same_values_whenever_it_is_asked_for(self, seed: int, index: int) -> None:
        space = (Parameter("--u", "uniform", (0, 1)), Parameter("--n", "normal", (0, 1)), choice("--c", "a", "b"))
        what = sweep(Sampling.RANDOM, *space, seed=seed)
        assert own_sampler(what).sample(index, ()) == own_sampler(what).sample(index, ())
        assert own_sampler(what).sample(index, ()) != own_sampler(what).sample(index + 1, ())

    def test_another_seed_gives_other_values(self) -> None:
        space = Parameter("--u", "uniform", (0, 1))
        assert values_of(sweep(Sampling.RANDOM, space, seed=1, total=5)) != values_of(
            sweep(Sampling.RANDOM, space, seed=2, total=5)
        )


class TestDistributions:
    @given(SEEDS, NUMBERS, NUMBERS)
    def test_uniform(self, seed: int, one: float, other: float) -> None:
        low, high = sorted((one, other))
        assert low <= draw(Parameter("--x", "uniform", (low, high)), random.Random(seed)) <= high

    @given(SEEDS, NUMBERS, NUMBERS, STEPS)
    def test_quniform_is_a_whole_multiple_within_half_a_step(self, seed: int, one: float, other: float, q: int) -> None:
        low, high = sorted((one, other))
        value = draw(Parameter("--x", "quniform", (low, high, q)), random.Random(seed))
        assert isinstance(value, int)
        assert value % q == 0
        assert low - q / 2 <= value <= high + q / 2

    @given(SEEDS, st.floats(-50, 50), st.floats(-50, 50))
    def test_loguniform_takes_the_logarithms(self, seed: int, one: float, other: float) -> None:
        low, high = sorted((one, other))
        value = draw(Parameter("--x", "loguniform", (low, high)), random.Random(seed))
        assert math.exp(low) * 0.999999 <= value <= math.exp(high) * 1.000001

    @given(SEEDS, st.floats(-5, 20), st.floats(-5, 20), STEPS)
    def test_qloguniform(self, seed: int, one: float, other: float, q: int) -> None:
        low, high = sorted((one, other))
        value = draw(Parameter("--x", "qloguniform", (low, high, q)), random.Random(seed))
        assert value % q == 0
        assert math.exp(low) - q / 2 - 1e-6 <= value <= math.exp(high) * 1.000001 + q / 2

    @given(SEEDS, st.integers(1, 10**9))
    def test_randint_leaves_out_its_upper_end(self, seed: int, upper: int) -> None:
        assert 0 <= draw(Parameter("--x", "randint", (upper,)), random.Random(seed)) < upper

    @given(SEEDS, st.lists(st.integers(), min_size=1))
    def test_choice(self, seed: int, options: list[int]) -> None:
        assert draw(Parameter("--x", "choice", tuple(options)), random.Random(seed)) in options

    @given(SEEDS, NUMBERS, st.floats(0, 1e6), STEPS)
    def test_what_has_no_bounds_is_finite(self, seed: int, mu: float, sigma: float, q: int) -> None:
        for name in ("normal", "lognormal"):
            assert math.isfinite(draw(Parameter("--x", name, (mu, sigma)), random.Random(seed)))
        for name in ("qnormal", "qlognormal"):
            assert draw(Parameter("--x", name, (mu, sigma, q)), random.Random(seed)) % q == 0

    @pytest.mark.parametrize(
        ("name", "arguments", "mean"),
        [
            ("uniform", (2, 4), 3.0),
            ("quniform", (2, 4, 2), 3.0),
            ("normal", (5, 2), 5.0),
            ("qnormal", (6, 2, 3), 6.0),
            ("lognormal", (0, 0.5), math.exp(0.125)),
            ("qlognormal", (3, 0.1, 1), math.exp(3.005)),
            ("loguniform", (0, 1), math.e - 1),
            ("qloguniform", (2, 3, 1), math.e**3 - math.e**2),
            ("randint", (5,), 2.0),
            ("choice", (1, 2, 6), 3.0),
        ],
    )
    def test_their_means(self, name: str, arguments: tuple[Any, ...], mean: float) -> None:
        source = random.Random(0)
        drawn = [draw(Parameter("--x", name, arguments), source) for _ in range(20000)]
        assert sum(drawn) / len(drawn) == pytest.approx(mean, rel=0.03)

    def test_all_of_azures_are_there(self) -> None:
        assert len(DISTRIBUTIONS) == 10


class TestWords:
    def test_names_without_dashes_get_two(self) -> None:
        assert [option_of(name) for name in ("lr", "--lr", "-l", "batch-size")] == [
            "--lr",
            "--lr",
            "-l",
            "--batch-size",
        ]

    def test_values_as_words(self) -> None:
        values = {"--a": 1, "--b": 1.0, "--c": "x y", "--d": True, "--e": [1, "z"], "--f": 1e-05, "--g": None}
        assert argument_words(values) == [
            "--a", "1", "--b", "1.0", "--c", "x y", "--d", "True", "--e", '[1, "z"]', "--f", "1e-05", "--g", "None",
        ]  # fmt: skip

    def test_what_counts_as_a_report(self) -> None:
        assert reports_of(1) == [1.0]
        assert reports_of([1, 2.5]) == [1.0, 2.5]
        assert [reports_of(value) for value in ("0.5", True, None, {"a": 1}, ["x", None])] == [[], [], [], [], []]
        assert math.isnan(reports_of(float("nan"))[0])


def test_a_grid_with_more_points_than_can_be_counted_gives_its_first_ones() -> None:
    parameters = [choice(f"--p{number}", *range(10)) for number in range(40)]
    found = values_of(sweep(Sampling.GRID, *parameters, total=12))
    assert [each["--p39"] for each in found] == [*range(10), 0, 1]
    assert [each["--p38"] for each in found] == [0] * 10 + [1] * 2
