"""What training adds for attention over the places of a picture (Xu et al. 2015, Show, attend and
tell): that it looks everywhere once, and how a network learns that looks at one place at a time.

Steps are the first axis, the batch is the second, places are the third. A weight of a place is 0
where a picture has no such place.
"""

from typing import Literal

import torch
from torch import Tensor

Form = Literal["paper", "code"]


def doubly_stochastic(
    weights: Tensor, counted: Tensor, lengths: Tensor, form: Form = "paper"
) -> Tensor:
    """Return by how much the attention to places differs from 1, summed over the steps of a
    sequence: the term that is added to the loss with a weight λ.

    The paper (equation 14) has (1/N) Σ_n Σ_i (1 - Σ_t α_ti)², the mean over sequences of sums over
    places. The authors' code (capgen.py) sums over the batch and takes the mean over places, which
    is N/L times as much.

    Args:
        weights: α, [T, B, L].
        counted: which steps are true ones, [T, B].
        lengths: true places of each picture, [B].
        form: whose term it is.
    """
    looked = (weights * counted.unsqueeze(2)).sum(0)
    places = torch.arange(weights.shape[2], device=weights.device) < lengths[:, None]
    squares = ((1 - looked).square() * places).sum(1)
    return squares.mean() if form == "paper" else squares.sum() / weights.shape[2]


def least_doubly_stochastic(steps: Tensor, lengths: Tensor) -> Tensor:
    """Return the least value of the paper's term, where T steps look at L places evenly:
    L (1 - T/L)², the mean over sequences.

    Args:
        steps: T of each sequence, [B].
        lengths: L of each, [B].
    """
    return (lengths * (1 - steps / lengths).square()).mean()


def drawn_places(weights: Tensor) -> Tensor:
    """Return a place for each distribution, drawn at random.

    Args:
        weights: α, [B, L]; each row adds up to 1.
    """
    return torch.multinomial(weights, 1).squeeze(1)


def reinforce(
    rewards: Tensor, log_weights: Tensor, counted: Tensor, baseline: Tensor | float
) -> Tensor:
    """Return what is to be minimised so that places are chosen that help what is written later
    (Williams 1992; Xu et al. 2015, section 4.1), of each sequence, [B].

    The gradient of Σ_t (R_t - b_t) log α_t(s_t) is an unbiased estimate of that of the expected
    log-likelihood with respect to the attention. In place of the paper's reward of the whole
    sequence R_t = Σ_{u ≥ t} log p(y_u) has what a place at step t can still change, and
    b_t = b · (steps from t on).

    Args:
        rewards: log p(y_t), [T, B]; held constant.
        log_weights: log α_t(s_t) of the places that were drawn, [T, B].
        counted: which steps are true ones, [T, B].
        baseline: b, the log p(y) of a step that is expected.
    """
    steps = counted.to(rewards.dtype)
    better = (rewards.detach() - baseline) * steps
    to_go = better.flip(0).cumsum(0).flip(0)
    return -(to_go * log_weights * steps).sum(0)


def entropy(weights: Tensor) -> Tensor:
    """Return the entropy of each distribution in nats, [...].

    Args:
        weights: [..., L].
    """
    # At 0, as of a place that is not there, the derivative of w log w is infinite.
    some = weights > 0
    undecided: Tensor = torch.where(some, torch.special.entr(torch.where(some, weights, 1.0)), 0.0)
    return undecided.sum(-1)
