"""The package is tested as it is in the tree, without a server."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
for folder in (ROOT, ROOT / "common"):
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
