"""`pcan-attention`: draw the attention maps of a track's prototypes over time."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from pcan_model.cli.arguments import add_options, command_parser, read_options
from pcan_model.cli.run import report_problems, run
from pcan_model.visualization.attention_options import AttentionOptions

EXPLANATION = """\
Track a video or a folder of images, and draw the attention maps of one track's prototypes (Figure 6 of
the paper): the object, foreground and background prototypes by colour, and the most active ones.

  pcan-attention street.mp4 --weights models/pcan_street_tiny/weights.safetensors --out car.png
  pcan-attention drive/ --weights weights.safetensors --track 3 --frames 5 --every 4 --out car.png
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `pcan-attention`; returns the exit code."""
    return run("pcan-attention", _draw, arguments)


def _draw(arguments: Sequence[str]) -> int:
    options = read_options(AttentionOptions, _parser().parse_args(arguments))
    from pcan_model.factory import make_net  # imported late: --help does not need torch
    from pcan_model.visualization.attention_maps import draw_attention

    summary, problems = draw_attention(options, make_net)
    print(f"{options.out}: {summary}")
    return report_problems("pcan-attention", problems)


def _parser() -> argparse.ArgumentParser:
    parser = command_parser("pcan-attention", EXPLANATION)
    add_options(parser, AttentionOptions, positional=("clip",), metavars={"track": "ID", "until": "N"})
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
