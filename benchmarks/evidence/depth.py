"""Depth, and what an LSTM along it does (Kalchbrenner, Danihelka & Graves 2016).

Memorising: 10 symbols of 8 kinds are read and then repeated by networks of 16 layers of 50 units;
the paper, with 20 symbols of 64: a stack of LSTMs gets worse with more than 16 layers, a grid LSTM
whose layers share their parameters does not. The score is the share of symbols wrong; 0.001 is
solved. Parity: whether a string of 6 or 10 bits, read at once, holds an odd number of ones, by
networks of 10 layers of 64 units without time: an LSTM along depth, or tanh layers; the paper: the
first learns it up to 250 bits, plain ones up to 30. The score is the share wrong; 0.01 is solved.
Scaled down in bits, symbols, units and steps."""

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor, nn

import conveyor
from benchmarks.evidence.learning import Learned, learn
from conveyor.data.synthetic import Batch, copying
from conveyor.networks.readout import Readout

BATCH, RATE = 32, 0.003
LAYERS, HIDDEN, SYMBOLS, STEPS = 16, 50, 10, 3000
BITS, PARITY_LAYERS, PARITY_HIDDEN, PARITY_BATCH, PARITY_STEPS = (6, 10), 10, 64, 128, 6000
SEEDS = 3
# Whether all learn for as long, right or not.
STEPS_ARE_FIXED = False
PUBLISHED = {
    "memorising, stacked LSTM": "fails beyond 16 layers",
    "memorising, tied grid LSTM": "best with 43 layers",
}


class _Readout(nn.Module):
    """A feed-forward network of a batch's only step, and a linear readout."""

    def __init__(self, body: nn.Module, units: int) -> None:
        super().__init__()
        self.body, self.readout = body, nn.Linear(units, 1)

    def forward(self, batch: Batch) -> Tensor:
        found: Tensor = self.readout(self.body(batch.inputs[0]))
        return found


def _parity(bits: int, count: int, draw: torch.Generator) -> Batch:
    """Strings of -1 and 1, and whether the number of ones is odd."""
    read = torch.randint(0, 2, (count, bits), generator=draw)
    odd = (read.sum(1) % 2).float()[:, None]
    return Batch((2 * read - 1).float()[None], odd, torch.ones(count, dtype=torch.long))


def _bodies(bits: int) -> dict[str, Callable[[], nn.Module]]:
    def tanh() -> nn.Module:
        layers: list[nn.Module] = [nn.Linear(bits, PARITY_HIDDEN), nn.Tanh()]
        for _ in range(PARITY_LAYERS - 1):
            layers += [nn.Linear(PARITY_HIDDEN, PARITY_HIDDEN), nn.Tanh()]
        return nn.Sequential(*layers)

    def grid(*, tied: bool) -> nn.Module:
        return conveyor.GridLSTM(bits, PARITY_HIDDEN, PARITY_LAYERS, dimensions=1, tied=tied)

    return {
        "tied LSTM along depth": lambda: grid(tied=True),
        "LSTM along depth": lambda: grid(tied=False),
        "tanh layers": tanh,
    }


def run(seeds: Sequence[int]) -> Iterator[tuple[str, int, Learned]]:
    """Both tasks, every network, every seed."""

    def symbols_loss(network: Readout, batch: Batch) -> Tensor:
        asked = network(batch)[-SYMBOLS:].flatten(0, 1), batch.targets[-SYMBOLS:].flatten()
        return nn.functional.cross_entropy(*asked)

    for name, cell, options in (
        ("stacked LSTM", "lstm", {}),
        ("tied grid LSTM", "grid_lstm", {"tied": True}),
    ):
        for seed in seeds:
            torch.manual_seed(seed)
            draw = torch.Generator().manual_seed(seed)
            test = copying(1, 500, torch.Generator().manual_seed(10_000 + seed))

            def wrong(network: nn.Module, test: Batch = test) -> float:
                said = network(test)[-SYMBOLS:].argmax(-1)
                return float((said != test.targets[-SYMBOLS:]).float().mean())

            network = Readout(
                cell, 10, HIDDEN, 10, wanted="class", last=False, num_layers=LAYERS, **options
            )
            yield (
                f"memorising, {name}",
                seed,
                learn(
                    network,
                    lambda draw=draw: copying(1, BATCH, draw),  # type: ignore[misc]
                    symbols_loss,
                    wrong,
                    lambda found: found < 0.001,
                    steps=STEPS,
                    every=250,
                    optimiser=torch.optim.Adam(network.parameters(), lr=RATE),
                ),
            )
    yield from _parities(seeds)


def _parities(seeds: Sequence[int]) -> Iterator[tuple[str, int, Learned]]:
    def odd_loss(network: _Readout, batch: Batch) -> Tensor:
        return nn.functional.binary_cross_entropy_with_logits(network(batch), batch.targets)

    for bits in BITS:
        for name, body in _bodies(bits).items():
            for seed in seeds:
                torch.manual_seed(seed)
                draw = torch.Generator().manual_seed(seed)
                test = _parity(bits, 2000, torch.Generator().manual_seed(10_000 + seed))

                def wrong(network: nn.Module, test: Batch = test) -> float:
                    return float(((network(test) > 0) != (test.targets > 0)).float().mean())

                network = _Readout(body(), PARITY_HIDDEN)
                yield (
                    f"parity of {bits}, {name}",
                    seed,
                    learn(
                        network,
                        lambda bits=bits, draw=draw: _parity(bits, PARITY_BATCH, draw),  # type: ignore[misc]
                        odd_loss,
                        wrong,
                        lambda found: found < 0.01,
                        steps=PARITY_STEPS,
                        every=250,
                        optimiser=torch.optim.Adam(network.parameters(), lr=RATE),
                    ),
                )
