"""The language aⁿbⁿ (Gers & Schmidhuber 2001): learned for n up to 10, and then asked for more. The
paper: a peephole LSTM of one block goes on to n = 1000 at best. The score is the largest n up to
which every string is told right; solved is 50."""

from collections.abc import Iterator, Sequence

import torch
from torch import nn

from benchmarks.evidence.learning import Learned, learn, loss_of
from conveyor.data.synthetic import accepted, counting
from conveyor.networks.readout import Readout

HIDDEN, STEPS, RATE = 4, 6000, 0.01
KNOWN, ASKED, ENOUGH = 10, 200, 50
CELLS = ("rnn", "lstm", "lstm_peephole", "gru")
PUBLISHED = {"lstm_peephole": "118 on average, 1000 at best"}
# Whether all learn for as long, right or not.
STEPS_ARE_FIXED = False


def run(seeds: Sequence[int]) -> Iterator[tuple[str, int, Learned]]:
    """Every cell with every seed."""
    known, asked = counting(range(1, KNOWN + 1)), counting(range(1, ASKED + 1))

    def largest(network: nn.Module) -> float:
        right = accepted(network(asked).sigmoid(), asked)
        return float(ASKED if right.all() else int((~right).nonzero()[0]))

    for cell in CELLS:
        for seed in seeds:
            torch.manual_seed(seed)
            network = Readout(cell, 3, HIDDEN, 3, wanted="symbols", last=False)
            yield (
                cell,
                seed,
                learn(
                    network,
                    lambda: known,
                    loss_of,
                    largest,
                    lambda found: found >= ENOUGH,
                    steps=STEPS,
                    every=200,
                    optimiser=torch.optim.Adam(network.parameters(), lr=RATE),
                ),
            )
