"""Trainings of a study's rows: each from ImageNet, or all from one detector.

From one detector (`Study.weights`) a training has two stages, with modules initialised by the seed: the
frame attention with all heads (backbone and pyramid frozen, except of SipMask), then the instance attention.
Rows that differ in the instance attention share the first stage; in the second stage they are trained side
by side on the same regions, with the same results as if trained separately.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from tqdm import tqdm

from pcan_model.core.config import Config, ConfigError
from pcan_model.core.train_config import Stage
from pcan_model.experiments.runs import Study, fingerprint, training_drives
from pcan_model.factory import make_training
from pcan_model.sipmask.stages import InstanceStage as SipMaskInstance
from pcan_model.training.loader import make_loader
from pcan_model.training.options import TrainOptions
from pcan_model.training.stages import InstanceStage
from pcan_model.training.trainer import Trainer, begin, resolve, train

WEIGHTS = "weights.safetensors"
MODULES = ("frame_attention", "instance_attention")  # initialised anew in each row
FIRST: dict[str, Stage] = {"mask_rcnn": "heads", "sipmask": "memory"}  # first stage, by detector
SAVE_EVERY = 100  # steps, when training side by side


def as_trained(config: Config, study: Study) -> Config:
    """Return a configuration without changes that do not affect training.

    Training uses clips of `train.clip_frames`: rows that differ in the memory's length share a training.
    """
    base = study.base
    frame = replace(config.frame_attention, memory_frames=base.frame_attention.memory_frames)
    return replace(config, tracker=base.tracker, frame_attention=frame)


def without_instance(config: Config, study: Study) -> Config:
    """Return a configuration with the base's instance attention, which does not affect the frame pass."""
    return replace(config, instance_attention=study.base.instance_attention)


def trained(configs: Sequence[Config], seed: int, study: Study) -> list[Path]:
    """Run or resume trainings; returns their weights, or the initial ones for 0 iterations.

    From one detector the configurations may differ in their instance attention only.
    """
    if study.weights and not study.base.train.iterations:
        return [study.weights for _ in configs]
    if study.weights:
        return _from_one_detector(configs, seed, study, study.weights)
    return [_complete(config, seed, study) for config in configs]


def _folder(config: Config, seed: int, study: Study) -> Path:
    return study.folder / f"{fingerprint(config, study, clips=False)}-{seed}"


def _options(folder: Path, seed: int, study: Study) -> TrainOptions:
    """Return the options of a training that is resumed if it was interrupted."""
    return TrainOptions(
        data=(str(training_drives(study)),),
        out=folder,
        backbone=study.backbone,
        resume=True,
        workers=study.workers,
        seed=seed,
        log_every=100,
    )


def _complete(
    config: Config, seed: int, study: Study, start: Path | None = None, fresh: tuple[str, ...] = ()
) -> Path:
    """Run a training unless complete, and return its weights; `fresh` modules are initialised anew."""
    folder = _folder(config, seed, study)
    if not (folder / "done").exists():
        options = replace(_options(folder, seed, study), weights=start, fresh=fresh)
        train(config, options, make_training)
        (folder / "done").touch()
    return folder / WEIGHTS


def _from_one_detector(configs: Sequence[Config], seed: int, study: Study, weights: Path) -> list[Path]:
    """Run both stages, or only the first if the instance attention is disabled."""
    first = in_stage(_first(configs[0]), without_instance(configs[0], study))
    heads = _complete(first, seed, study, weights, MODULES)
    files = [_folder(c, seed, study) / WEIGHTS if c.instance_attention.enabled else heads for c in configs]
    rows = {file.parent: in_stage("instance", c) for file, c in zip(files, configs, strict=True)}
    missing = {folder: c for folder, c in rows.items() if not (folder / "done").exists()}
    if missing:
        _side_by_side(missing, seed, study, heads)
    for folder in missing:
        (folder / "done").touch()
    return files


def _side_by_side(rows: dict[Path, Config], seed: int, study: Study, heads: Path) -> None:
    """Train the instance attention of several networks on the same regions of the same pairs."""
    trainers = [_begin(config, folder, seed, study, heads) for folder, config in rows.items()]
    first, done = trainers[0], min(trainer.step for trainer in trainers)
    batches = make_loader(
        resolve(_options(heads.parent, seed, study), first.config), first.config, 0, 1, done
    )
    for step in tqdm(range(done, first.config.train.iterations), unit="step", mininterval=5):
        torch.manual_seed(hash((seed, 0, step)))  # as in pcan-train
        batch = next(batches).to(first.device)
        with first.precision():
            shown = _stage(first).look(batch.images, batch.targets)
        for trainer in trainers:
            if trainer.step == step:  # some are ahead if interrupted while saving
                with trainer.precision():
                    losses = _stage(trainer).judge(shown)
                trainer.learn(losses, batch)
        if (step + 1) % SAVE_EVERY == 0 or step + 1 == first.config.train.iterations:
            for folder, trainer in zip(rows, trainers, strict=True):
                trainer.save(folder)


def _begin(config: Config, folder: Path, seed: int, study: Study, heads: Path) -> Trainer:
    """Return a row's trainer at the start, or where it was interrupted."""
    options = replace(_options(folder, seed, study), weights=heads, fresh=("instance_attention",))
    options = resolve(options, config)
    return begin(config, options, make_training, torch.device(options.device))


def _first(config: Config) -> Stage:
    """Return the first stage."""
    if config.detector not in FIRST:
        expected = " or ".join(FIRST)
        raise ConfigError(f"--weights: detector: expected {expected}, got {config.detector}")
    return FIRST[config.detector]


def _stage(trainer: Trainer) -> InstanceStage | SipMaskInstance:
    assert isinstance(trainer.model, (InstanceStage, SipMaskInstance)), "set by _from_one_detector"
    return trainer.model


def in_stage(stage: Stage, config: Config) -> Config:
    """Return a configuration with a training stage."""
    return replace(config, train=replace(config.train, stage=stage))
