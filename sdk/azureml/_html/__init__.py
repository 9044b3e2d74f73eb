"""What projects import of Azure's inner package of this name."""
