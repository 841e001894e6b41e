"""The other side of the node: images sent to it over DDS, and what it publishes."""
