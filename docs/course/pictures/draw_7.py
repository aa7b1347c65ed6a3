"""Draws the pictures of page 7: the shapes on their way, and the weights of a layer."""

import matplotlib.pyplot as plt
import torch
from drawing import BLUE, GREEN, GREY, ORANGE, SIZE, save
from matplotlib.patches import Rectangle
from torch import nn

import conveyor


def draw_shapes() -> None:
    """Draw the tensors of the page's network as boxes with their shapes."""
    lstm, dense = conveyor.LSTM(1, 50, batch_first=True), nn.Linear(50, 1)
    x = torch.randn(32, 10, 1)
    output, (h, _) = lstm(x)
    figure, axis = plt.subplots(figsize=SIZE)
    boxes = (
        ("x", list(x.shape), 0.0, 1.2, GREY),
        ("output", list(output.shape), 2.7, 2.2, BLUE),
        ("h[-1]", list(h[-1].shape), 2.7, 0.2, ORANGE),
        ("predict(x)", list(dense(h[-1]).shape), 5.4, 0.2, GREEN),
    )
    width, height = 1.7, 1.1
    for name, shape, left, bottom, colour in boxes:
        axis.add_patch(Rectangle((left, bottom), width, height, facecolor=colour, alpha=0.25))
        axis.text(left + width / 2, bottom + 0.72, name, ha="center", va="center", fontsize=14)
        axis.text(left + width / 2, bottom + 0.3, str(shape), ha="center", va="center", fontsize=13)
    arrows = (
        ((1.7, 1.95), (2.7, 2.65), "LSTM", (1.95, 2.6)),
        ((1.7, 1.55), (2.7, 0.85), "", (0.0, 0.0)),
        ((3.2, 2.2), (3.2, 1.3), "last step", (3.35, 1.7)),
        ((4.4, 0.75), (5.4, 0.75), "Linear", (4.5, 0.95)),
    )
    for begin, end, label, spot in arrows:
        axis.annotate("", end, begin, arrowprops={"arrowstyle": "->", "linewidth": 1.5})
        axis.text(*spot, label, fontsize=13)
    axis.text(5.0, 2.7, "[B, T, H]", fontsize=13, color=BLUE)
    axis.text(0.0, 0.75, "[B, T, features]", fontsize=13, color="#555555")
    axis.set_xlim(-0.1, 7.2)
    axis.set_ylim(0, 3.5)
    axis.axis("off")
    figure.tight_layout()
    save(figure, "7-shapes")


def draw_weights() -> None:
    """Draw the parameters of a layer, every number one unit of area."""
    inputs, hidden = 20, 30
    layer = conveyor.Recurrent("lstm", inputs, hidden)
    sizes = {name: tuple(value.shape) for name, value in layer.named_parameters()}
    figure, axis = plt.subplots(figsize=SIZE)
    gates = (("i", BLUE), ("f", ORANGE), ("g", GREEN), ("o", GREY))
    families = (
        ("W", "on the input\nW: H x I", 40.0),
        ("U", "on the state\nU: H x H", 130.0),
        ("b", "bias\nb: H", 220.0),
    )
    for family, label, left in families:
        shape = sizes[f"l0.{family}.i"]
        across = float(shape[1]) if len(shape) == 2 else 1.0
        for row, (gate, colour) in enumerate(gates):
            bottom = -row * (hidden + 3.0)
            axis.add_patch(Rectangle((left, bottom), across, hidden, facecolor=colour))
            if family == "W":
                axis.text(left - 5, bottom + hidden / 2, gate, ha="right", va="center", fontsize=14)
        axis.text(left + across / 2, hidden + 4, label, ha="center", va="bottom", fontsize=13)
    axis.set_xlim(0, 260)
    axis.set_ylim(-3 * (hidden + 3) - 2, hidden + 30)
    axis.set_aspect("equal")
    axis.axis("off")
    figure.tight_layout()
    save(figure, "7-weights")


if __name__ == "__main__":
    plt.rcParams["font.size"] = 12  # more words than on other pages
    torch.manual_seed(0)
    torch.set_num_threads(1)
    draw_shapes()
    draw_weights()
