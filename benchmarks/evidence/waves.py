"""A sum of sines of periods 8, 32, 80 and 160, made out of a constant input of 1 (after Koutník,
Greff, Gomez & Schmidhuber 2014, sequence generation). Networks of some 2,450 parameters learn by
gradient descent, 1,500 steps at 0.02. The score is the mean squared error by the variance of the
wave. The paper: clockwork networks are better than LSTM, and both than Elman's; a third party's
replication with these sizes got 2.2 times the error of the clockwork network for Elman's."""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

import conveyor
from benchmarks.evidence.learning import Learned, learn
from benchmarks.limits import both_ways
from benchmarks.measure import timed
from conveyor.data.synthetic import Batch, sines

STEPS, RATE = 1500, 0.02
PERIODS = (1, 2, 4, 8, 16, 32, 64, 128)
NETWORKS = ("Clockwork, 8 of 8 units", "rnn, 48 units", "lstm, 23 units")
# Of the replication.
PUBLISHED = {NETWORKS[0]: "best", NETWORKS[1]: "2.2 times clockwork's"}
# Whether all learn for as long, right or not.
STEPS_ARE_FIXED = True
# Of how many units the speed is measured, beside a dense Elman network of as many.
WIDTHS, ROUNDS = (64, 256, 512), 50


class _Readout(nn.Module):
    def __init__(self, layer: nn.Module, units: int) -> None:
        super().__init__()
        self.layer, self.readout = layer, nn.Linear(units, 1)

    def forward(self, batch: Batch) -> Tensor:
        found: Tensor = self.readout(self.layer(batch.inputs)[0])
        return found


def _networks() -> dict[str, nn.Module]:
    # As the replication: all weights normal with 0.1.
    made: dict[str, nn.Module] = {
        "Clockwork, 8 of 8 units": _Readout(conveyor.Clockwork(1, 64, PERIODS), 64),
        "rnn, 48 units": _Readout(conveyor.Recurrent("rnn", 1, 48), 48),
        "lstm, 23 units": _Readout(conveyor.Recurrent("lstm", 1, 23), 23),
    }
    for network in made.values():
        for name, each in network.named_parameters():
            if each.dim() > 1:
                nn.init.normal_(each, std=0.1)
            elif not name.endswith("b.f"):
                nn.init.zeros_(each)
    return made


def run(seeds: Sequence[int]) -> Iterator[tuple[str, int, Learned]]:
    """Every network with every seed."""
    wave = sines()

    def error(network: nn.Module, batch: Batch) -> Tensor:
        return nn.functional.mse_loss(network(batch), batch.targets)

    for name in NETWORKS:
        for seed in seeds:
            torch.manual_seed(seed)
            network = _networks()[name]
            learned = learn(
                network,
                lambda: wave,
                error,
                lambda network: float(error(network, wave) / wave.targets.var()),
                lambda _: False,
                steps=STEPS,
                every=STEPS,
                optimiser=torch.optim.SGD(network.parameters(), lr=RATE),
            )
            yield name, seed, learned


def conclude(runs: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    """How much faster a clockwork network is than a dense one of as many units, on this wave."""
    found = {}
    x = sines().inputs
    for units in WIDTHS:
        dense = conveyor.Recurrent("rnn", 1, units)
        contests = both_ways(dense, conveyor.Clockwork(1, units, PERIODS), x)
        seconds = {kind: timed(contest, ROUNDS) for kind, contest in contests.items()}
        found[str(units)] = {kind: other / ours for kind, (other, ours) in seconds.items()}
        shown = ", ".join(f"{kind} {ratio:.2f}" for kind, ratio in found[str(units)].items())
        print(f"{units} units: time of a dense Elman network by clockwork's: {shown}  paper: 2")
    return found
