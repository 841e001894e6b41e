"""Ranking of frames by how unsure the model is, to choose what to label or correct first."""
