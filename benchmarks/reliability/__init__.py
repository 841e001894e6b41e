"""What the node, the commands and the tracker do under load, damage and time: docs/reliability.md."""
