"""How surely a score is known: the same score of samples of what was asked."""

from typing import Any

import numpy as np

# What a score is made of, a row for each thing that was asked.
Counts = np.ndarray[Any, Any]

# An interval is of so many samples: its ends then move by some hundredths of its width from seed to
# seed.
SAMPLES = 1_000


def bootstrap_draws(count: int, samples: int = SAMPLES, seed: int = 0) -> Counts:
    """Return how often each of ``count`` things stands in samples of as many, drawn with
    replacement, [samples, count] (Efron & Tibshirani 1993, An introduction to the bootstrap). What
    is right or wrong together, as the words of a sentence, is drawn together.

    Args:
        count: how many things were asked.
        samples: how many samples are drawn.
        seed: of the draws.
    """
    draw = np.random.default_rng(seed)
    return draw.multinomial(count, np.full(count, 1 / count), size=samples)


def mean_interval(costs: Counts, counts: Counts) -> tuple[float, float]:
    """Return in which range the mean cost lies in 95 of 100 samples of sequences, each drawn whole.

    Args:
        costs: what each sequence costs in total, [N].
        counts: of how many steps, or 1 where a sequence counts as a whole, [N].
    """
    drawn = bootstrap_draws(len(costs)) @ np.stack([costs, counts], axis=1)
    return interval_of(drawn[:, 0] / drawn[:, 1])


def block_sums(values: Counts, block: int, samples: int = SAMPLES, seed: int = 0) -> Counts:
    """Return the sums of samples of blocks of neighbouring values, [samples, ...], as many whole
    blocks in each as the values hold: the circular block bootstrap (Politis & Romano 1992). Values
    that depend on their neighbours, as errors of forecasts that overlap, are drawn together.

    Args:
        values: in order, [count, ...].
        block: how many values a block has, at most ``count``. The last value is followed by the
            first.
        samples: how many samples are drawn.
        seed: of the draws.
    """
    count = len(values)
    summed = np.concatenate([np.zeros_like(values[:1]), values, values[: block - 1]]).cumsum(0)
    of_blocks = summed[block:] - summed[:-block]
    starts = np.random.default_rng(seed).integers(count, size=(samples, count // block))
    return np.asarray(of_blocks[starts].sum(1))


def interval_of(scores: Counts) -> tuple[float, float]:
    """Return in which range 95 of 100 samples lie.

    Args:
        scores: of each sample, [samples].
    """
    low, high = np.quantile(scores, (0.025, 0.975))
    return float(low), float(high)
