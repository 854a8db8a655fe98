"""Benchmarks: how long the user waits, next to other notebook widgets; `python -m benchmarks`."""
