"""Draw the pictures of page 5: a clockwork network over time, and parameters of the cells."""

import matplotlib.pyplot as plt
import torch
from drawing import BLUE, GREEN, GREY, ORANGE, save

import conveyor


def clockwork() -> None:
    """Draw one unit of each module over time."""
    torch.manual_seed(0)
    network = conveyor.Clockwork(1, 8, periods=(1, 2, 4, 8))
    with torch.no_grad():
        output = network(torch.randn(33, 1, 1))[0][:, 0]
    figure, panels = plt.subplots(4, 1, figsize=(7, 4.4), sharex=True)
    colours = (BLUE, GREEN, ORANGE, GREY)
    for module, (axes, colour) in enumerate(zip(panels, colours, strict=True)):
        axes.step(range(33), output[:, 2 * module], where="post", color=colour)
        axes.set_title(f"period {2**module}", fontsize=14, loc="left", pad=2)
        axes.set_ylim(-1.1, 1.1)
        axes.set_yticks([-1, 1])
    panels[-1].set_xlabel("step")
    panels[-1].set_xticks(range(0, 33, 8))
    figure.tight_layout()
    save(figure, "5-clockwork")


def parameters() -> None:
    """Draw how many parameters layers of 8 features and 16 units have."""
    cells = {
        "clockwork": None,
        "RNN": "rnn",
        "coupled": "lstm_coupled",
        "GRU": "gru",
        "LSTM": "lstm",
        "peephole": "lstm_peephole",
        "depth-gated": "lstm_depth_gated",
        "grid": "grid_lstm",
    }
    layers = [
        conveyor.Recurrent(cell, 8, 16) if cell else conveyor.Clockwork(8, 16, (1, 2, 4, 8))
        for cell in cells.values()
    ]
    counts = [sum(weight.numel() for weight in layer.parameters()) for layer in layers]
    figure, axes = plt.subplots(figsize=(7, 4))
    colours = [ORANGE if name == "LSTM" else BLUE for name in cells]
    bars = axes.barh(list(cells), counts, color=colours)
    axes.bar_label(bars, padding=4)
    axes.invert_yaxis()
    axes.set_xlim(0, 5200)
    axes.set_xlabel("parameters")
    axes.set_xticks([0, 2000, 4000])
    save(figure, "5-parameters")


if __name__ == "__main__":
    clockwork()
    parameters()
