"""The trainings behind a study's rows: each from ImageNet, or all from one detector, side by side.

From one detector (`Study.weights`) a training has two halves, both on its frozen backbone and pyramid and
with the row's modules drawn anew by the seed: the frame attention with all heads, then the instance
module alone. Rows that differ in the instance module share the first half, and in the second they are
taught side by side on the very same regions; each learns what it would alone.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
import yaml
from tqdm import tqdm

from pcan_model.core.config import Config, config_to_dict
from pcan_model.data.files import write_whole
from pcan_model.experiments.runs import Study, fingerprint, training_drives
from pcan_model.training import trainer as train
from pcan_model.training.loader import make_loader
from pcan_model.training.stages import InstanceStage
from pcan_model.training.trainer import Trainer

WEIGHTS = "weights.safetensors"
MODULES = ("frame_attention", "instance_attention")  # what a row draws anew
SAVE_EVERY = 100  # steps of trainings side by side


def as_trained(config: Config, study: Study) -> Config:
    """Return a configuration without what only plays a part after training.

    Training sees pairs, a memory of one frame; so rows that differ in its length share a training.
    """
    base = study.base
    frame = replace(config.frame_attention, memory_frames=base.frame_attention.memory_frames)
    return replace(config, tracker=base.tracker, frame_attention=frame)


def without_instance(config: Config, study: Study) -> Config:
    """Return a configuration with the base's instance module: what decides the frame pass."""
    return replace(config, instance_attention=study.base.instance_attention)


def trained(configs: Sequence[Config], seed: int, study: Study) -> list[Path]:
    """Return the weights of trainings, run or gone on with unless complete; of 0 steps those they start from.

    From one detector the configurations may differ in their instance modules only.
    """
    if study.weights and not study.base.train.iterations:
        return [study.weights for _ in configs]
    if study.weights:
        return _from_one_detector(configs, seed, study, study.weights)
    return [_complete(config, seed, study) for config in configs]


def _folder(config: Config, seed: int, study: Study) -> Path:
    return study.folder / f"{fingerprint(config, study, clips=False)}-{seed}"


def _words(folder: Path, config: Config, seed: int, study: Study) -> list[str]:
    """Return the arguments of `pcan-train` for a training that goes on where it was stopped."""
    write_config(folder / "config.yaml", config)
    words = [str(folder / "config.yaml"), "--data", str(training_drives(study)), "--out", str(folder)]
    words += ["--resume", "--seed", str(seed), "--workers", str(study.workers), "--log-every", "100"]
    return words + (["--backbone", str(study.backbone)] if study.backbone else [])


def _complete(config: Config, seed: int, study: Study, *start: str) -> Path:
    """Return the weights of one training by `pcan-train`."""
    folder = _folder(config, seed, study)
    if not (folder / "done").exists():
        train.main([*_words(folder, config, seed, study), *start])
        (folder / "done").touch()
    return folder / WEIGHTS


def _from_one_detector(configs: Sequence[Config], seed: int, study: Study, weights: Path) -> list[Path]:
    """Run both halves; where the instance module is switched off the first one is all."""
    first = in_stage("heads", without_instance(configs[0], study))
    heads = _complete(first, seed, study, "--weights", str(weights), "--fresh", *MODULES)
    files = [_folder(c, seed, study) / WEIGHTS if c.instance_attention.enabled else heads for c in configs]
    rows = {file.parent: in_stage("instance", c) for file, c in zip(files, configs, strict=True)}
    missing = {folder: c for folder, c in rows.items() if not (folder / "done").exists()}
    if missing:
        _side_by_side(missing, seed, study, heads)
    for folder in missing:
        (folder / "done").touch()
    return files


def _side_by_side(rows: dict[Path, Config], seed: int, study: Study, heads: Path) -> None:
    """Teach the instance modules of several networks on the same regions of the same pairs."""
    parsed = [train.parser().parse_args(_words(folder, c, seed, study)) for folder, c in rows.items()]
    trainers = [_begin(args, heads) for args in parsed]
    first, begin = trainers[0], min(trainer.step for trainer in trainers)
    batches = make_loader(parsed[0], first.config, 0, 1, begin)
    for step in tqdm(range(begin, first.config.train.iterations), unit="step", mininterval=5):
        torch.manual_seed(hash((seed, 0, step)))  # as pcan-train does
        batch = next(batches).to(first.device)
        with first.precision():
            shown = _stage(first).look(batch.images, batch.truths)
        for trainer in trainers:
            if trainer.step == step:  # of trainings that were stopped while saving some are ahead
                with trainer.precision():
                    losses = _stage(trainer).judge(shown)
                trainer.learn(losses, batch)
        if (step + 1) % SAVE_EVERY == 0 or step + 1 == first.config.train.iterations:
            for folder, trainer in zip(rows, trainers, strict=True):
                trainer.save(folder)


def _begin(args: argparse.Namespace, heads: Path) -> Trainer:
    """Return a row's trainer as it begins, or where it was stopped."""
    config = train.configure(args, 1)
    torch.manual_seed(args.seed)
    trainer = Trainer(config, torch.device(args.device), args.batch, args.backbone)
    trainer.begin_with(heads, ["instance_attention"])
    if (args.out / "resume.pt").is_file():
        trainer.resume(args.out)
    return trainer


def _stage(trainer: Trainer) -> InstanceStage:
    assert isinstance(trainer.model, InstanceStage), "_from_one_detector asks for it"
    return trainer.model


def in_stage(stage: str, config: Config) -> Config:
    """Return a configuration to be trained in a stage."""
    return replace(config, train=replace(config.train, stage=stage))


def write_config(path: Path, config: Config) -> None:
    """Save a configuration as YAML, whole or not at all."""
    write_whole(path, yaml.safe_dump(config_to_dict(config), sort_keys=False).encode())
