"""The adding problem (Arjovsky, Shah & Bengio 2016): two marked numbers of many are to be summed.
Always answering 1 gives a mean squared error of 1/6. The papers: tanh networks fail from T = 100
on, LSTM and GRU solve it."""

from collections.abc import Iterator, Sequence
from typing import Any

import torch

from benchmarks.evidence.learning import Learned, learn, loss_of
from conveyor.data.synthetic import Batch, adding
from conveyor.networks.readout import Readout

HIDDEN, BATCH, RATE = 64, 64, 0.003
LENGTHS = (100, 200, 400)
CELLS = ("rnn", "lstm", "gru")
# An LSTM that begins with memory for all steps, where the usual one fails (Tallec & Ollivier 2018).
CHRONO = "lstm, chrono"
STEPS = 3000
# A tenth of a hundredth: the standard deviation of the error is 0.03.
SOLVED = 0.001
PUBLISHED = {
    f"{cell}, T = {steps}": said
    for cell, said in (("rnn", "fails"), ("lstm", "solved"), ("gru", "solved"))
    for steps in LENGTHS
}
# Whether all learn for as long, right or not.
STEPS_ARE_FIXED = False
# Some 20 minutes for one process.
IN_PROCESSES = True


def run(seeds: Sequence[int]) -> Iterator[tuple[str, int, Learned]]:
    """Every cell at every length with every seed; the score is the mean squared error of 1,000
    fresh sequences."""
    for steps in LENGTHS:
        for cell in (*CELLS, *[CHRONO] * (steps == LENGTHS[-1])):
            for seed in seeds:
                torch.manual_seed(seed)
                draw = torch.Generator().manual_seed(seed)
                test = adding(steps, 1000, torch.Generator().manual_seed(10_000 + seed))

                def error(network: Readout, test: Batch = test) -> float:
                    return float(network.loss(test).value)

                chrono: dict[str, Any] = {"init": "chrono", "longest_dependency": steps}
                options = chrono if cell == CHRONO else {}
                network = Readout(
                    cell.split(",")[0], 2, HIDDEN, 1, wanted="numbers", last=True, **options
                )
                yield (
                    f"{cell}, T = {steps}",
                    seed,
                    learn(
                        network,
                        lambda steps=steps, draw=draw: adding(steps, BATCH, draw),  # type: ignore[misc]
                        loss_of,
                        error,
                        lambda found: found < SOLVED,
                        steps=STEPS,
                        every=100,
                        optimiser=torch.optim.Adam(network.parameters(), lr=RATE),
                    ),
                )
