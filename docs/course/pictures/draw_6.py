"""Draws the pictures of page 6: counting by an LSTM and a GRU, and the adding problem."""

import json

import matplotlib.pyplot as plt
import torch
from drawing import BLUE, FOLDER, GREEN, GREY, ORANGE, SIZE, save
from torch import nn

import conveyor
from conveyor.data.synthetic import counting

RESULTS = FOLDER.parents[2] / "benchmarks" / "results" / "evidence.json"


def states_of(kind: type[conveyor.LSTM] | type[conveyor.GRU], name: str, n: int) -> torch.Tensor:
    """Return the states [T, units] while a trained layer reads n of each letter."""
    torch.manual_seed(1)
    known = counting(range(1, 11))
    layer, head = kind(3, 10), nn.Linear(10, 3)
    parameters = [*layer.parameters(), *head.parameters()]
    optimiser = torch.optim.Adam(parameters, lr=0.02)
    for _ in range(600):
        output, _ = layer(known.inputs, lengths=known.lengths)
        loss = nn.functional.binary_cross_entropy_with_logits(
            head(output)[known.counted], known.targets[known.counted]
        )
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimiser.step()
    with torch.no_grad():
        _, _, trace = layer(counting([n]).inputs, trace=True)
    return trace[name][:, 0].detach()


def draw_counting() -> None:
    """Draw the states of both cells while they read forty a and forty b."""
    n = 40
    figure, axes = plt.subplots(1, 2, figsize=SIZE)
    cells = (
        (conveyor.LSTM, "c", "LSTM: cell state c", BLUE),
        (conveyor.GRU, "h", "GRU: h", ORANGE),
    )
    for axis, (kind, name, title, colour) in zip(axes, cells, strict=True):
        axis.plot(states_of(kind, name, n), color=colour, linewidth=1.5)
        axis.axvline(n + 0.5, color=GREY, linestyle="--")
        axis.axvspan(0, 10, color=GREY, alpha=0.2, linewidth=0)
        axis.set_title(title)
        axis.set_xlabel("step: 40 a, then 40 b")
    figure.tight_layout()
    save(figure, "6-counting")


def draw_adding() -> None:
    """Draw in how many batches the adding problem was solved, each seed a dot."""
    runs = json.loads(RESULTS.read_text(encoding="utf-8"))["adding"]["runs"]
    figure, axis = plt.subplots(figsize=SIZE)
    rows = (
        ("GRU", "gru, T = {}", ORANGE, -0.2),
        ("LSTM", "lstm, T = {}", BLUE, 0.0),
        ("LSTM, chrono", "lstm, chrono, T = {}", GREEN, 0.2),
    )
    for label, key, colour, shift in rows:
        first = True
        for place, steps in enumerate((100, 200, 400)):
            for number, trial in enumerate(runs.get(key.format(steps), ())):
                axis.scatter(
                    place + shift + 0.02 * (number - 2),
                    trial["steps"],
                    s=60,
                    color=colour,
                    marker="o" if trial["solved"] else "x",
                    label=label if first else None,
                )
                first = False
    axis.set_xticks(range(3), ["100 steps", "200 steps", "400 steps"])
    axis.set_ylabel("batches until solved")
    axis.set_ylim(0, 3300)
    axis.legend(loc="upper left", frameon=False)
    axis.text(1.25, 3080, "x: not solved", fontsize=11, color=BLUE)
    figure.tight_layout()
    save(figure, "6-adding")


if __name__ == "__main__":
    plt.rcParams["font.size"] = 12  # more words than on other pages
    torch.set_num_threads(1)
    draw_counting()
    draw_adding()
