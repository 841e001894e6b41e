"""The levels of SipMask's pyramid."""

from __future__ import annotations

STRIDES = (8, 16, 32, 64, 128)  # pixels per cell of P3 to P7
MULTIPLE = 32  # the padded image is a multiple of it, pixels
