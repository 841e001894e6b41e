"""The report of an evaluation: HTML page, images, worst frames, provenance."""
