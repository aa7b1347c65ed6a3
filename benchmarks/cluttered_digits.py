"""DRAW's window as the eye of a classifier, on digits that lie somewhere among pieces of others,
beside networks that see the whole picture."""

import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from benchmarks.runs import machine
from conveyor import Recurrent
from conveyor.data.pixels import Images, read_mnist
from conveyor.layers.state import main_output
from conveyor.networks import WindowHead

# The picture, pieces of other digits on it and their side (Mnih et al. 2014, Recurrent models of
# visual attention, section 4.1, has 60 × 60 and four pieces of 8 × 8).
SIDE, PIECES, PIECE = 60, 4, 8
TRAINED, TESTED, BATCH = 20_000, 2_000, 64
GLIMPSES, FILTERS, HIDDEN = 6, 8, 128
EPOCHS, RATE, SEED = 8, 1e-3, 0


def cluttered(digits: Images, count: int, seed: int) -> tuple[Tensor, Tensor]:
    """Return pictures, bytes [count, 60, 60], and what digit is on each.

    Args:
        digits: of MNIST.
        count: how many pictures.
        seed: the same seed draws the same.
    """
    draw = np.random.default_rng(seed)
    images, labels = digits.images.numpy(), digits.labels.numpy()
    pictures = np.zeros((count, SIDE, SIDE), np.uint8)
    chosen = draw.integers(len(images), size=count)
    side = images.shape[1]
    for picture, number in zip(pictures, chosen, strict=True):
        for other in draw.integers(len(images), size=PIECES):
            top, left = draw.integers(side - PIECE, size=2)
            piece = images[other, top : top + PIECE, left : left + PIECE]
            _put(picture, piece, draw)
        _put(picture, images[number], draw)
    return torch.from_numpy(pictures), torch.from_numpy(labels[chosen])


def _put(picture: NDArray[np.uint8], piece: NDArray[np.uint8], draw: np.random.Generator) -> None:
    side = len(piece)
    top, left = draw.integers(SIDE - side + 1, size=2)
    place = picture[top : top + side, left : left + side]
    np.maximum(place, piece, out=place)


class Reader(nn.Module):
    """Looks through a window of DRAW, glimpse by glimpse, and says at the end which digit it was
    (Gregor et al. 2015, section 4.1)."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = Recurrent("lstm", FILTERS**2, HIDDEN, learn_start=True)
        self.head = WindowHead(HIDDEN, FILTERS, SIDE, SIDE)
        with torch.no_grad():
            # Filters as wide as half of their distance, or the first glimpse sees every eighth
            # pixel and nothing between.
            self.head.bias[2] = 2 * np.log((SIDE - 1) / (FILTERS - 1) / 2)
        self.answer = nn.Linear(HIDDEN, 10)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits of the digits, [batch, 10]."""
        state = self.layer.start(len(x))
        output = state.h[-1]
        for _ in range(GLIMPSES):
            seen = self.head.window(self.head(output)).read(x[:, None])
            outputs, state = self.layer.step(seen.flatten(1), state)
            output = main_output(outputs)
        logits: Tensor = self.answer(output)
        return logits


def _dense() -> nn.Module:
    return nn.Sequential(
        nn.Flatten(), nn.Linear(SIDE**2, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU(),
        nn.Linear(256, 10),
    )  # fmt: skip


def _convolutions() -> nn.Module:
    return nn.Sequential(
        nn.Unflatten(1, (1, SIDE)), nn.Conv2d(1, 16, 5, stride=2), nn.ReLU(),
        nn.Conv2d(16, 32, 5, stride=2), nn.ReLU(), nn.Flatten(),
        nn.Linear(32 * 12**2, 128), nn.ReLU(), nn.Linear(128, 10),
    )  # fmt: skip


NETWORKS = {
    "DRAW's reader": Reader,
    "dense layers on all pixels": _dense,
    "two convolutions on all pixels": _convolutions,
}


def _fit(network: nn.Module, x: Tensor, labels: Tensor) -> None:
    optimiser = torch.optim.Adam(network.parameters(), RATE)
    updates = EPOCHS * -(-len(x) // BATCH)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, updates, RATE / 20)
    order = torch.Generator().manual_seed(SEED)
    for _ in range(EPOCHS):
        for rows in torch.split(torch.randperm(len(x), generator=order), BATCH):
            loss = cross_entropy(network(x[rows].float() / 255), labels[rows])
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(network.parameters(), 5.0)
            optimiser.step()
            schedule.step()


def measure(data: Path) -> dict[str, Any]:
    """Fit and score all networks on the same pictures.

    Args:
        data: the folder that has MNIST's as ``mnist``.
    """
    known = cluttered(read_mnist(data / "mnist", "train"), TRAINED, SEED)
    x, labels = cluttered(read_mnist(data / "mnist", "test"), TESTED, SEED + 1)
    rows: dict[str, Any] = {}
    for name, make in NETWORKS.items():
        torch.manual_seed(SEED)
        network, began = make(), time.process_time()
        _fit(network, *known)
        seconds = time.process_time() - began
        with torch.no_grad():
            answers = torch.cat(
                [network(part.float() / 255).argmax(1) for part in torch.split(x, 500)]
            )
        rows[name] = {
            "wrong": float((answers != labels).double().mean()),
            "parameters": sum(each.numel() for each in network.parameters()),
            "cpu_seconds": round(seconds, 1),
        }
        print(f"{name}: {100 * rows[name]['wrong']:.1f} % wrong, {seconds:.0f} s", flush=True)
    return {
        "task": f"digits on {SIDE} × {SIDE} among {PIECES} pieces of {PIECE} × {PIECE}; "
        f"{TRAINED:,} to train, {TESTED:,} to test, {EPOCHS} epochs of batches of {BATCH}, seed "
        f"{SEED}",
        "networks": rows,
        "machine": machine(),
    }
