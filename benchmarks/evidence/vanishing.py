"""Vanishing gradients, the articles' central claim (Hochreiter 1991; Bengio, Simard & Frasconi
1994): how large the gradient of a loss at the end is with respect to the states 100 steps before,
by that with respect to the last states; at the start, and after learning the adding problem of
100 steps for 1,500 batches. The score is that ratio, the median of 20 sequences: 1 is no loss."""

import statistics
from collections.abc import Iterator

import torch
from torch import Tensor

from benchmarks.evidence.adding import BATCH, HIDDEN, RATE, loss
from benchmarks.evidence.learning import Learned, Network, learn
from conveyor.tasks.synthetic import Batch, adding

# Whether all learn for as long, right or not.
STEPS_ARE_FIXED = True

DISTANCE, STEPS = 100, 1500
CELLS = ("rnn", "gru", "lstm")


def _ratio(network: Network, batch: Batch) -> float:
    """Of the gradients with respect to all states, at the first step and at the last."""
    found = []
    for sequence in batch.inputs.unbind(1):
        state, states = network.layer.start(1), []
        with torch.no_grad():
            for now in sequence:
                states.append(state)
                _, state = network.layer.step(now[None], state)
        # Each step's states begin a graph of their own: gradients are handed on from step to step.
        upstream: list[Tensor] = [torch.zeros_like(each) for each in state]
        upstream[0] = network.readout.weight[:1].detach()[None].clone()
        last = torch.cat([each.flatten() for each in upstream]).norm()
        for number in reversed(range(len(states))):
            leaves = [each.detach().requires_grad_() for each in states[number]]
            _, after = network.layer.step(sequence[number][None], type(state)(*leaves))
            upstream = list(torch.autograd.grad(list(after), leaves, upstream))
        first = torch.cat([each.flatten() for each in upstream]).norm()
        found.append(float(first / last))
    return statistics.median(found)


def run(seeds: int) -> Iterator[tuple[str, int, Learned]]:
    """Every cell with every seed, at the start and after learning."""
    for cell in CELLS:
        begun, learned = [], []
        for seed in range(seeds):
            torch.manual_seed(seed)
            draw = torch.Generator().manual_seed(seed)
            batch = adding(DISTANCE, 20, torch.Generator().manual_seed(10_000 + seed))
            network = Network(cell, 2, HIDDEN, 1, last=True)
            begun.append((seed, Learned(0, False, _ratio(network, batch), 0.0)))
            after = learn(
                network,
                lambda draw=draw: adding(DISTANCE, BATCH, draw),  # type: ignore[misc]
                loss,
                lambda _: 0.0,
                lambda _: False,
                steps=STEPS,
                every=STEPS,
                optimiser=torch.optim.Adam(network.parameters(), lr=RATE),
            )
            score = _ratio(network, batch)
            learned.append((seed, Learned(after.steps, False, score, after.seconds)))
        for when, rows in (("at the start", begun), ("after learning", learned)):
            for seed, row in rows:
                yield f"{cell}, {when}", seed, row
