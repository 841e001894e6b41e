"""Training loop, in one or several processes, exactly resumable."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim.swa_utils import AveragedModel
from torch.utils.tensorboard import SummaryWriter
from tqdm import tqdm

from pcan_model.core.config import Config, ConfigError
from pcan_model.core.errors import UserError
from pcan_model.core.train_config import TrainConfig
from pcan_model.model import checkpoint
from pcan_model.model.detector import Detector
from pcan_model.training.loader import Batch, make_loader
from pcan_model.training.losses import LossParts
from pcan_model.training.options import TrainOptions

Build = Callable[[Config, Path | None], tuple[Detector, nn.Module]]
"""Returns a configuration's network, its backbone filled from a file, and the pass that gives its losses."""
Say = Callable[[str], None]


class NonFiniteLoss(UserError, RuntimeError):
    """A loss is not finite: names the step, the clips and the part of the loss."""

    def __init__(self, step: int, batch: Batch, losses: LossParts) -> None:
        parts = {f.name: float(getattr(losses, f.name).detach()) for f in fields(losses)}
        bad = {name: value for name, value in parts.items() if not math.isfinite(value)}
        super().__init__(f"step {step}: pairs {batch.names}: expected a finite loss, got {bad}")


def rate_at(step: int, train: TrainConfig) -> float:
    """Learning rate of a step relative to the full one: linear warm-up, then steps or a cosine."""
    warm = min(1.0, (step + 1) / max(train.warmup, 1))
    done = step / max(train.iterations, 1)
    if train.schedule == "cosine":
        return warm * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(done, 1.0))))
    return warm * 0.1 ** ((done >= 2 / 3) + (done >= 11 / 12))


def running_mean(share: float) -> Callable[[Tensor, Tensor, Tensor | int], Tensor]:
    """Exponential moving average of weights with decay `share`, less in the first steps."""

    def update(mean: Tensor, new: Tensor, count: Tensor | int) -> Tensor:
        return mean.lerp(new, 1 - min(share, (1 + int(count)) / (10 + int(count))))

    return update


def make_optimizer(net: Detector, train: TrainConfig, rate: float) -> torch.optim.Optimizer:
    """Return the optimiser of all trainable parameters, with a relative learning rate for the backbone."""
    backbone = {id(p) for p in net.slow_parameters()}
    learned = [p for p in net.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in learned if id(p) not in backbone], "lr": rate},
        {"params": [p for p in learned if id(p) in backbone], "lr": rate * train.backbone_rate},
    ]
    if train.optimizer == "adamw":
        return torch.optim.AdamW(groups, weight_decay=train.weight_decay)
    return torch.optim.SGD(groups, lr=rate, momentum=train.momentum, weight_decay=train.weight_decay)


class Trainer:
    """The network with all state that an exact resumption needs.

    net           the network, which decides by its parameters' requires_grad what learns
    network_pass  wraps it: images (2B, H, W, 3) and the truth of each to losses
    batch         pairs per step over all processes
    """

    def __init__(self, net: Detector, network_pass: nn.Module, device: torch.device, batch: int) -> None:
        train = net.config.train
        self.config, self.device, self.step = net.config, device, 0
        self.net = net.to(device)
        self.average = AveragedModel(self.net, avg_fn=running_mean(train.average))
        self.optimizer = make_optimizer(self.net, train, train.learning_rate * batch / train.batch)
        self.scheduler = torch.optim.lr_scheduler.LambdaLR(self.optimizer, lambda step: rate_at(step, train))
        self.scaler = torch.amp.GradScaler("cuda", enabled=device.type == "cuda")
        self.model: nn.Module = network_pass.to(device)
        if torch.distributed.is_initialized():
            self.model = DistributedDataParallel(self.model, find_unused_parameters=True)
        self.model.train()

    def begin_with(self, weights: Path, fresh: Sequence[str] = ()) -> None:
        """Load trained weights, such as an earlier stage's; `fresh` parts stay random."""
        if unknown := set(fresh) - {name for name, _ in self.net.named_children()}:
            raise ConfigError(f"--fresh: expected a part of the network, got {sorted(unknown)}")
        checkpoint.load_weights(weights, self.net, fresh=fresh)
        self.average.module.load_state_dict(self.net.state_dict())

    def update(self, batch: Batch) -> LossParts:
        """Take one optimiser step; raises NonFiniteLoss before changing any state."""
        with self.precision():
            losses: LossParts = self.model(batch.images, batch.targets)
        return self.learn(losses, batch)

    def precision(self) -> torch.autocast:
        """Return the context in which losses are computed."""
        dtype = torch.float16 if self.device.type == "cuda" else torch.bfloat16
        return torch.autocast(self.device.type, dtype, enabled=self.config.train.mixed_precision)

    def learn(self, losses: LossParts, batch: Batch) -> LossParts:
        """Take one optimiser step on the losses of a batch."""
        total = losses.total()
        if not torch.isfinite(total):
            raise NonFiniteLoss(self.step, batch, losses)
        self.optimizer.zero_grad(set_to_none=True)
        self.scaler.scale(total).backward()
        if self.config.train.gradient_clip:
            self.scaler.unscale_(self.optimizer)
            nn.utils.clip_grad_norm_(self.net.parameters(), self.config.train.gradient_clip)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.scheduler.step()
        self.average.update_parameters(self.net)
        self.step += 1
        return losses

    def _parts(self) -> dict[str, nn.Module | torch.optim.Optimizer | torch.amp.GradScaler]:
        parts = {"net": self.net, "average": self.average, "optimizer": self.optimizer, "scaler": self.scaler}
        return {**parts, "scheduler": self.scheduler}  # type: ignore[dict-item]

    def save(self, folder: Path) -> None:
        """Write the averaged weights and the state for resuming."""
        checkpoint.save(folder / "weights.safetensors", self.average.module, self.config, {"step": self.step})
        state = {name: part.state_dict() for name, part in self._parts().items()}
        checkpoint.save_torch(folder / "resume.pt", {**state, "step": self.step})

    def resume(self, folder: Path) -> None:
        """Resume from what `save` wrote."""
        path = folder / "resume.pt"
        state = checkpoint.load_torch(path)
        for name, part in self._parts().items():
            try:
                part.load_state_dict(state[name])
            except (KeyError, ValueError, RuntimeError) as error:
                raise checkpoint.CheckpointError(
                    f"{path}: {name}: expected the state of {self.config.name}, got another"
                ) from error
        self.step = state["step"]


def train(config: Config, options: TrainOptions, build: Build) -> Path:
    """Run a training; returns the folder of the checkpoint.

    build  makes the network and its training pass; handed in, as it knows both variants of the network
    """
    rank, world = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
    options, device = resolve(options, config, world), torch.device("cpu")
    if options.device == "cuda":
        device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", 0)))
        torch.cuda.set_device(device)
    if world > 1:
        torch.distributed.init_process_group("nccl" if options.device == "cuda" else "gloo")
    trainer = begin(config, options, build, device)
    batches = make_loader(options, config, rank, world, trainer.step)
    writer = SummaryWriter(str(options.out)) if rank == 0 else None
    steps = range(trainer.step, config.train.iterations)
    for step in tqdm(
        steps, initial=trainer.step, total=config.train.iterations, disable=rank > 0, mininterval=5
    ):
        torch.manual_seed(hash((options.seed, rank, step)))  # what is drawn does not depend on resuming
        losses = trainer.update(next(batches).to(device))
        last = step + 1 == config.train.iterations
        if writer and (last or step % options.log_every == 0):
            _log(writer, step, losses, float(trainer.scheduler.get_last_lr()[0]), tqdm.write)
        if rank == 0 and (last or (step + 1) % options.save_every == 0):
            trainer.save(options.out)
    if writer:
        writer.close()
    if world > 1:
        torch.distributed.destroy_process_group()
    return options.out


def begin(config: Config, options: TrainOptions, build: Build, device: torch.device) -> Trainer:
    """Return a trainer at the first step, or resumed; the options are resolved."""
    assert options.batch is not None, "resolve comes first"
    torch.manual_seed(options.seed)
    trainer = Trainer(*build(config, options.backbone), device, options.batch)
    if options.weights:
        trainer.begin_with(options.weights, options.fresh)
    if options.resume and (options.out / "resume.pt").is_file():
        trainer.resume(options.out)
    return trainer


def resolve(options: TrainOptions, config: Config, world: int = 1) -> TrainOptions:
    """Return the options with batch and device filled in."""
    batch = options.batch or config.train.batch
    if batch % world:
        raise ConfigError(f"--batch: expected a multiple of the {world} processes, got {batch}")
    if options.device == "cuda" and not torch.cuda.is_available():
        raise ConfigError("--device cuda: expected an NVIDIA GPU that torch can use, got none")
    device = options.device
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    return replace(options, batch=batch, device=device)


def _log(
    writer: SummaryWriter, step: int, losses: LossParts, rate: float, say: Callable[[str], None]
) -> None:
    parts = {f.name: float(getattr(losses, f.name).detach()) for f in fields(losses)}
    for name, value in parts.items():
        writer.add_scalar(f"loss/{name}", value, step)
    writer.add_scalar("learning_rate", rate, step)
    say(f"step {step} total {sum(parts.values()):.3f} " + " ".join(f"{k} {v:.3f}" for k, v in parts.items()))
