"""Copying over 100 blanks (Arjovsky, Shah & Bengio 2016) with an LSTM whose forget bias begins at
0, at 1, or by chrono for up to 120 steps (Tallec & Ollivier 2018). Their finding, at 500 blanks and
more: chrono copies, and a bias of 1 stays at what a network without memory gets. The score is the
cross-entropy by that of a network without memory: 1 is nothing remembered."""

from collections.abc import Iterator, Sequence

import torch
from torch import nn

from benchmarks.evidence.learning import Learned, learn, loss_of
from conveyor.data.synthetic import Batch, copying, copying_baseline
from conveyor.networks.readout import Readout

# As Tallec & Ollivier: RMSProp with a decay of 0.9, 128 units, batches of 50.
HIDDEN, BATCH, RATE, DECAY = 128, 50, 0.001, 0.9
BLANK, STEPS = 100, 8000
LONGEST = BLANK + 20
WAYS = ("forget bias 0", "forget bias 1", "chrono")
# At 500 blanks.
PUBLISHED = {"forget bias 1": "1 (T = 500)", "chrono": "near 0 (T = 500)"}
SEEDS = 3
# Whether all learn for as long, right or not.
STEPS_ARE_FIXED = True
# Some 20 minutes for one process.
IN_PROCESSES = True


def _network(way: str) -> Readout:
    if way == "chrono":
        return Readout(
            "lstm",
            10,
            HIDDEN,
            10,
            wanted="class",
            last=False,
            init="chrono",
            longest_dependency=LONGEST,
        )
    network = Readout("lstm", 10, HIDDEN, 10, wanted="class", last=False)
    bias = network.recurrent.get_parameter("l0.b.f")
    nn.init.constant_(bias, 0.0 if way == "forget bias 0" else 1.0)
    return network


def run(seeds: Sequence[int]) -> Iterator[tuple[str, int, Learned]]:
    """Every start with every seed."""
    for way in WAYS:
        for seed in seeds:
            torch.manual_seed(seed)
            draw = torch.Generator().manual_seed(seed)
            test = copying(BLANK, 500, torch.Generator().manual_seed(10_000 + seed))

            def share(network: Readout, test: Batch = test) -> float:
                return float(network.loss(test).value) / copying_baseline(BLANK)

            network = _network(way)
            yield (
                way,
                seed,
                learn(
                    network,
                    lambda draw=draw: copying(BLANK, BATCH, draw),  # type: ignore[misc]
                    loss_of,
                    share,
                    lambda _: False,
                    steps=STEPS,
                    every=STEPS,
                    optimiser=torch.optim.RMSprop(network.parameters(), lr=RATE, alpha=DECAY),
                ),
            )
