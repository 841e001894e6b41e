"""Label formats of the data sets: frames and clips of masks in and out; no camera image is read."""
