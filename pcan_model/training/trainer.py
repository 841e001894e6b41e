"""`pcan-train`: from pairs of frames to a checkpoint, one process or many."""

from __future__ import annotations

import argparse
import math
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim.swa_utils import AveragedModel
from torch.utils.tensorboard import SummaryWriter
from tqdm import tqdm

from pcan_model.cli.arguments import at_least
from pcan_model.core.config import Config, ConfigError, TrainConfig, load_config
from pcan_model.data.sources import SourceError
from pcan_model.factory import make_net, make_pass
from pcan_model.model import checkpoint
from pcan_model.model.detector import Detector
from pcan_model.training.loader import Batch, make_loader
from pcan_model.training.losses import Losses
from pcan_model.training.pretrained import initialise

EXPLANATION = """\
Train PCAN on the clips below each PATH (images/<video>/*.jpg, labels/<video>.json, as BDD100K
seg_track has them), or on its single pictures (images/*.jpg, annotation_rle.json).

  pcan-train pcan_street_tiny --data street:1 drives:0.5 --hold-out b1c66a42 --out runs/street
  pcan-train pcan_street_tiny --data street#plaza:0.5 street#kitti_0926,highway_white:1 --out runs/part
  torchrun --nproc_per_node 4 -m pcan_model.training.trainer pcan_r50_bdd100k --data bdd100k --batch 16

Writes weights.safetensors, resume.pt and TensorBoard's events to --out. The learning rate of a
configuration is for its own batch and scales with --batch.
"""


class NonFiniteLoss(RuntimeError):
    """Training cannot go on: says at which step, on which pairs, and which part of the loss."""

    def __init__(self, step: int, batch: Batch, losses: Losses) -> None:
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
    """Exponential mean of weights that soon forgets the random start: `share` of the old, less at first."""

    def update(mean: Tensor, new: Tensor, count: Tensor | int) -> Tensor:
        return mean.lerp(new, 1 - min(share, (1 + int(count)) / (10 + int(count))))

    return update


def make_optimizer(net: Detector, train: TrainConfig, rate: float) -> torch.optim.Optimizer:
    """Return the optimiser of all that learns, the backbone at its own share of the learning rate."""
    backbone = {id(p) for p in net.backbone.parameters()}
    learned = [p for p in net.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in learned if id(p) not in backbone], "lr": rate},
        {"params": [p for p in learned if id(p) in backbone], "lr": rate * train.backbone_rate},
    ]
    if train.optimizer == "adamw":
        return torch.optim.AdamW(groups, weight_decay=train.weight_decay)
    return torch.optim.SGD(groups, lr=rate, momentum=train.momentum, weight_decay=train.weight_decay)


class Trainer:
    """The network with everything that a resumed training needs to go on exactly."""

    def __init__(self, config: Config, device: torch.device, batch: int, backbone: Path | None) -> None:
        train = config.train
        self.config, self.device, self.step = config, device, 0
        self.net = initialise(make_net(config), backbone).to(device)
        network_pass = make_pass(self.net)  # before the optimiser asks what learns
        self.average = AveragedModel(self.net, avg_fn=running_mean(train.average))
        self.optimizer = make_optimizer(self.net, train, train.learning_rate * batch / train.batch)
        self.scheduler = torch.optim.lr_scheduler.LambdaLR(self.optimizer, lambda step: rate_at(step, train))
        self.scaler = torch.amp.GradScaler("cuda", enabled=device.type == "cuda")
        self.model: nn.Module = network_pass
        if torch.distributed.is_initialized():
            self.model = DistributedDataParallel(self.model, find_unused_parameters=True)
        self.model.train()

    def begin_with(self, weights: Path, fresh: Sequence[str] = ()) -> None:
        """Start from trained weights, such as an earlier stage's; `fresh` parts keep their random start."""
        if unknown := set(fresh) - {name for name, _ in self.net.named_children()}:
            raise ConfigError(f"--fresh: expected a part of the network, got {sorted(unknown)}")
        checkpoint.load_weights(weights, self.net, fresh=fresh)
        self.average.module.load_state_dict(self.net.state_dict())

    def update(self, batch: Batch) -> Losses:
        """Take one optimiser step; raises NonFiniteLoss before anything is spoilt."""
        with self.precision():
            losses: Losses = self.model(batch.images, batch.truths)
        return self.learn(losses, batch)

    def precision(self) -> torch.autocast:
        """Return the context in which losses are computed."""
        dtype = torch.float16 if self.device.type == "cuda" else torch.bfloat16
        return torch.autocast(self.device.type, dtype, enabled=self.config.train.mixed_precision)

    def learn(self, losses: Losses, batch: Batch) -> Losses:
        """Take one optimiser step down the losses of a batch."""
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
        """Write the averaged weights, and beside them what resuming needs."""
        checkpoint.save(folder / "weights.safetensors", self.average.module, self.config, {"step": self.step})
        state = {name: part.state_dict() for name, part in self._parts().items()}
        checkpoint.save_torch(folder / "resume.pt", {**state, "step": self.step})

    def resume(self, folder: Path) -> None:
        """Go on where `save` left off."""
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


def train(args: argparse.Namespace) -> Path:
    """Run the training that the command line describes; return the folder of the checkpoint."""
    rank, world = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
    config, device = configure(args, world), torch.device("cpu")
    if args.device == "cuda":
        device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", 0)))
        torch.cuda.set_device(device)
    torch.manual_seed(args.seed)
    if world > 1:
        torch.distributed.init_process_group("nccl" if args.device == "cuda" else "gloo")
    trainer = Trainer(config, device, args.batch, args.backbone)
    if args.weights:
        trainer.begin_with(args.weights, args.fresh)
    if args.resume and (args.out / "resume.pt").is_file():
        trainer.resume(args.out)
    batches = make_loader(args, config, rank, world, trainer.step)
    writer = SummaryWriter(str(args.out)) if rank == 0 else None
    steps = range(trainer.step, config.train.iterations)
    for step in tqdm(
        steps, initial=trainer.step, total=config.train.iterations, disable=rank > 0, mininterval=5
    ):
        torch.manual_seed(hash((args.seed, rank, step)))  # what is drawn does not depend on resuming
        losses = trainer.update(next(batches).to(device))
        last = step + 1 == config.train.iterations
        if writer and (last or step % args.log_every == 0):
            _log(writer, step, losses, float(trainer.scheduler.get_last_lr()[0]), tqdm.write)
        if rank == 0 and (last or (step + 1) % args.save_every == 0):
            trainer.save(args.out)
    if writer:
        writer.close()
    if world > 1:
        torch.distributed.destroy_process_group()
    return Path(args.out)


def configure(args: argparse.Namespace, world: int) -> Config:
    """Read the configuration, and put the command line and its defaults into each other."""
    config = load_config(args.config)
    if args.iterations:
        config = replace(config, train=replace(config.train, iterations=args.iterations))
    args.batch = args.batch or config.train.batch
    if args.batch % world:
        raise ConfigError(f"--batch: expected a multiple of the {world} processes, got {args.batch}")
    if args.device == "cuda" and not torch.cuda.is_available():
        raise ConfigError("--device cuda: expected an NVIDIA GPU that torch can use, got none")
    if args.device == "auto":
        args.device = "cuda" if torch.cuda.is_available() else "cpu"
    return config


def _log(writer: SummaryWriter, step: int, losses: Losses, rate: float, say: Callable[[str], None]) -> None:
    parts = {f.name: float(getattr(losses, f.name).detach()) for f in fields(losses)}
    for name, value in parts.items():
        writer.add_scalar(f"loss/{name}", value, step)
    writer.add_scalar("learning_rate", rate, step)
    say(f"step {step} total {sum(parts.values()):.3f} " + " ".join(f"{k} {v:.3f}" for k, v in parts.items()))


def parser() -> argparse.ArgumentParser:
    """Return the command line of `pcan-train`."""
    p = argparse.ArgumentParser(
        prog="pcan-train",
        description=EXPLANATION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    p.add_argument("config", help="preset (pcan_street_tiny, pcan_r50_bdd100k, …) or a YAML file")
    p.add_argument("--data", nargs="+", required=True, metavar="PATH[@FORMAT][@SPLIT][#VIDEO,…][:WEIGHT]",
                   help="data sets (`pcan-data -h` lists the formats; the first that fits, split train "
                   "and all videos by default); the weight says how often each is drawn; "
                   "`pcan-drive` renders such folders")  # fmt: skip
    p.add_argument("--hold-out", nargs="*", default=[], metavar="VIDEO", help="videos never trained on")
    p.add_argument("--out", type=Path, default=Path("runs/train"), help="folder for checkpoint and logs")
    p.add_argument(
        "--backbone",
        type=Path,
        help="weights of the backbone: a torch state, or a frozen TensorFlow detector (.pb); "
        "default: ImageNet's, found for mobilenet_v2",
    )
    p.add_argument("--weights", type=Path, help="trained weights to start from, such as an earlier stage's")
    p.add_argument("--fresh", nargs="+", default=[], metavar="PART",
                   help="parts that are not taken from --weights, such as instance_attention")  # fmt: skip
    p.add_argument(
        "--batch", type=at_least(1), help="pairs per step over all processes (default: the config's)"
    )
    p.add_argument("--iterations", type=at_least(1), help="steps (default: the config's)")
    p.add_argument("--resume", action="store_true", help="go on from --out, if something is there")
    p.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    p.add_argument("--workers", type=at_least(0), default=1, help="processes that load data")
    p.add_argument("--seed", type=at_least(0), default=0)
    p.add_argument("--save-every", type=at_least(1), default=500, metavar="STEPS")
    p.add_argument("--log-every", type=at_least(1), default=20, metavar="STEPS")
    return p


def main(argv: list[str] | None = None) -> int:
    """Run the command; returns 0, or 2 after an error that the user can mend."""
    args = parser().parse_args(argv)
    try:
        print(f"trained: {train(args) / 'weights.safetensors'}")
    except (ValueError, OSError, NonFiniteLoss, SourceError) as error:
        print(f"pcan-train: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
