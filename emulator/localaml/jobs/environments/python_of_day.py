"""Which Python an environment gets that names none, when packages are to be those of a past day.

Packages of 2019 neither have wheels for a Python of 2022 nor build on it: the day decides about both.
"""

from __future__ import annotations

from datetime import date, timedelta

from packaging.specifiers import SpecifierSet

from localaml.jobs.environments.conda import PythonWish

# Minor versions of Python 3 and the day of their release. 3.6 is the oldest that the SDK runs on.
_RELEASES = (
    (7, date(2018, 6, 27)),
    (8, date(2019, 10, 14)),
    (9, date(2020, 10, 5)),
    (10, date(2021, 10, 4)),
    (11, date(2022, 10, 24)),
    (12, date(2023, 10, 2)),
    (13, date(2024, 10, 7)),
    (14, date(2025, 10, 7)),
)
# Until large packages had wheels for a new Python.
_UNTIL_PACKAGES = timedelta(days=180)


def python_of_day(day: str) -> PythonWish:
    """Any Python from 3.6 on that packages supported on an ISO day; no wish for a day later than the releases known."""
    try:
        known = date.fromisoformat(day[:10])
    except ValueError:
        return PythonWish()  # uv, which gets it next, says what is wrong with it
    for minor, released in _RELEASES:
        if known < released + _UNTIL_PACKAGES:
            text = f">=3.6,<3.{minor}"
            return PythonWish(f"{text} (of {day})", specifiers=SpecifierSet(text))
    return PythonWish()
