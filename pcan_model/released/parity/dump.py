"""`python -m pcan_model.released.parity.dump`: a run's quantities by recorded name, an .npz a frame."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import yaml
from numpy.typing import NDArray
from tqdm import tqdm

from pcan_model.core.config import Config, ConfigError, config_from_dict, config_to_dict
from pcan_model.model import checkpoint
from pcan_model.released.parity.recorder import record

EXPLANATION = """\
Run the released form over pictures and write one .npz a frame with every quantity of the recorded
runs by its name there, to compare an implementation step by step (docs/released.md).

  python -m pcan_model.released.parity.dump --weights weights.safetensors --out ours clip/*.png \\
      --set input.height=288 input.width=512 tracker.init_score=0.6 released.drift=true
"""


def changed(config: Config, settings: Sequence[str]) -> Config:
    """Return the configuration with `part.key=value` applied; raises ConfigError."""
    values = config_to_dict(config)
    for setting in settings:
        path, equals, text = setting.partition("=")
        *parts, key = path.split(".")
        place: Any = values
        for part in parts:
            place = place.get(part) if isinstance(place, dict) else None
        if not equals or not isinstance(place, dict) or key not in place:
            raise ConfigError(f"--set {setting}: expected part.key=value of a known key")
        place[key] = yaml.safe_load(text)
    return config_from_dict(values, "--set")


def read_pictures(paths: Sequence[Path]) -> Iterator[NDArray[np.uint8]]:
    """Yield pictures as RGB; an .npy holds a whole clip (T, H, W, 3) in OpenCV's order."""
    for path in paths:
        pictures = np.load(path) if path.suffix == ".npy" else [cv2.imread(str(path))]
        for picture in pictures:
            if picture is None or picture.ndim != 3:
                raise OSError(f"{path}: expected a colour picture, or an .npy of (T, H, W, 3) uint8")
            yield np.ascontiguousarray(picture[..., ::-1])


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns 0, or 2 after an error that the user can mend."""
    options = _parser().parse_args(arguments)
    try:
        config, _ = checkpoint.load_header(options.weights)
        config = changed(config, options.set)
        options.out.mkdir(parents=True, exist_ok=True)
        pictures = tqdm(read_pictures(options.pictures), unit="frame")
        frames = record(pictures, config, options.weights, double=options.double)
        for number, arrays in enumerate(frames):
            _write(options.out / f"frame{number}.npz", arrays)
    except (checkpoint.CheckpointError, ConfigError, OSError) as error:
        print(f"dump: {error}", file=sys.stderr)
        return 2
    return 0


def _write(path: Path, arrays: dict[str, NDArray[Any]]) -> None:
    """Save a frame's arrays whole or not at all."""
    partial = path.with_name(f".{path.name}.part.npz")
    np.savez_compressed(partial, **arrays)  # type: ignore[arg-type]
    partial.replace(path)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "python -m pcan_model.released.parity.dump",
        description=EXPLANATION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("pictures", nargs="+", type=Path, help="pictures of one clip in order, or one .npy of them (BGR)")
    add("--weights", type=Path, required=True, help="what pcan-convert wrote")
    add("--out", type=Path, required=True, help="folder for frame0.npz, frame1.npz, …")
    add("--double", action="store_true", help="compute in float64: what is left is the other's rounding")
    add("--set", nargs="*", default=[], metavar="PART.KEY=VALUE", help="changes to the configuration")
    return parser


if __name__ == "__main__":
    sys.exit(main())
