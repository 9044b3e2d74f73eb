"""Campaigns look for faults in LocalAML as a whole: an emulator that is killed, fed with nonsense, kept busy, attacked.

`scripts/campaign NAME` runs the long form of one; the tests in `tests/campaigns` run a short form of each.
"""
