"""`python -m localaml.cli`, for where the console script is not on the PATH."""

from localaml.cli import main

main()
