"""Module and package belong together, or nothing works: says so before anything else can go wrong.

The stage-3 server has the module built in and uses its own copy of the package; a wheel has both. Who finds one here and the
other there (by PYTHONPATH, or after half an installation) gets an ImportError instead of a crash.
"""

from __future__ import annotations

import _asioloop

_HERE = __file__.rpartition("/")[0]  # pathlib would be a third of what importing asioloop costs

try:
    from ._build_id import BUILD_ID, VERSION
except ImportError:
    raise ImportError(
        f"asioloop in {_HERE} is the source, which is not built: install it (pip install .), "
        "or use the copy in a build's folder ext"
    ) from None

__all__ = ["BUILD_ID", "VERSION"]

if (_found := getattr(_asioloop, "build_id", "of unknown origin")) != BUILD_ID:
    _where = getattr(_asioloop, "__file__", "built into this program")
    raise ImportError(
        f"asioloop in {_HERE} is of build {BUILD_ID}, but its native module _asioloop "
        f"({_where}) is of build {_found}: install both from one build, or look at sys.path"
    )
