"""The import names and signatures of the Azure Machine Learning SDK v1, talking to a LocalAML emulator.

Needs nothing but the standard library of Python 3.7 or later. Importing a package loads none of its parts: names are
looked up when they are first used (PEP 562).
"""
