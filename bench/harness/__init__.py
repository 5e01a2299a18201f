"""Runs the servers and the loads, and keeps the figures: python -m bench.harness --help."""
