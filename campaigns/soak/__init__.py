"""An emulator kept busy with small runs for a while: what it needs at the end is what it needed at the start.

load.py       who keeps it busy
samples.py    what is measured, and whether it is flat
"""
