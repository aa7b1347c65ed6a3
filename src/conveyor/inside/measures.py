"""What is measured of networks that are looked into: where gradients go, and what contributed."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from conveyor.errors import DataError
from conveyor.inside.compared import Compared
from conveyor.inspect.between import gradients_between
from conveyor.inspect.contributions import contributions
from conveyor.inspect.not_finite import first_not_finite
from conveyor.inspect.one_sequence import Sequence as OneSequence
from conveyor.inspect.one_sequence import main_input
from conveyor.inspect.overview import Overview, thinned
from conveyor.inspect.traced import steps_first
from conveyor.layers.recurrent import Recurrent
from conveyor.pages.inside_data import NetworkGradients, Numbers, Reach
from conveyor.tasks.read_sequence import ReadSequence

# Of a sequence at most so many steps are shown, which a screen can tell apart.
MOST_STEPS = 400
# The gradients of at most so many output steps are worked out, and of fewer in long sequences,
# in which they are followed so many steps back.
MOST_OUTPUTS, LEAST_OUTPUTS, BACK = 100, 16, 2000
# Random directions for each norm but those of the last output, which are exact. With 2 a share was
# off by a fifth to a half, in nets of 64 and 128 units; that falls with the root of their number.
DRAWS = 8
# Contributions are worked out of sequences of at most so many steps: each takes 32 passes.
MOST_CONTRIBUTING = 5000


def check_finite(layer: Recurrent, inputs: OneSequence, overviews: Sequence[Overview]) -> None:
    """Check that all numbers inside are finite.

    Raises:
        DataError: one is not; the text says which came first.
    """
    values = [tensor for one in overviews for tensor in (*one.values.values(), one.carried)]
    if all(bool(torch.isfinite(tensor).all()) for tensor in values):
        return
    first = first_not_finite(layer, inputs)
    where = ""
    if first is not None:
        where = (
            f" The first is {first.name} = {first.value:g} at step {first.step + 1}, in unit "
            f"{first.unit} of layer {first.layer + 1}."
        )
    raise DataError(
        f"the network computes numbers on this sequence that are not finite.{where} Give an input "
        "of finite numbers, or a network that was trained with smaller steps."
    )


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
        parts = [
            gradients_between(network.layer, network.inputs, outputs=some, back=BACK, draws=draws)
            for some, draws in ((rows[:-1], DRAWS), (rows[-1:], None))
        ]
        norms = torch.cat(parts).numpy()
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


def contributions_of(read: ReadSequence, network: Compared, total: int) -> Tensor | None:
    """Return what each step contributed, [T]; None of a sequence that is too long."""
    if total > MOST_CONTRIBUTING:
        return None
    layer = network.layer

    x = main_input(layer, network.inputs)
    axis = 1 if layer.batch_first else 0
    parts = contributions(lambda x: read.answer_on(layer, x), x, steps_axis=axis)
    return steps_first(layer, parts)[:, 0].sum(-1).double().cpu()
