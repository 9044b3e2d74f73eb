"""What has to be made new in a process that forks."""

import os
from typing import Callable


def in_child_after_fork(call: Callable[[], None]) -> None:
    """Calls it in every child that is forked from now on, before anything else of the child runs."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=call)
    elif hasattr(os, "fork"):
        # Python 3.6: `multiprocessing` forks by this function, too.
        fork = os.fork

        def fork_and_call() -> int:
            child = fork()
            if child == 0:
                call()
            return child

        os.fork = fork_and_call
