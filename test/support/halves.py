"""An exported model with its heavy layers in 16 bits, without exporting it again."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

from pcan_model.export.model import narrow


def halve(folder: Path, target: Path) -> Path:
    """Copy an exported model, let its heavy layers compute in 16 bits, and return the copy."""
    shutil.copytree(folder, target)
    narrow(target)
    manifest = json.loads((target / "manifest.json").read_text())
    hashes = {name: hashlib.sha256((target / name).read_bytes()).hexdigest() for name in manifest["sha256"]}
    manifest |= {"precision": "fp16", "sha256": hashes}
    (target / "manifest.json").write_text(json.dumps(manifest))
    return target
