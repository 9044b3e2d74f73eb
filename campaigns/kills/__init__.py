"""Clients at work while their emulator is killed again and again; in the end all that was answered must be there.

job.py          what the runs do; also says what they must have left
clients.py      what the clients do, each with names of its own
ledger.py       what may be true of each thing, from what was answered, and the journal of it
killer.py       when and how the emulator is killed
checks/         what is compared at the end
report.py       the table
"""
