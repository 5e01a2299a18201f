"""An app that raises when it is imported."""

raise RuntimeError("the config is missing")
