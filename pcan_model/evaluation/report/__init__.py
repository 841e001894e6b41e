"""The report of an evaluation: page, images, worst frames, provenance."""
