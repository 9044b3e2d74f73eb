"""Steering the imitated cloud from outside: its time, and what is known of the calls made to it."""
