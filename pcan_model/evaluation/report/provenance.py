"""Provenance of a report: command, commit, weights, machine and versions."""

from __future__ import annotations

import os
import platform
import shlex
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from resource import RUSAGE_CHILDREN, RUSAGE_SELF, getrusage

from pcan_model.core.config import ConfigError
from pcan_model.data.files import visible_below
from pcan_model.evaluation.setup import Setup
from pcan_model.inference.errors import ModelError
from pcan_model.inference.manifest import ModelManifest

PACKAGES = ("numpy", "scipy", "trackeval", "pycocotools", "torch", "onnxruntime", "openvino")


@dataclass(frozen=True, slots=True)
class Provenance:
    """Everything needed to reproduce the results."""

    command: str
    commit: str | None  # git commit, with "+ changes" if files differ; None outside a checkout
    weights_sha256: str
    network: str  # name of the configuration
    engine: str
    precision: str
    machine: str  # processor, cores and memory
    system: str
    versions: dict[str, str]
    peak_memory_mb: float  # of this process and the largest of its workers


def weights_hash(setup: Setup) -> str:
    """Return the SHA-256 of a setup's weights, or of all files in a model folder."""
    folder = Path(setup.model)
    files = [setup.weights] if setup.weights else [p for p in visible_below(folder, "*") if p.is_file()]
    if not files or not all(file.is_file() for file in files):
        raise ConfigError(f"{setup.weights or folder}: expected weights or a model folder, got none")
    digest = sha256()
    for file in files:
        digest.update(file.read_bytes())
    return digest.hexdigest()


def precision_of(setup: Setup) -> str:
    """Return the precision of a setup: float32 for torch, else that of the model's manifest."""
    if setup.engine == "torch":
        return "float32"
    try:
        return f"{ModelManifest.read(Path(setup.model)).precision}, as exported"
    except ModelError:
        return "unknown, not in the manifest"


def provenance(setup: Setup, network: str, weights: str, words: Sequence[str]) -> Provenance:
    """Return the provenance of the current run."""
    peak = max(getrusage(RUSAGE_SELF).ru_maxrss, getrusage(RUSAGE_CHILDREN).ru_maxrss) / 1024
    return Provenance(
        command=shlex.join(["pcan-evaluate", *words]),
        commit=_commit(),
        weights_sha256=weights,
        network=network,
        engine=setup.engine if setup.via == "files" else f"{setup.engine}, through the node",
        precision=precision_of(setup),
        machine=f"{_processor()}, {os.cpu_count()} cores, {_memory()}",
        system=f"{platform.platform()}, Python {platform.python_version()}",
        versions={name: found for name in PACKAGES if (found := _version(name))},
        peak_memory_mb=peak,
    )


def _commit() -> str | None:
    here = Path(__file__).resolve().parent

    def git(*words: str) -> str:
        done = subprocess.run(["git", "-C", str(here), *words], capture_output=True, text=True, check=True)
        return done.stdout.strip()

    try:
        return git("rev-parse", "HEAD") + (" + changes" if git("status", "--porcelain", "-uno") else "")
    except (OSError, subprocess.CalledProcessError):
        return None


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _memory() -> str:
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return f"{pages / 2**30:.0f} GB"


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
