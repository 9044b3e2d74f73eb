"""Base classes that Azure's SDK has in this package."""
