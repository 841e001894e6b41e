"""Images for people: overlays, videos, contact sheets, attention maps."""
