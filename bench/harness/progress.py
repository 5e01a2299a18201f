"""A progress bar, or plain lines now and then where nobody has a terminal."""

import sys
import time
from typing import TextIO

_PLAIN_EVERY = 10.0


class Progress:
    """Counts in estimated seconds of work. Writes to stderr, so that stdout has the tables alone."""

    def __init__(self, total: float, stream: TextIO = sys.stderr) -> None:
        self._total = max(total, 0.001)
        self._done = 0.0
        self._began = time.monotonic()
        self._last_plain = -_PLAIN_EVERY
        self._stream = stream
        self._terminal = stream.isatty()

    def step(self, what: str, seconds: float) -> None:
        """Shows that `what` begins now, which should take so long."""
        now = time.monotonic() - self._began
        part = min(self._done / self._total, 1.0)
        # The estimate knows the bursts but not the pauses between them, so the pace so far corrects it.
        pace = now / self._done if self._done > 2 else 1.1
        left = max(self._total - self._done, 0.0) * pace
        self._done += seconds
        text = f"{part:4.0%}  {_clock(now)} gone, {_clock(left)} left  {what}"
        if self._terminal:
            bar = "█" * round(part * 24)
            self._stream.write(f"\r\x1b[K[{bar:<24}] {text}")
            self._stream.flush()
        elif now - self._last_plain >= _PLAIN_EVERY:
            self._last_plain = now
            print(f"bench: {text}", file=self._stream, flush=True)

    def say(self, text: str) -> None:
        """A line that stays."""
        self._stream.write(("\r\x1b[K" if self._terminal else "") + f"bench: {text}\n")
        self._stream.flush()

    def end(self) -> None:
        """Takes the bar away."""
        if self._terminal:
            self._stream.write("\r\x1b[K")
            self._stream.flush()


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"
