"""The networks of `squares`, changed so that their outputs reveal every state.

Embeddings and features tell the frame memory, masks tell the prototype bank. A buffer that is read or
written in the wrong turn changes what comes out, in this frame or in a later one.
"""

from __future__ import annotations

from pathlib import Path

from support import squares

FRAME = (
    squares.FRAME.replace(
        "  embeds = Gather<axis = 0>(looks, order)\n",
        "  looks_now = Gather<axis = 0>(looks, order)\n"
        "  remembered = ReduceMean<keepdims = 0>(mem_k)\n"
        "  embeds = Add(looks_now, remembered)\n",
    )
    .replace("roi_features = Identity(features)", "roi_features = Add(features, brightness)")
    .replace(
        "  mem_k_next = Add(mem_k, one)\n",
        "  faded = Mul(mem_k, half)\n  mem_k_next = Add(faded, brightness)\n",
    )
    .replace("  distance = Sub", "  brightness = ReduceMean<keepdims = 0>(pixels)\n  distance = Sub")
)
INSTANCE = (
    squares.INSTANCE.replace(
        "  refined = Identity(mask_logits)\n",
        "  own = Gather<axis = 0>(bank, slot)\n"
        "  prototype = ReduceMean<axes = [1, 2], keepdims = 1>(own)\n"
        "  refined = Add(mask_logits, prototype)\n",
    )
    .replace(
        "  written = Reshape(has, rows)\n",
        "  seen = ReduceMean<axes = [1, 2, 3], keepdims = 0>(roi_features)\n"
        "  by_row = Gather<axis = 0>(seen, owner)\n"
        "  kept = Mul(by_row, has)\n"
        "  written = Reshape(kept, rows)\n"
        "  faded = Mul(bank, half)\n",
    )
    .replace(
        "bank_next = Add(bank, written)",
        "changed = Add(faded, written)\n"
        "  flags = Reshape(has, rows)\n"
        "  asked = Cast<to = 9>(flags)\n"
        "  bank_next = Where(asked, changed, bank)",  # who writes nothing changes nothing, as in the real one
    )
)


def export_telltale(folder: Path) -> Path:
    """Write the networks as an exported model and return its folder."""
    return squares.export_graphs(folder, FRAME, INSTANCE)
