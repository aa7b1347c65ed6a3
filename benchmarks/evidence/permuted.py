"""Permuted MNIST: 784 pixels, one a step, in a random order, the same for all (Le, Jaitly & Hinton
2015). Networks of 128 units learn for 5 passes each, 13 minutes for both on two cores. The
score is the share of wrong ones of the 10,000 test images."""

import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from torch import nn

from benchmarks.evidence.learning import CLIP, Learned
from conveyor.data.pixels import Images, pixels, read_mnist
from conveyor.networks.readout import Readout

DATA = Path("../shared/data/mnist")
HIDDEN, BATCH, RATE, PASSES = 128, 128, 2e-3, 5
CELLS = ("lstm", "gru")
PIXELS = 784
THREADS = 2
# Of the order of the pixels.
ORDER_SEED = 92916
# Images at a time when scoring.
AT_ONCE = 1000
PUBLISHED = {
    "lstm": "0.12 (Arjovsky et al. 2016), 0.10 (Cooijmans et al. 2017)",
    "gru": "0.13 (Bai et al. 2018)",
}
# Whether all learn for as long, right or not.
STEPS_ARE_FIXED = True


def run(seeds: Sequence[int]) -> Iterator[tuple[str, int, Learned]]:
    """One network of each cell; ``seeds`` plays no part."""
    order = torch.randperm(PIXELS, generator=torch.Generator().manual_seed(ORDER_SEED))
    train, test = read_mnist(DATA, "train"), read_mnist(DATA, "test")
    batches = len(train.labels) // BATCH
    for cell in CELLS:
        torch.manual_seed(0)
        network = Readout(cell, 1, HIDDEN, 10, wanted="class", last=True)
        optimiser = torch.optim.Adam(network.parameters(), lr=RATE)
        # The rate rises for a tenth of the way and then falls to nothing (Smith & Topin 2017).
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimiser, RATE, total_steps=PASSES * batches, pct_start=0.1
        )
        begin = time.perf_counter()
        for number in range(PASSES):
            shuffled = torch.randperm(len(train.labels))[: batches * BATCH]
            for chosen in torch.split(shuffled, BATCH):
                batch = pixels(Images(train.images[chosen], train.labels[chosen]), order)
                optimiser.zero_grad()
                torch.autograd.backward(network.loss(batch).value)
                nn.utils.clip_grad_norm_(network.parameters(), CLIP)
                optimiser.step()
                schedule.step()
            wrong, seconds = _wrong(network, test, order), time.perf_counter() - begin
            print(f"{cell}, pass {number + 1}: {seconds:.0f} s, {wrong:.4f} wrong", flush=True)
        yield cell, 0, Learned(PASSES * batches, False, wrong, seconds)


@torch.no_grad()
def _wrong(network: nn.Module, test: Images, order: torch.Tensor) -> float:
    right = 0
    for images, labels in zip(
        torch.split(test.images, AT_ONCE), torch.split(test.labels, AT_ONCE), strict=True
    ):
        batch = pixels(Images(images, labels), order)
        right += int((network(batch).argmax(-1) == labels).sum())
    return 1 - right / len(test.labels)
