"""Embedded Reber grammar (Hochreiter & Schmidhuber 1997, experiment 1): the second symbol must be
remembered until the second last. The paper: LSTM solves it in every trial, an Elman network in
none. Here all learn by Adam through whole strings, which the paper's Elman network did not: it
solves it too, so the claim is about learning in 1997, not about the cell."""

from collections.abc import Iterator, Sequence

import torch
from torch import nn

from benchmarks.evidence.learning import Learned, learn, loss_of
from conveyor.data.synthetic import Batch, all_legal_above, reber
from conveyor.networks.readout import Readout

HIDDEN, BATCH, STEPS, RATE = 12, 32, 4000, 0.01
CELLS = ("rnn", "lstm_1997", "lstm", "gru")
PUBLISHED = {"rnn": "0 of 30", "lstm_1997": "30 of 30"}
SEEDS = 10
# Whether all learn for as long, right or not.
STEPS_ARE_FIXED = False


def run(seeds: Sequence[int]) -> Iterator[tuple[str, int, Learned]]:
    """Every cell with every seed; right is every step of 256 strings that were not learned from."""
    for cell in CELLS:
        for seed in seeds:
            torch.manual_seed(seed)
            strings = torch.Generator().manual_seed(seed)
            test = reber(256, torch.Generator().manual_seed(10_000 + seed))
            # 256 strings to learn from, as in the paper.
            known = reber(256, strings)

            def batch(known: Batch = known, strings: torch.Generator = strings) -> Batch:
                return known.taken(torch.randint(256, (BATCH,), generator=strings))

            def right(network: nn.Module, test: Batch = test) -> float:
                return float(all_legal_above(network(test), test).double().mean())

            network = Readout(cell, 7, HIDDEN, 7, wanted="symbols", last=False)
            yield (
                cell,
                seed,
                learn(
                    network,
                    batch,
                    loss_of,
                    right,
                    lambda found: found == 1.0,
                    steps=STEPS,
                    every=100,
                    optimiser=torch.optim.Adam(network.parameters(), lr=RATE),
                ),
            )
