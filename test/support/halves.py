"""An exported model in 16 bits, or what 8 bits leave of it, without exporting it again."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

from pcan_model.export.precision import narrow


def halve(folder: Path, target: Path) -> Path:
    """Copy an exported model, let what is heavy and not rounded compute in 16 bits, and return the copy."""
    shutil.copytree(folder, target)
    narrow(target)
    manifest = json.loads((target / "manifest.json").read_text())
    hashes = {name: hashlib.sha256((target / name).read_bytes()).hexdigest() for name in manifest["sha256"]}
    manifest |= {"sha256": hashes, "rest" if manifest.get("rest") else "precision": "fp16"}
    (target / "manifest.json").write_text(json.dumps(manifest))
    return target
