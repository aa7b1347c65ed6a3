"""Draw the pictures of page 3: gradients by distance, for scaled matrices and for the cures."""

import matplotlib.pyplot as plt
import torch
from drawing import BLUE, GREEN, GREY, ORANGE, SIZE, save
from torch import Tensor

import conveyor
from conveyor import inspect
from conveyor.cells import Bias, Cell, Input, Matrix, State, Value, cell, sigmoid

NOISE = torch.randn(101, 8, 4, generator=torch.Generator().manual_seed(0))


@cell
def rnn_sigmoid(x: Input, h: State, W: Matrix, U: Matrix, b: Bias) -> Value:
    """Elman network with the sigmoid."""
    h = sigmoid(W @ x + U @ h + b)
    return h  # noqa: RET504 - a cell returns its state


def by_distance(layer: conveyor.Recurrent, x: Tensor, state: str = "h") -> Tensor:
    """Return the gradient by the states before the last, by the largest of them."""
    norms = inspect.gradient_by_distance(layer, x).norms[0, False, state]
    return norms / norms[0]


def scales() -> None:
    """Draw the gradient of scaled orthogonal matrices, with a silent input and with noise."""
    figure, panels = plt.subplots(1, 2, figsize=SIZE, sharey=True)
    for axes, x, title in zip(panels, (0 * NOISE, NOISE), ("silent", "noise"), strict=True):
        for scale, colour in ((1.1, ORANGE), (1.0, GREEN), (0.9, BLUE)):
            torch.manual_seed(0)
            layer = conveyor.Recurrent("rnn", 4, 64)
            with torch.no_grad():
                layer.l0.U.mul_(scale)
            axes.semilogy(by_distance(layer, x), color=colour, label=f"{scale}")
        axes.set_title(title)
        axes.set_xlabel("steps back")
        axes.set_xticks([0, 50, 100])
        axes.set_yticks([1e-12, 1e-8, 1e-4, 1, 1e4])
        axes.minorticks_off()
    panels[0].set_ylabel("gradient")
    panels[0].legend(loc="lower left")
    figure.tight_layout()
    save(figure, "3-scales")


def cures() -> None:
    """Draw the gradient of fresh networks with other activations, start values and gates."""
    plain: list[tuple[str | Cell, str, str, str]] = [
        ("rnn_relu", "irnn", "relu, identity", GREEN),
        ("rnn", "default", "tanh, orthogonal", BLUE),
        ("rnn", "torch", "tanh, random", ORANGE),
        (rnn_sigmoid, "default", "sigmoid", GREY),
    ]
    gated: list[tuple[str | Cell, str, str, str]] = [
        ("lstm", "chrono", "LSTM, chrono", GREEN),
        ("lstm", "default", "default", BLUE),
        ("lstm", "torch", "random", ORANGE),
    ]
    figure, panels = plt.subplots(1, 2, figsize=SIZE, sharey=True)
    for axes, networks, state in zip(panels, (plain, gated), "hc", strict=True):
        for chosen, init, label, colour in networks:
            torch.manual_seed(0)
            longest = 100 if init == "chrono" else None
            layer = conveyor.Recurrent(chosen, 4, 64, init=init, longest_dependency=longest)
            axes.semilogy(by_distance(layer, NOISE, state), color=colour, label=label)
        axes.set_ylim(1e-9, 1e7)
        axes.set_yticks([1e-8, 1e-4, 1])
        axes.set_xticks([0, 50, 100])
        axes.minorticks_off()
        axes.set_xlabel("steps back")
        axes.legend(loc="upper right", fontsize=12, labelspacing=0.2)
    panels[0].set_ylabel("gradient")
    figure.tight_layout()
    save(figure, "3-cures")


if __name__ == "__main__":
    scales()
    cures()
