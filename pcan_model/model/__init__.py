"""The network: one file per box of the paper's Figures 1 to 3."""
