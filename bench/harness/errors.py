"""What can go wrong, as sentences for the person at the terminal."""


class BenchError(Exception):
    """The bench cannot go on; the text says why and what to do."""


class RefusedError(BenchError):
    """A load saw wrong answers or socket errors: its row has no figures, and the bench ends with a
    failure."""
