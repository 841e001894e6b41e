"""Frame-level attention: how the current frame reads past ones. One base class, three kinds (Table 5)."""
