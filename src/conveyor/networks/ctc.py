"""Connectionist temporal classification: labels of a sequence that says not when each comes (Graves
et al. 2006, Connectionist temporal classification).

At each of T steps a network gives a distribution over a blank, symbol 0, and K labels. A path is a
symbol for each step; it collapses to labels by merging runs of one symbol and leaving out blanks.
The probability of labels is the sum of those of all paths that collapse to them.
"""

from collections.abc import Sequence
from itertools import groupby, pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from conveyor.errors import DataError, ShapeError

# The symbol between labels.
BLANK = 0


def steps_needed(labels: Sequence[int]) -> int:
    """Return the fewest steps that labels need: one for each, and a blank between equal
    neighbours.

    >>> steps_needed([1, 2, 1]), steps_needed([1, 1, 1]), steps_needed([])
    (3, 5, 0)
    """
    return len(labels) + sum(one == other for one, other in pairwise(labels))


def collapse(path: Sequence[int]) -> list[int]:
    """Return the labels of a path.

    >>> collapse([0, 1, 1, 0, 1, 2, 2, 0])
    [1, 1, 2]
    """
    return [symbol for symbol, _ in groupby(path) if symbol != BLANK]


def _check(
    logits: Tensor, targets: Tensor, lengths: Tensor, target_lengths: Tensor, names: Sequence[str]
) -> None:
    """Check what torch's ``ctc_loss`` accepts and answers with a number that means nothing.

    Raises:
        ShapeError: sizes or lengths do not fit.
        DataError: a label is none, or there are more labels than steps hold.
    """
    if logits.dim() != 3 or targets.dim() != 2 or logits.shape[1] != targets.shape[1]:
        raise ShapeError(
            f"logits are {list(logits.shape)} and targets {list(targets.shape)}; expected [T, B, "
            "1 + labels] and [U, B]."
        )
    batch, symbols = logits.shape[1:]
    for what, values, most in (
        ("lengths", lengths, len(logits)),
        ("target_lengths", target_lengths, len(targets)),
    ):
        if values.shape != (batch,) or bool(((values < 0) | (values > most)).any()):
            raise ShapeError(f"{what} are {values.tolist()}; expected {batch} of 0 to {most}.")

    def name(row: int) -> str:
        return names[row] if names else f"sequence {row}"

    for row, count in enumerate(target_lengths.tolist()):
        labels = targets[:count, row].tolist()
        for place, label in enumerate(labels):
            if not 1 <= label < symbols:
                wrong = "the blank" if label == BLANK else f"{label}"
                raise DataError(
                    f"{name(row)}: label {place} is {wrong}; expected 1 to {symbols - 1}, for 0 is "
                    "the blank."
                )
        needed, steps = steps_needed(labels), int(lengths[row])
        if needed > steps:
            raise DataError(
                f"{name(row)}: {count} labels need {needed} steps, one each and a blank between "
                f"equal neighbours; there are {steps}. Leave it out, or take more steps a second."
            )


def ctc_loss(
    logits: Tensor,
    targets: Tensor,
    lengths: Tensor,
    target_lengths: Tensor,
    *,
    names: Sequence[str] = (),
) -> Tensor:
    """Return -log p of the labels of each sequence, in nats, [B].

    It is torch's loss, behind a door: torch reads a label beyond the last one from other memory,
    takes a blank for a label, and answers infinity, or 0 with ``zero_infinity``, where there are
    more labels than steps.

    Args:
        logits: of the blank and the labels, [T, B, 1 + K], not normalised.
        targets: labels, 1 to K, [U, B], with anything after the end of the shorter ones.
        lengths: how many steps of each sequence count, [B].
        target_lengths: how many labels, [B]; 0 is allowed.
        names: how errors name each sequence.

    Raises:
        ShapeError: sizes or lengths do not fit.
        DataError: a label is none, or there are more labels than steps hold.
    """
    _check(logits, targets, lengths, target_lengths, names)
    losses: Tensor = torch.nn.functional.ctc_loss(
        logits.log_softmax(-1), targets.T, lengths, target_lengths, reduction="none"
    )
    if not bool((lengths == 0).any()):
        return losses
    # Of no step torch gives the empty labels 0 and no gradient that could be trusted.
    return torch.where(lengths.to(losses.device) == 0, torch.zeros_like(losses), losses)


def best_path(logits: Tensor) -> list[int]:
    """Return the likeliest symbol of each step [T, 1 + K]: a path, which ``collapse`` makes labels
    of. Of equally likely ones it is the first."""
    return [int(symbol) for symbol in logits.argmax(-1)]


def ctc_alignment(log_probabilities: Tensor, labels: Sequence[int]) -> list[int]:
    """Return the likeliest path that collapses to labels: for each step its symbol.

    Args:
        log_probabilities: of symbols at each step, [T, 1 + K].
        labels: 1 to K.

    Raises:
        DataError: there are more labels than steps hold.
    """
    scores = log_probabilities.detach().double().cpu().numpy()
    needed = steps_needed(labels)
    if needed > len(scores):
        raise DataError(f"{len(labels)} labels need {needed} steps; there are {len(scores)}.")
    if not len(scores):
        return []
    states = np.full(2 * len(labels) + 1, BLANK)
    states[1::2] = labels
    # From two states before one comes past a blank, to a label that is not the one before it.
    skips = np.zeros(len(states), dtype=bool)
    skips[3::2] = states[3::2] != states[1:-2:2]
    best: NDArray[np.float64] = np.full(len(states), -np.inf)
    best[:2] = scores[0, states[:2]]
    moves = np.zeros((len(scores), len(states)), dtype=np.int64)
    for step in range(1, len(scores)):
        stay, one, two = best, np.full_like(best, -np.inf), np.full_like(best, -np.inf)
        one[1:] = best[:-1]
        two[2:] = np.where(skips[2:], best[:-2], -np.inf)
        ways = np.stack([stay, one, two])
        moves[step] = ways.argmax(0)
        best = ways.max(0) + scores[step, states]
    state = len(states) - 1
    if len(states) > 1 and best[-2] > best[-1]:
        state -= 1
    path = []
    for step in range(len(scores) - 1, -1, -1):
        path.append(int(states[state]))
        state -= int(moves[step, state])
    return path[::-1]
