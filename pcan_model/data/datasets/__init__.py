"""The data sets as they lie on disk, each opened as clips."""
