"""Apps to be named on a command line in every way."""

import os
import sys
from typing import Any

from asioserve import App

AT_IMPORT = os.environ.get("FROM_FILE")


def make_app(name: str) -> App:
    """An app that tells its name."""
    made = App()

    @made.get("/")
    async def root() -> dict[str, str]:
        return {"name": name}

    @made.get("/argv")
    async def argv() -> dict[str, Any]:
        return {"argv": sys.argv}

    @made.get("/environ")
    async def environ() -> dict[str, Any]:
        return {"at_import": AT_IMPORT, **os.environ}

    @made.get("/interpreter")
    async def interpreter() -> dict[str, Any]:
        return {
            "utf8": sys.flags.utf8_mode,
            "isolated": sys.flags.isolated,
            "executable": sys.executable,
            "prefix": sys.prefix,
            "base_prefix": sys.base_prefix,
            "path": sys.path,
            "asserts": __debug__,
            "main": sys.modules.get("__main__") is not None,
        }

    return made


class Holder:
    """For a dotted attribute."""

    app = make_app("held")


app = make_app("app")
other = make_app("other")
holder = Holder()
number = 7


def make() -> App:
    return make_app("made")


def make_nothing() -> None:
    """Named without --factory, this is no app."""
