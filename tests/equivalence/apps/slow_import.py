"""An app whose import takes longer than any test."""

import sys
import time

print("importing slowly", file=sys.stderr, flush=True)
time.sleep(600)
