"""Draws the picture of page 9: what forget gates keep of a gradient, and an LSTM that explodes."""

import math

import matplotlib.pyplot as plt
import torch
from drawing import BLUE, GREEN, ORANGE, SIZE, save

import conveyor
from conveyor import inspect


def draw_limits() -> None:
    """Draw the gradient along the cell state by its forget gate, and by the size of the weights."""
    figure, (kept, grown) = plt.subplots(1, 2, figsize=SIZE)
    x = torch.randn(101, 1, 3)
    for f, colour in ((0.99, GREEN), (0.9, BLUE), (0.5, ORANGE)):
        layer = conveyor.LSTM(3, 8)
        with torch.no_grad():
            for parameter in layer.parameters():
                parameter.zero_()
            layer.bias_ih_l0[8:16] = math.log(f / (1 - f))
        path = inspect.state_path(layer, x)
        share = path.direct / path.direct[0]
        kept.plot(share, color=colour, linewidth=2.5, label=f"f = {f}")
    kept.legend(loc="upper right", frameon=False)
    kept.set_title("cell state: share left")
    kept.set_xlabel("steps back")
    for factor, colour in ((20, ORANGE), (1, BLUE)):
        torch.manual_seed(0)
        layer = conveyor.LSTM(3, 32)
        with torch.no_grad():
            layer.weight_hh_l0.mul_(factor)
        norms = inspect.gradient_by_distance(layer, torch.randn(100, 8, 3)).norms[0, False, "c"]
        grown.plot(norms, color=colour, linewidth=2.5)
    grown.set_yscale("log")
    grown.text(8, 1e14, "weights x 20", color=ORANGE, fontsize=13)
    grown.text(12, 1e-16, "weights x 1", color=BLUE, fontsize=13)
    grown.set_title("LSTM: gradient")
    grown.set_xlabel("steps back")
    figure.tight_layout()
    save(figure, "9-limits")


if __name__ == "__main__":
    plt.rcParams["font.size"] = 12  # more words than on other pages
    torch.manual_seed(0)
    torch.set_num_threads(1)
    draw_limits()
