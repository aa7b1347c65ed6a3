"""Prefix beam search: the likeliest labels of a network that was fitted by CTC, where the likeliest
path may collapse to others (Hannun et al. 2014, First-pass large vocabulary continuous speech
recognition using bi-directional recurrent DNNs)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from conveyor.errors import SettingError
from conveyor.networks.ctc import BLANK

Numbers = NDArray[np.float64]

# Gives, of labels so far, log P of each label that may come next, [K].
NextLabels = Callable[[tuple[int, ...]], Sequence[float]]


@dataclass(frozen=True)
class Transcript:
    """Labels that were found.

    Attributes:
        labels: 1 to K.
        log_probability: of the labels by the network: of all paths that the search kept.
        score: by which it was chosen, with what a language model says.
    """

    labels: tuple[int, ...]
    log_probability: float
    score: float


def prefix_beam_search(
    log_probabilities: Tensor,
    *,
    beam: int = 16,
    n_best: int = 1,
    language: NextLabels | None = None,
    weight: float = 0.5,
    bonus: float = 0.0,
) -> list[Transcript]:
    """Return the best labels of a sequence, the best first.

    Each prefix l has two probabilities: that the paths so far end in a blank, and that they end in
    its last label, for a label after itself is a new one only past a blank. Prefixes are ordered by

        log p_ctc(l) + weight · log p_language(l) + bonus · |l|

    With as many prefixes kept as there are, the answer is that of trying all labels. One prefix
    kept is not the best path.

    Args:
        log_probabilities: of the blank and the labels at each step, [T, 1 + K].
        beam: prefixes that are kept at each step.
        n_best: how many are returned, at most ``beam``.
        language: gives log P of each label after a prefix; None for no language model. It is asked
            once for a prefix.
        weight: of the language model.
        bonus: for each label, against a language model's liking for few.

    Raises:
        SettingError: a number is out of its range.
    """
    if beam < 1 or not 1 <= n_best <= beam:
        raise SettingError(f"beam is {beam}, n_best {n_best}; expected 1 ≤ n_best ≤ beam.")
    steps: Numbers = log_probabilities.detach().double().cpu().numpy()
    labels = steps.shape[1] - 1
    prefixes: list[tuple[int, ...]] = [()]
    in_blank, in_label = np.zeros(1), np.full(1, -np.inf)
    said = np.zeros(1)  # what the language model and the bonus add
    known: dict[tuple[int, ...], Numbers] = {}

    def following(prefix: tuple[int, ...]) -> Numbers:
        """Return what each next label adds."""
        if language is None:
            return np.full(labels, bonus)
        if prefix not in known:
            known[prefix] = weight * np.asarray(language(prefix), dtype=np.float64) + bonus
        return known[prefix]

    for step in steps:
        total = np.logaddexp(in_blank, in_label)
        last = np.array([prefix[-1] if prefix else BLANK for prefix in prefixes])
        has_label = last != BLANK
        stays_blank = total + step[BLANK]
        stays_label = np.where(has_label, in_label + step[last], -np.inf)
        grown = total[:, None] + step[None, 1:]
        rows = np.flatnonzero(has_label)
        grown[rows, last[rows] - 1] = in_blank[rows] + step[last[rows]]
        # A prefix that is kept already takes up what grows to it.
        row_of = {prefix: row for row, prefix in enumerate(prefixes)}
        for row, prefix in enumerate(prefixes):
            parent = row_of.get(prefix[:-1]) if prefix else None
            if parent is not None:
                more = grown[parent, prefix[-1] - 1]
                stays_label[row] = np.logaddexp(stays_label[row], more)
                grown[parent, prefix[-1] - 1] = -np.inf
        added = said[:, None] + np.stack([following(prefix) for prefix in prefixes])
        stays = np.logaddexp(stays_blank, stays_label)
        scores = np.concatenate([stays + said, (grown + added).ravel()])
        # Of equal ones the first: those that were kept, then by prefix and label.
        order = np.argsort(-scores, kind="stable")[:beam]
        order = order[scores[order] > -np.inf]
        if not len(order):
            break
        kept = len(prefixes)
        parents, symbols = np.divmod(order - kept, labels) if labels else (order, order)
        is_old = order < kept
        old = np.where(is_old, order, 0)
        new = np.where(is_old, 0, parents), np.where(is_old, 0, symbols)
        prefixes = [
            prefixes[row] if stayed else (*prefixes[parent], int(symbol) + 1)
            for row, stayed, parent, symbol in zip(order, is_old, parents, symbols, strict=True)
        ]
        in_blank = np.where(is_old, stays_blank[old], -np.inf)
        in_label = np.where(is_old, stays_label[old], grown[new] if labels else -np.inf)
        said = np.where(is_old, said[old], added[new] if labels else 0.0)
    log_chances = np.logaddexp(in_blank, in_label)
    best = np.argsort(-(log_chances + said), kind="stable")[:n_best]
    return [
        Transcript(prefixes[row], float(log_chances[row]), float(log_chances[row] + said[row]))
        for row in best
    ]
