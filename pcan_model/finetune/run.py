"""Fine-tuning: hold out, measure, train, measure again, and export what is not worse."""

from __future__ import annotations

import json
import shlex
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from pcan_model.core.atomic_write import write_bytes
from pcan_model.core.config import Config, ConfigError
from pcan_model.data.clips import Clip
from pcan_model.evaluation.evaluate import evaluate
from pcan_model.evaluation.metrics.scores import Report
from pcan_model.evaluation.metrics.tracking import official_metrics
from pcan_model.evaluation.predict import predict_clip
from pcan_model.export.model_folder import export
from pcan_model.export.options import ExportOptions
from pcan_model.factory import load_net, make_engine, make_training
from pcan_model.finetune.base import Base, find_base, read_classes, with_classes
from pcan_model.finetune.options import FinetuneOptions
from pcan_model.finetune.recipe import recipe
from pcan_model.finetune.report import Comparison
from pcan_model.finetune.split import read_labels
from pcan_model.inference.manifest import sha256_of
from pcan_model.model import checkpoint
from pcan_model.model.pcan import PCAN
from pcan_model.released.network import ReleasedPCAN
from pcan_model.tracking.tracker import Tracker
from pcan_model.training.options import TrainOptions
from pcan_model.training.trainer import train

REPORT = "report.md"
MODEL = "model"  # folder in the output


def finetune(options: FinetuneOptions, words: Sequence[str] = ()) -> Comparison:
    """Fine-tune a model and write OUT/report.md, report.json and, unless it is worse, OUT/model.

    words  the command line, for the report

    Raises ConfigError for a model or options that do not fit, and DataError for labels that do not.
    """
    if (options.out / REPORT).exists():
        raise ConfigError(f"{options.out}: --out: expected a new folder, got one with {REPORT}")
    official_metrics()  # raises now if packages are missing, not after training
    base = find_base(options.from_)
    names, like = read_classes(options.classes, base.config.classes)
    new = tuple(name for name in names if name not in base.config.classes)
    config = replace(base.config, classes=names, name=f"{base.config.name}_finetuned")
    stages = recipe(config, new, options)
    data = read_labels(options, names, new)

    before = _measure(with_classes(base, names, like), data.measured)
    weights = options.out / "start.safetensors"
    checkpoint.save(weights, with_classes(base, names, like, awake=True), config, {})
    spent = []
    for stage in stages:
        weights, seconds = _train(stage, weights, options, data.hold_out)
        spent.append((stage.train.stage, stage.train.iterations, seconds))
    net = load_net(config, weights)
    done = Comparison(
        command=shlex.join(["pcan-finetune", *words]),
        base=options.from_,
        base_sha256=sha256_of(base.weights),
        config=config,
        new=new,
        trained_on=data.objects,
        frames=data.frames,
        held_out=data.names,
        stages=spent,
        before=before,
        after=_measure(net, data.measured),
    )
    _write(done, net, base, options)
    return done


def _measure(net: PCAN | ReleasedPCAN, clips: Sequence[Clip]) -> Report:
    """Track the clips and return their scores."""
    tracker = Tracker(make_engine(net.eval()))
    return evaluate(partial(predict_clip, tracker), clips, net.config.classes)


def _train(
    config: Config, weights: Path, options: FinetuneOptions, hold_out: Sequence[str]
) -> tuple[Path, float]:
    """Train a stage; returns its weights, and the CPU seconds of this process."""
    began = time.process_time()
    folder = train(
        config,
        TrainOptions(
            data=options.labels,
            hold_out=tuple(hold_out),
            out=options.out / config.train.stage,
            weights=weights,
            workers=options.workers,
            seed=options.seed,
        ),
        make_training,
    )
    return folder / "weights.safetensors", time.process_time() - began


def _write(done: Comparison, net: PCAN | ReleasedPCAN, base: Base, options: FinetuneOptions) -> None:
    """Write the model, unless it is worse and not forced, and then the reports."""
    page = done.markdown().encode()
    if done.worse is None or options.force:
        folder = options.out / MODEL
        export(net, folder, ExportOptions(more_sizes=base.sizes), metrics=done.plain()["after"]["sum"])
        write_bytes(folder / "README.md", page)
    write_bytes(options.out / "report.json", (json.dumps(done.plain(), indent=1) + "\n").encode())
    write_bytes(options.out / REPORT, page)
