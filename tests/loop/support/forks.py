"""What a forked child does and says."""

from __future__ import annotations

import os
import traceback
import warnings
from collections.abc import Callable

#: What a loop says to a child of the process that made it.
REFUSED = "RuntimeError: Event loop was made before this process was forked: make a new one here"


def in_child(run: Callable[[], object]) -> str:
    """What it returned there, as text, or the exception that it raised."""
    there, here = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of forks in a process with threads
        child = os.fork()
    if child == 0:
        try:
            try:
                said = str(run())
            except BaseException as exc:
                said = traceback.format_exception_only(exc)[-1].strip()
            os.write(here, said.encode())
        finally:
            os._exit(0)
    os.close(here)
    with os.fdopen(there) as answer:
        text = answer.read()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    return text
