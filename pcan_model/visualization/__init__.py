"""Overlays, videos, contact sheets and attention maps."""
