"""Snapshots of source folders (being built)."""
