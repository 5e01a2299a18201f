"""The bench of event loops: the same asyncio programs on each of them, in turns. See ../README.md."""
