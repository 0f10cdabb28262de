"""Measurements, one a module: ``python -m benchmarks.NAME`` prints a table, with ``--json`` one JSON document."""
