"""A client of the node: sends images over DDS and receives the tracks."""
