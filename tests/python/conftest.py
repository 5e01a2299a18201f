"""The package is tested as it is in the tree, without a server."""

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
for folder in (HERE, HERE.parents[1] / "common"):
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
