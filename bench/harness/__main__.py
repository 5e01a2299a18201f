"""python -m bench.harness TARGET: see bench.sh."""

import sys

from bench.harness.cli import main

sys.exit(main())
