"""Draw the pictures of page 1: the unrolled network, and the echo of a pulse."""

import matplotlib.pyplot as plt
import torch
from drawing import BLUE, GREEN, GREY, ORANGE, SIZE, arrow, box, diagram, save

import conveyor


def unrolled() -> None:
    """Draw four copies of one cell, from left to right."""
    figure, axes = diagram(7.1, -1.75, 1.75)
    for step in range(4):
        x = 2.0 * step
        box(axes, x, 0, "W, U, b", BLUE, width=1.05)
        axes.text(x, -1.5, f"$x_{step + 1}$", ha="center", va="center", color=GREEN, size=20)
        axes.text(x, 1.5, f"$h_{step + 1}$", ha="center", va="center", color=ORANGE, size=20)
        arrow(axes, (x, -1.22), (x, -0.4), GREEN)
        arrow(axes, (x, 0.4), (x, 1.22), ORANGE)
        if step < 3:
            arrow(axes, (x + 0.62, 0), (x + 1.38, 0), ORANGE)
            axes.text(x + 1, 0.28, f"$h_{step + 1}$", ha="center", color=ORANGE, size=16)
    save(figure, "1-unrolled")


def echo() -> None:
    """Draw what is left of a pulse, with and without the loop; the code is that of the page."""
    torch.manual_seed(1)
    net = conveyor.Recurrent("rnn", input_size=1, hidden_size=4)
    pulse = torch.zeros(20, 1, 1)
    pulse[0] = 1.0
    with torch.no_grad():
        loop = net(pulse)[0][:, 0]
        net.l0.U.zero_()
        cut = net(pulse)[0][:, 0]
    figure, panels = plt.subplots(1, 2, figsize=SIZE, sharey=True)
    for axes, values, title in zip(panels, (loop, cut), ("with the loop", "U = 0"), strict=True):
        for unit, colour in enumerate((BLUE, ORANGE, GREEN, GREY)):
            axes.plot(values[:, unit], color=colour)
        axes.set_title(title)
        axes.set_xlabel("step")
        axes.set_xticks([0, 5, 10, 15])
    panels[0].set_ylabel("hidden state")
    figure.tight_layout()
    save(figure, "1-echo")


if __name__ == "__main__":
    unrolled()
    echo()
