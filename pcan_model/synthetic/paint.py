"""Lacquers and other colours of vehicles."""

from __future__ import annotations

import numpy as np

from pcan_model.synthetic.canvas import (
    Colour,
)

PAINTS: tuple[Colour, ...] = (
    (232, 232, 230), (205, 207, 208), (150, 153, 157), (92, 95, 99), (32, 33, 36), (20, 20, 24),
    (150, 24, 28), (196, 40, 36), (28, 52, 112), (48, 92, 160), (40, 74, 58), (120, 104, 80),
    (214, 190, 60), (196, 110, 40), (86, 40, 48), (104, 132, 148), (240, 238, 228), (60, 64, 70),
)  # fmt: skip
TAXI: Colour = (240, 190, 20)
DARK: Colour = (24, 24, 27)
PANE: Colour = (42, 50, 58)
PLATE: Colour = (226, 226, 214)
WHITE_LAMP: Colour = (250, 246, 225)
RED_LAMP: Colour = (190, 22, 24)


def random_paint(rng: np.random.Generator) -> Colour:
    """Draw a lacquer, slightly off its tabulated colour."""
    base = TAXI if rng.random() < 0.06 else PAINTS[rng.integers(len(PAINTS))]
    r, g, b = (np.array(base) * rng.uniform(0.85, 1.1) + rng.normal(0, 6, 3)).clip(8, 250).tolist()
    return r, g, b


def random_rim(rng: np.random.Generator) -> Colour:
    """Draw the grey of a wheel."""
    v = float(rng.uniform(70, 190))
    return v, v, v + 4
