"""Draw the pictures of page 2: gradients over three steps, and what each step adds by u."""

from math import tanh

import matplotlib.pyplot as plt
import torch
from drawing import BLUE, GREEN, ORANGE, SIZE, arrow, box, diagram, save

import conveyor

W, U, INPUTS, TARGET = 1.0, 0.8, (1.0, 0.0, -0.5), 1.0


def back() -> None:
    """Draw the states, and the gradients by them with the factors between them."""
    states, h = [], 0.0
    for x in INPUTS:
        h = tanh(W * x + U * h)
        states.append(h)
    gradients, factors = [states[-1] - TARGET], []
    for h in states[:0:-1]:
        factors.insert(0, (1 - h * h) * U)
        gradients.insert(0, gradients[0] * factors[0])

    figure, axes = diagram(8.1, -1.9, 1.0)
    for step, (state, gradient) in enumerate(zip(states, gradients, strict=True)):
        x = 2.4 * step
        axes.text(x, 0.6, f"$h_{step + 1}$", ha="center", color=BLUE, size=18)
        box(axes, x, 0, f"{state:.2f}", BLUE)
        box(axes, x, -1.5, f"{gradient:.2f}", ORANGE)
        arrow(axes, (x + 0.6, 0), (x + (1.8 if step < 2 else 2.0), 0))
    box(axes, 7.4, 0, "loss", GREEN, width=0.8)
    arrow(axes, (7.3, -0.4), (5.45, -1.4), ORANGE)
    for step, factor in enumerate(factors):
        x = 2.4 * step
        arrow(axes, (x + 1.8, -1.5), (x + 0.6, -1.5), ORANGE)
        axes.text(x + 1.2, -1.3, f"× {factor:.2f}", ha="center", color=ORANGE)
    axes.text(0, -0.98, "gradient", ha="center", color=ORANGE)
    save(figure, "2-back")


def terms() -> None:
    """Draw what each of twenty steps adds to the derivative by u; the code is that of the page."""
    layer = conveyor.Recurrent("rnn", input_size=1, hidden_size=1, bias=False)
    with torch.no_grad():
        layer.l0.W.fill_(W)
        layer.l0.U.fill_(U)
    torch.manual_seed(0)
    output, _, trace = layer(0.3 * torch.randn(20, 1, 1), trace="gradient")
    (by_h,) = torch.autograd.grad(output[-1].sum(), [trace["h"]])
    h = trace["h"].detach()
    before = torch.cat([torch.zeros(1, 1, 1), h[:-1]])
    sizes = (by_h * (1 - h**2) * before).flatten().abs()
    figure, axes = plt.subplots(figsize=SIZE)
    axes.bar(range(1, 21), sizes, color=BLUE)
    axes.set_xlabel("step")
    axes.set_ylabel("part of dL/du")
    axes.set_xticks([1, 5, 10, 15, 20])
    save(figure, "2-terms")


if __name__ == "__main__":
    back()
    terms()
