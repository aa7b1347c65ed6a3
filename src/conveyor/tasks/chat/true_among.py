"""Whether the true reply is found among others: each method gives a score to every candidate."""

import random
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

# The true reply stands among so many, drawn for so many replies at most.
CANDIDATES, TRIALS = 10, 1000

Numbers = NDArray[np.float64]

# The numbers of pairs whose replies are candidates: that of the true one first.
Trial = tuple[int, ...]


def drawn_trials(
    pairs: Sequence[tuple[str, str]], seed: int = 0, most: int = TRIALS
) -> list[Trial]:
    """Return candidates for replies: the true one, and others that nobody gave to the same turns.
    All of them are different; there are fewer where there are too few different ones.

    Args:
        pairs: what was said, and the reply.
        seed: of the draws; the same gives the same.
        most: replies that are asked for, at most.
    """
    draw = random.Random(seed)
    first = {reply: number for number, (_, reply) in reversed(list(enumerate(pairs)))}
    given: dict[str, set[str]] = {}
    for said, reply in pairs:
        given.setdefault(said, set()).add(reply)
    replies = list(first)
    asked = sorted(draw.sample(range(len(pairs)), min(most, len(pairs))))
    trials = []
    for number in asked:
        right = given[pairs[number][0]]
        others: list[str] = []
        # Few are right, so that this many hold enough others.
        for reply in draw.sample(replies, min(len(replies), CANDIDATES - 1 + len(right))):
            if reply not in right and len(others) < CANDIDATES - 1:
                others.append(reply)
        trials.append((number, *(first[reply] for reply in others)))
    return trials


def found_among(trials: Sequence[Trial], score: Callable[[int, int], float]) -> Numbers:
    """Return for each trial whether the true reply has the greatest score: 1, 0, or a share where
    several have it, [N].

    Args:
        trials: see ``drawn_trials``.
        score: of the reply of a pair, the second number, to what was said in another, the first.
    """
    shares = []
    for trial in trials:
        scores = np.array([score(trial[0], number) for number in trial]).round(9)
        best = scores == scores.max()
        shares.append(best[0] / best.sum())
    return np.array(shares)


def by_chance(trials: Sequence[Trial]) -> float:
    """Return how often the true reply is found without looking."""
    return float(np.mean([1 / len(trial) for trial in trials]))
