"""Batches of training clips, reproducible from any step on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.utils.data import DataLoader, DistributedSampler

from pcan_model.core.config import Config
from pcan_model.data.pairs import Sample
from pcan_model.data.sources import read_sources
from pcan_model.training.options import TrainOptions
from pcan_model.training.targets import GroundTruth


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """B clips of T frames, ready for the network."""

    images: Tensor  # (T * B, H, W, 3) uint8 RGB, keys, references, then older frames
    targets: list[GroundTruth]  # of these images
    names: list[int]  # index of each clip in the data set, to find it again

    def to(self, device: torch.device) -> Batch:
        """Return a copy on another device."""
        images = self.images.to(device, non_blocking=True)
        return Batch(images, [target.to(device) for target in self.targets], self.names)


Drawn = tuple[Sample, ...]
Unread = ValueError | OSError  # why a pair could not be read


def collate(items: Sequence[tuple[int, Drawn | Unread]]) -> Batch | Unread:
    """Stack clips into a batch; returns the first error if a clip could not be read."""
    clips = []
    for index, clip in items:
        if isinstance(clip, (ValueError, OSError)):
            return clip
        clips.append((index, clip))
    samples = [clip[i] for i in range(len(clips[0][1])) for _, clip in clips]
    images = torch.stack([torch.from_numpy(s.image) for s in samples])
    targets = [
        GroundTruth(*(torch.from_numpy(x) for x in (s.boxes, s.labels, s.ids, s.masks, s.ignore)))
        for s in samples
    ]
    return Batch(images, targets, [index for index, _ in clips])


def make_loader(options: TrainOptions, config: Config, rank: int, world: int, start: int) -> Iterator[Batch]:
    """Yield batches forever; the clips depend only on the seed and the step.

    rank, world  this process and how many there are
    start        step of the first batch
    Raises the ValueError or OSError of a pair that cannot be read, whichever process met it.
    """
    batch = options.batch or config.train.batch
    total = config.train.iterations * batch
    dataset = read_sources(
        options.data, options.hold_out, config.train, seed=options.seed, length=total, names=config.classes
    )
    numbered = Numbered(dataset, start * batch)
    sampler: DistributedSampler[object] = DistributedSampler(numbered, world, rank, shuffle=False)
    loader = DataLoader(
        numbered,
        batch_size=batch // world,
        sampler=sampler,
        num_workers=options.workers,
        collate_fn=collate,
        pin_memory=options.device == "cuda",
        worker_init_fn=_one_thread,
    )
    return _read(iter(loader))  # begun now: it takes a random number, and later ones depend on the step


def _read(batches: Iterator[Batch | Unread]) -> Iterator[Batch]:
    for batch in batches:
        if not isinstance(batch, Batch):
            raise batch
        yield batch


class Numbered(torch.utils.data.Dataset[tuple[int, Drawn | Unread]]):
    """Clips with their index, from index `start` on; an error in place of one that cannot be read.

    What a worker process raises would arrive as its whole traceback.
    """

    def __init__(self, pairs: object, start: int) -> None:
        self.pairs, self.start = pairs, start

    def __len__(self) -> int:
        return len(self.pairs) - self.start  # type: ignore[arg-type]

    def __getitem__(self, index: int) -> tuple[int, Drawn | Unread]:
        try:
            return index + self.start, self.pairs[index + self.start]  # type: ignore[index]
        except (ValueError, OSError) as error:
            return index + self.start, error


def _one_thread(worker: int) -> None:
    import cv2

    cv2.setNumThreads(0)
