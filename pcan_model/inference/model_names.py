"""Finds the folder of a model by a shipped name, a path, or a name on the Hugging Face hub."""

from __future__ import annotations

import re
from pathlib import Path

from pcan_model.core.package_files import SHIPPED_MODELS, shared
from pcan_model.core.storage import local
from pcan_model.inference.errors import ModelError

HUB = "hf://"
REPOSITORY = re.compile(r"(?P<repo>[\w.-]+/[\w.-]+)(@(?P<revision>[\w./-]+))?")
EXPECTED = f"{', '.join(SHIPPED_MODELS)}, the folder of an exported model, or {HUB}OWNER/NAME[@REVISION]"


def find_model(model: str | Path) -> Path:
    """Return the folder of a model; one on the hub is downloaded once and kept in the hub's cache.

    model  a name of SHIPPED_MODELS (as text, it wins over a folder of that name), a folder, also at an
           address such as s3://bucket/model, or `hf://OWNER/NAME[@REVISION]`

    Raises ModelError if there is none, if it cannot be downloaded, or if huggingface_hub is not installed.
    """
    text = str(model)
    if isinstance(model, str) and text.removeprefix("pcan_") in SHIPPED_MODELS:
        return shared(f"models/{SHIPPED_MODELS[text.removeprefix('pcan_')]}")
    if text.startswith(HUB):
        return _from_hub(text)
    folder = local(model).expanduser()
    if not folder.is_dir():
        raise ModelError(f"{text}: expected {EXPECTED}; got no such folder")
    return folder


def _from_hub(name: str) -> Path:
    found = REPOSITORY.fullmatch(name.removeprefix(HUB))
    if found is None:
        raise ModelError(f"{name}: expected {HUB}OWNER/NAME[@REVISION]")
    try:
        from huggingface_hub import snapshot_download
    except ModuleNotFoundError as error:
        raise ModelError(f"{name}: needs huggingface_hub: pip install huggingface_hub") from error
    try:
        return Path(snapshot_download(found["repo"], revision=found["revision"]))
    except (OSError, ValueError) as error:  # those of the library, of the network and of the disk
        raise ModelError(f"{name}: cannot be downloaded: {' '.join(str(error).split())}") from error
