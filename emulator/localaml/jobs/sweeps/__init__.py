"""Performs sweeps: `domain.sweep_control` decides, this starts and cancels children and notes what came of it."""
