"""Periodic functions made out of a constant input of 1, by one cell (Gers, Schraudolph &
Schmidhuber 2002, PFG): y = o * c and no squashing of the input, as there. The paper: with peepholes
the cell learns a cosine, a triangle and a rectangle of period 10 and of 25, without them only the
cosine of period 10. The score is the root of the mean squared error over 20 periods, after learning
from 4; below 0.06 it is solved (a constant gets 0.35 for the cosine, 0.29 for the triangle)."""

from collections.abc import Iterator, Sequence

import torch
from torch import nn

from benchmarks.evidence.learning import Learned, learn, loss_of
from conveyor.cells import Bias, Input, Matrix, State, Value, Vector, cell, sigmoid
from conveyor.data.synthetic import Batch, periodic
from conveyor.networks.readout import Readout

# The paper's start values: it begins closed to the past, open to the world.
START = {"b.f": -2.0, "b.o": 2.0}
WEIGHTS = 0.1
PERIOD, LEARNED, ASKED = 10, 4, 20
# By wave: the learning rate and the most steps. The triangle needs small ones and many.
WAVES = {"cosine": (0.01, 4000), "triangle": (0.003, 20_000)}
SOLVED = 0.06
STEPS_ARE_FIXED = False
PUBLISHED = {
    "cosine, with peepholes": "learned",
    "cosine, without": "learned",
    "triangle, with peepholes": "learned",
    "triangle, without": "not learned",
}


@cell(source="Gers, Schraudolph & Schmidhuber 2002", start=START)
def with_peepholes(
    x: Input, h: State, c: State, W: Matrix, U: Matrix, p: Vector, b: Bias
) -> tuple[Value, Value]:
    """The cell of the timing experiments."""
    f = sigmoid(W.f @ x + U.f @ h + p.f * c + b.f)
    i = sigmoid(W.i @ x + U.i @ h + p.i * c + b.i)
    c = f * c + i * (W.g @ x + U.g @ h + b.g)
    o = sigmoid(W.o @ x + U.o @ h + p.o * c + b.o)
    h = o * c
    return h, c


@cell(source="Gers, Schraudolph & Schmidhuber 2002", start=START)
def without(x: Input, h: State, c: State, W: Matrix, U: Matrix, b: Bias) -> tuple[Value, Value]:
    """The same without peepholes."""
    f = sigmoid(W.f @ x + U.f @ h + b.f)
    i = sigmoid(W.i @ x + U.i @ h + b.i)
    c = f * c + i * (W.g @ x + U.g @ h + b.g)
    o = sigmoid(W.o @ x + U.o @ h + b.o)
    h = o * c
    return h, c


def _wave(kind: str, periods: int) -> Batch:
    return periodic(periods * PERIOD, PERIOD, form=kind)


def run(seeds: Sequence[int]) -> Iterator[tuple[str, int, Learned]]:
    """Both cells on every wave with every seed."""
    for kind, (rate, steps) in WAVES.items():
        known, asked = _wave(kind, LEARNED), _wave(kind, ASKED)
        for name, equations in (("with peepholes", with_peepholes), ("without", without)):
            for seed in seeds:
                torch.manual_seed(seed)
                network = Readout(equations, 1, 1, 1, wanted="numbers", last=False)
                for key, each in network.named_parameters():
                    if key.removeprefix("recurrent.l0.") not in ("b.f", "b.i", "b.o"):
                        nn.init.uniform_(each, -WEIGHTS, WEIGHTS)

                def error(network: Readout, asked: Batch = asked) -> float:
                    return float(network.loss(asked).value.sqrt())

                yield (
                    f"{kind}, {name}",
                    seed,
                    learn(
                        network,
                        lambda known=known: known,  # type: ignore[misc]
                        loss_of,
                        error,
                        lambda found: found < SOLVED,
                        steps=steps,
                        every=500,
                        optimiser=torch.optim.Adam(network.parameters(), lr=rate),
                    ),
                )
