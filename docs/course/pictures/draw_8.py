"""Draws the pictures of page 8: a ReLU network that overflows, and overfitting."""

import math

import matplotlib.pyplot as plt
import torch
from drawing import BLUE, GREEN, GREY, ORANGE, SIZE, save
from torch import Tensor, nn

import conveyor


def draw_relu() -> None:
    """Draw the largest hidden state at each step, until it is no number any more."""
    torch.manual_seed(0)
    x = torch.randn(400, 8, 4)
    figure, axis = plt.subplots(figsize=SIZE)
    for activation, colour in (("relu", ORANGE), ("tanh", BLUE)):
        torch.manual_seed(1)
        layer = conveyor.RNN(4, 32, nonlinearity=activation)
        with torch.no_grad():
            layer.weight_hh_l0.mul_(4)
            largest = layer(x)[0].abs().amax((1, 2))
        counted = largest[: int(largest.isfinite().sum())]
        axis.plot(counted, color=colour, linewidth=2.5)
        if len(counted) < len(x):
            axis.plot(len(counted) - 1, counted[-1], "x", color=colour, markersize=12)
            axis.text(len(counted) + 8, 1e33, "inf, then NaN", color=colour, fontsize=13)
    axis.text(60, 1e16, "ReLU", color=ORANGE, fontsize=14)
    axis.text(290, 1e2, "tanh", color=BLUE, fontsize=14)
    axis.set_yscale("log")
    axis.set_xlabel("step")
    axis.set_ylabel("largest hidden state")
    figure.tight_layout()
    save(figure, "8-relu")


def draw_noisy(count: int) -> tuple[Tensor, Tensor]:
    """Return sequences and labels, a tenth of them wrong."""
    x = torch.randn(count, 20, 3)
    label = x[:, :, 0].sum(1) > 0
    wrong = torch.rand(count) < 0.1
    return x, (label ^ wrong).float()


def learn(count: int) -> tuple[list[float], list[float]]:
    """Return the losses on the training and on the validation set, after every pass."""
    torch.manual_seed(0)
    (x, label), (x_valid, label_valid) = draw_noisy(count), draw_noisy(400)
    layer, head = conveyor.LSTM(3, 32, batch_first=True), nn.Linear(32, 1)
    optimiser = torch.optim.Adam([*layer.parameters(), *head.parameters()], lr=1e-2)
    loss_of = nn.functional.binary_cross_entropy_with_logits
    losses, losses_valid = [], []
    for _ in range(150):
        loss = loss_of(head(layer(x)[0][:, -1])[:, 0], label)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
        with torch.no_grad():
            last = layer(x_valid)[0][:, -1]
            losses_valid.append(loss_of(head(last)[:, 0], label_valid).item())
    return losses, losses_valid


def draw_overfitting() -> None:
    """Draw the losses over passes, for few sequences and for more."""
    losses, losses_valid = learn(40)
    _, with_more = learn(400)
    figure, axis = plt.subplots(figsize=SIZE)
    axis.axhline(math.log(2), color=GREY, linestyle="--")
    axis.plot(losses_valid, color=ORANGE, linewidth=2.5, label="validation, 40 sequences")
    axis.plot(with_more, color=GREEN, linewidth=2.5, label="validation, 400 sequences")
    axis.plot(losses, color=BLUE, linewidth=2.5, label="training, 40 sequences")
    best = losses_valid.index(min(losses_valid))
    axis.plot(best, losses_valid[best], "o", color=ORANGE, markersize=10)
    axis.text(2, math.log(2) + 0.06, "guessing", color="#555555", fontsize=13)
    axis.set_xlabel("pass over the training set")
    axis.set_ylabel("loss")
    axis.set_ylim(0, None)
    axis.legend(loc="center right", bbox_to_anchor=(1.0, 0.62), frameon=False)
    figure.tight_layout()
    save(figure, "8-overfitting")


if __name__ == "__main__":
    plt.rcParams["font.size"] = 12  # more words than on other pages
    torch.set_num_threads(1)
    draw_relu()
    draw_overfitting()
