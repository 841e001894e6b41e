"""Frame-level attention: how the current frame reads past ones. One seam, three kinds (Table 5)."""
