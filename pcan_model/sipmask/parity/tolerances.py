"""How far from the recorded numbers is the same: about ten times what rounding does.

Absolute unless marked `relative`; arrays that are compared without a tolerance are equal.
"""

STAGES = 2e-4  # C2 to C5, whose values reach 29
PYRAMID_UNIT, PYRAMID_CLIP = 5e-5, 3e-4  # P3 to P7
CLASSES = 1e-4  # logits
DISTANCES = 2e-3  # pixels
HEAD = 5e-5  # centre-ness logits, coefficients, basis, aligned features
TRACK = 5e-6  # tracking map and embeddings
ALIGN_GRADIENTS = 1e-5  # relative to the largest
BOXES_CLIP, SCORES_CLIP = 3e-3, 3e-6  # detections from pixels: pixels, probability
BOXES_UNIT = 1e-4  # detections from given maps, pixels
MASKS = 3e-5  # mask values
MATCHING = 1e-4  # matching scores
LOSSES = 1e-5  # relative
GRADIENTS = 1e-5  # norms, relative to the largest
GRADIENTS_INIT = 1e-3  # boxes of almost no area amplify rounding
GRADIENT_SUMS = 1e-3  # relative to norm times root of the size: they cancel
