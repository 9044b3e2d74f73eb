"""Estimators: training scripts with everything around them in one object."""
