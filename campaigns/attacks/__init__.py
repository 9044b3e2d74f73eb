"""Attacks on LocalAML as outsiders make them: with stolen, old and foreign tokens, altered URLs, hostile names, files
and archives, from a web page, from a job, and as another user of the machine.

Each test is a case of its own, goes through real clients against a real emulator, and says in the end what is still as
it was. `scripts/campaign attacks` runs all of them; pytest runs them with the other tests.
"""
