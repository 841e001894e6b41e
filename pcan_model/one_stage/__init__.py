"""The one-stage form of PCAN: its detectors, and the attention modules on them."""
