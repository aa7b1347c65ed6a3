"""What is measured of networks that are looked into: where gradients go, and what contributed."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from conveyor.inside.compared import Compared
from conveyor.inspect.between import gradients_between
from conveyor.inspect.contributions import contributions
from conveyor.inspect.overview import thinned
from conveyor.layers.state import main_output
from conveyor.pages.inside_data import NetworkGradients, Numbers, Reach
from conveyor.tasks.read_sequence import ReadSequence

# Of a sequence at most so many steps are shown, which a screen can tell apart.
MOST_STEPS = 400
# The gradients of at most so many output steps are worked out, and of fewer in long sequences,
# in which they are followed so many steps back.
MOST_OUTPUTS, LEAST_OUTPUTS, BACK = 100, 16, 2000
# Random directions for each norm: its relative deviation is below a tenth with dozens of units.
DRAWS = 2
# Contributions are worked out of sequences of at most so many steps: each takes 32 passes.
MOST_CONTRIBUTING = 5000


def gradients_of(
    networks: Sequence[Compared], total: int, chosen: Sequence[int]
) -> tuple[list[int], list[NetworkGradients]]:
    """Return the places of output steps among the chosen ones, and what is left of their
    gradients."""
    main = networks[0].layer
    if main.bidirectional:
        return [], []
    most = max(LEAST_OUTPUTS, min(MOST_OUTPUTS, MOST_OUTPUTS * MOST_STEPS // total))
    outputs = thinned(len(chosen), most)
    rows = [chosen[place] for place in outputs]
    shades = ("ours", "ours", "third", "baseline")
    seen = []
    for number, network in enumerate(networks):
        norms = gradients_between(
            network.layer, network.inputs, outputs=rows, back=BACK, draws=DRAWS
        ).numpy()
        itself = norms[range(len(rows)), rows][:, None]
        # The output of a grid LSTM does not read the memory of its own step.
        itself = np.where(itself > 0, itself, np.nanmax(norms, axis=1, keepdims=True))
        shares = np.divide(norms, itself, out=np.zeros_like(norms), where=itself > 0)
        shares[np.isnan(norms)] = np.nan
        seen.append(
            NetworkGradients(
                name=network.name,
                about=network.about,
                shares=shares[:, list(chosen)],
                reach=[
                    (reach_of(of_output, row, 0.1), reach_of(of_output, row, 0.01))
                    for of_output, row in zip(shares, rows, strict=True)
                ],
                shade=shades[number] if number < len(shades) else "quiet",
                dashed=network.dashed,
                main=number == 0,
            )
        )
    return outputs, seen


def reach_of(shares: Numbers, output: int, share: float) -> Reach:
    """Return how far back a share of the gradient of an output step is left."""
    left = np.flatnonzero(shares[: output + 1] >= share)  # NaN is not
    first = int(left[0]) if len(left) else output
    farther = first < output and (first == 0 or bool(np.isnan(shares[first - 1])))
    return Reach(output - first, farther)


def contributions_of(
    read: ReadSequence, network: Compared, total: int, chosen: Sequence[int]
) -> Tensor | None:
    """Return what the chosen steps contributed; steps between count with the one before."""
    if total > MOST_CONTRIBUTING:
        return None
    layer = network.layer

    def answer(x: Tensor) -> Tensor:
        return read.answer(main_output(layer(x)[0]))

    axis = 1 if layer.batch_first else 0
    parts = contributions(answer, network.inputs, steps_axis=axis)
    by_step = parts.transpose(0, axis)[:, 0].sum(-1).double().cpu().numpy()
    return torch.from_numpy(np.add.reduceat(by_step, list(chosen)))
