"""strace where tracing is not allowed."""

import sys

sys.exit(1)
