"""Vanishing gradients, the articles' central claim (Hochreiter 1991; Bengio, Simard & Frasconi
1994): how large the gradient of a loss at the end is with respect to the states 100 steps before,
by that with respect to the last states; at the start, and after learning the adding problem of
100 steps for 1,500 batches. The score is that ratio, the median of 20 sequences: 1 is no loss."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from matplotlib.figure import Figure
from torch import Tensor

from benchmarks.evidence.adding import BATCH, HIDDEN, RATE
from benchmarks.evidence.chart import save
from benchmarks.evidence.learning import Learned, learn, loss_of
from conveyor.data.synthetic import Batch, adding
from conveyor.networks.readout import Readout

# Whether all learn for as long, right or not.
STEPS_ARE_FIXED = True
# Hochreiter 1991; Bengio, Simard & Frasconi 1994; Hochreiter & Schmidhuber 1997.
PUBLISHED = {"rnn, after learning": "vanishes", "lstm, after learning": "does not"}

DISTANCE, STEPS = 100, 1500
# Steps between the norms that are kept.
EVERY = 4
CELLS = ("rnn", "gru", "lstm")

CHART = Path(__file__).parents[2] / "docs" / "vanishing-gradients.svg"
NAMES = {"rnn": "Elman", "gru": "GRU", "lstm": "LSTM"}
# Okabe & Ito's colours, which the colour-blind can tell apart.
COLOURS = {"rnn": "#D55E00", "gru": "#009E73", "lstm": "#0072B2"}


@dataclass(frozen=True)
class Gradients(Learned):
    """``norms`` are at every fourth step back from the end, 0 to 100, by that of the last step: the
    median of all sequences."""

    norms: list[float]


def _norms(network: Readout, batch: Batch) -> list[float]:
    """Of the gradients with respect to all states, by distance from the last step."""
    found = []
    for sequence in batch.inputs.unbind(1):
        state, states = network.recurrent.start(1), []
        with torch.no_grad():
            for now in sequence:
                states.append(state)
                _, state = network.recurrent.step(now[None], state)
        # Each step's states begin a graph of their own: gradients are handed on from step to step.
        upstream: list[Tensor] = [torch.zeros_like(each) for each in state]
        upstream[0] = network.head.weight[:1].detach()[None].clone()
        norms = [torch.cat([each.flatten() for each in upstream]).norm()]
        for number in reversed(range(len(states))):
            leaves = [each.detach().requires_grad_() for each in states[number]]
            _, after = network.recurrent.step(sequence[number][None], type(state)(*leaves))
            upstream = list(torch.autograd.grad(list(after), leaves, upstream))
            norms.append(torch.cat([each.flatten() for each in upstream]).norm())
        found.append(torch.stack(norms) / norms[0])
    return torch.stack(found).median(0).values[::EVERY].tolist()


def run(seeds: Sequence[int]) -> Iterator[tuple[str, int, Learned]]:
    """Every cell with every seed, at the start and after learning."""
    for cell in CELLS:
        begun, learned = [], []
        for seed in seeds:
            torch.manual_seed(seed)
            draw = torch.Generator().manual_seed(seed)
            batch = adding(DISTANCE, 20, torch.Generator().manual_seed(10_000 + seed))
            network = Readout(cell, 2, HIDDEN, 1, wanted="numbers", last=True)
            norms = _norms(network, batch)
            begun.append((seed, Gradients(0, False, norms[-1], 0.0, norms)))
            after = learn(
                network,
                lambda draw=draw: adding(DISTANCE, BATCH, draw),  # type: ignore[misc]
                loss_of,
                lambda _: 0.0,
                lambda _: False,
                steps=STEPS,
                every=STEPS,
                optimiser=torch.optim.Adam(network.parameters(), lr=RATE),
            )
            norms = _norms(network, batch)
            learned.append((seed, Gradients(after.steps, False, norms[-1], after.seconds, norms)))
        for when, rows in (("at the start", begun), ("after learning", learned)):
            for seed, row in rows:
                yield f"{cell}, {when}", seed, row


def conclude(runs: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    """Draw the norms by distance, the median of all seeds; docs/evidence.md shows it."""
    figure = Figure(figsize=(8, 4.2), layout="constrained")
    axes = figure.add_subplot()
    for cell in CELLS:
        for when, style in (("at the start", ":"), ("after learning", "-")):
            rows = torch.tensor([each["norms"] for each in runs[f"{cell}, {when}"]])
            label = f"{NAMES[cell]}, {when}"
            steps = range(0, DISTANCE + 1, EVERY)
            axes.plot(
                steps, rows.median(0).values, style, color=COLOURS[cell], label=label, linewidth=2
            )
    axes.set_yscale("log")
    axes.set_ylim(1e-16, 10)
    axes.set_xlabel("steps back from the loss")
    axes.set_ylabel("norm of the gradient by the states,\nby that at the last step")
    axes.grid(alpha=0.3)
    axes.legend(frameon=False, fontsize=9, ncols=3, loc="upper center", bbox_to_anchor=(0.5, 1.18))
    axes.spines[["top", "right"]].set_visible(False)
    save(figure, CHART)
    return {"chart": CHART.name}
