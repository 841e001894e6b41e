"""`pcan-train`'s options become the dataclass that the trainer takes."""

from __future__ import annotations

from pathlib import Path

from pcan_model.cli.arguments import read_options
from pcan_model.cli.train import _parser
from pcan_model.training.options import TrainOptions


def test_every_option_arrives_in_the_trainers_options() -> None:
    words = (
        "pcan_released_masks --data a:1 b@val --hold-out x y --weights w.safetensors --fresh refine --batch 4"
    )
    words += (
        " --resume --device cpu --workers 0 --seed 7 --save-every 9 --log-every 3 --out o --backbone b.pt"
    )
    parsed = _parser().parse_args(words.split())
    assert read_options(TrainOptions, parsed) == TrainOptions(
        data=("a:1", "b@val"),
        hold_out=("x", "y"),
        out=Path("o"),
        backbone=Path("b.pt"),
        weights=Path("w.safetensors"),
        fresh=("refine",),
        batch=4,
        resume=True,
        device="cpu",
        workers=0,
        seed=7,
        save_every=9,
        log_every=3,
    )


def test_what_is_not_said_keeps_the_dataclass_default() -> None:
    parsed = _parser().parse_args(["pcan_street_tiny", "--data", "a"])
    assert read_options(TrainOptions, parsed) == TrainOptions(data=("a",))
