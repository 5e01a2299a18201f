"""What own_thread.cpp gives to Python."""

from asyncio import Future

def sum_of_squares(n: int, /) -> Future[int]:
    """Compute 1 + 4 + ... + n * n in a thread; the loop is free meanwhile."""

def join_threads() -> None:
    """Return when no thread computes any more."""
