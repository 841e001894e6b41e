"""Pictures for people: overlays, videos, contact sheets."""
