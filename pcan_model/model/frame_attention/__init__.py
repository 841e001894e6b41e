"""Frame-level attention to past frames: one base class, three kinds (Table 5)."""
