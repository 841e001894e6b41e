"""`pcan-build-engine`: build TensorRT engines ahead of time, for robot images and CI."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from pcan_model.cli.arguments import add_options, command_parser, read_options
from pcan_model.cli.run import run
from pcan_model.core.fields import setting
from pcan_model.inference.errors import ModelError
from pcan_model.inference.input_size import DESCRIPTION, LARGEST
from pcan_model.inference.manifest import BATCH, ModelFiles
from pcan_model.inference.tensorrt.bindings import Bindings, load_bindings
from pcan_model.inference.tensorrt.build import BuildOptions
from pcan_model.inference.tensorrt.cache import EngineCache, Entry, default_cache
from pcan_model.inference.tensorrt.cuda import Cuda
from pcan_model.inference.tensorrt.loaded_engine import EngineProvider, check_buildable
from pcan_model.model.pass_names import GRAPHS

EXPLANATION = """\
Build the TensorRT engines of an exported model into the cache that the node reads, so that the node
starts in seconds. An engine is specific to the model, the TensorRT version and the GPU type. TensorRT
builds on the target GPU; TensorRT-RTX also builds without a GPU, given --capability.

  pcan-export --weights models/pcan_street_tiny/weights.safetensors --roi gridsample --out models/tiny_trt
  pcan-build-engine models/tiny_trt
  pcan-build-engine models/tiny_trt --capability 8.9 --engine-cache image/engines
  pcan-build-engine --list
"""


@dataclass(frozen=True, slots=True)
class BuildEngineOptions:
    """The engines to build, and their cache."""

    model: Path | None = setting(None, "folder of an exported model")
    size: str = setting(LARGEST, DESCRIPTION)
    engine_cache: Path = setting(default_cache(), "folder of the engines")
    capability: str | None = setting(None, "compute capability, such as 8.9 (default: that of the local GPU)")
    level: int = setting(3, "0 builds fast, 5 runs fast", low=0, high=5)
    workspace: int = setting(0, "limit of workspace memory; 0 for none", unit="MiB", low=0)
    force: bool = setting(False, "rebuild engines that exist")
    list: bool = setting(False, "list the engines in the cache")
    prune: bool = setting(False, "remove engines that are broken or of another TensorRT version")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `pcan-build-engine`; returns the exit code."""
    return run("pcan-build-engine", _run, arguments)


def _run(arguments: Sequence[str]) -> int:
    options = read_options(BuildEngineOptions, _parser().parse_args(arguments))
    cache = EngineCache(options.engine_cache.expanduser())
    if options.list:
        return _show(cache.entries(), cache)
    bindings = load_bindings()
    if options.prune:
        removed = cache.prune(lambda key: (key.flavour, key.version) == (bindings.flavour, bindings.version))
        return _show(removed, cache, "removed ")
    if options.model is None:
        raise ModelError("expected the folder of a MODEL, --list or --prune; got none of them")
    return _build(ModelFiles(options.model, options.size), bindings, cache, options)


def _build(files: ModelFiles, bindings: Bindings, cache: EngineCache, options: BuildEngineOptions) -> int:
    check_buildable(files)
    if options.capability and not bindings.is_rtx:
        raise ModelError(f"--capability: {bindings.title} builds for the GPU that it runs on only")
    capability = options.capability or _capability(bindings)
    build = BuildOptions(capability, options.level, options.workspace)
    batched = [f"{BATCH}{graph}" for graph in GRAPHS] if files.manifest.cameras > 1 else []
    for graph in (*GRAPHS, *batched):
        with Bar(graph) as bar:
            provider = EngineProvider(bindings, cache, build, print, bar.report)
            key = provider.key(files, graph)
            cached = cache.get(key) is not None and not options.force
            if not cached:
                provider.build(files, graph)
        print(f"{'already there' if cached else 'built'}: {cache.root / key.folder}")
    return 0


def _capability(bindings: Bindings) -> str:
    cuda = Cuda(bindings.cudart)
    if not cuda.devices():
        hint = "say --capability" if bindings.is_rtx else "full TensorRT builds on the GPU it is for"
        raise ModelError(f"{bindings.title}: there is no CUDA device: {hint}")
    return cuda.capability()


class Bar:
    """A progress bar over a build's phases."""

    def __init__(self, graph: str) -> None:
        self._bar = tqdm(desc=graph, unit="step", leave=False)

    def __enter__(self) -> Bar:
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()

    def report(self, phase: str, done: int, steps: int) -> None:
        """Show the progress of a phase."""
        self._bar.total, self._bar.n = steps, done
        self._bar.set_postfix_str(phase)


def _show(entries: list[Entry], cache: EngineCache, what: str = "") -> int:
    for entry in entries:
        key = entry.key
        about = (
            f"{key.flavour} {key.version}, compute capability {key.capability}, {key.precision}"
            if key
            else "broken"
        )
        print(f"{what}{entry.folder.name}  {entry.size / 2**20:.1f} MiB  {about}")
    print(f"{len(entries)} engines{' removed' if what else ''} in {cache.root}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = command_parser("pcan-build-engine", EXPLANATION)
    add_options(parser, BuildEngineOptions, positional=("model",))
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
