"""Python environments of jobs."""
