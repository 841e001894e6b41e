"""Reliability of the node, the commands and the tracker under load and faults: docs/reliability.md."""
