"""Dropout that leaves out the same things at all steps of a batch, or at all places of a word."""

import torch
from torch import Tensor
from torch.nn.functional import dropout as dropped


def locked_dropout(values: Tensor, rate: float) -> Tensor:
    """Return values of which the same features of a sequence are dropped at all steps (locked
    dropout: Merity, Keskar & Socher 2018, Regularizing and optimizing LSTM language models, section
    4.2; Gal & Ghahramani 2016). What stays is divided by 1 - ``rate``.

    Args:
        values: [T, B, features].
        rate: the probability of dropping a feature.
    """
    if not rate:
        return values
    return values * dropped(torch.ones_like(values[:1]), rate)


def word_dropout(vectors: Tensor, words: Tensor, symbols: int, rate: float) -> Tensor:
    """Return vectors of words, of which those of some words are 0 at all places of the batch
    (embedding dropout: Merity, Keskar & Socher 2018, section 4.3). What stays is divided by 1 -
    ``rate``.

    Args:
        vectors: [..., features].
        words: the number of each, [...].
        symbols: how many different words there are.
        rate: the probability of dropping a word.
    """
    if not rate:
        return vectors
    return vectors * dropped(vectors.new_ones(symbols, 1), rate)[words]
