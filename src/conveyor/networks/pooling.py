"""One vector for a whole sequence: its last output, or the mean or maximum of all, or a mean whose
weights are learned."""

from typing import Literal, get_args

import torch
from torch import Tensor, nn

from conveyor.errors import SettingError, did_you_mean
from conveyor.layers.checks import check_whole

Pooling = Literal["last", "mean", "max"]


def check_pooling(name: str, pooling: object) -> None:
    """Check that a way of pooling is known.

    Args:
        name: of the argument, for the error.
        pooling: its value.

    Raises:
        SettingError: it is not one of ``Pooling``.
    """
    if pooling not in get_args(Pooling):
        raise SettingError(
            f"{name} is {pooling!r}. {did_you_mean(str(pooling), get_args(Pooling))}"
        )


def pooled(
    output: Tensor,
    lengths: Tensor | None = None,
    pooling: Pooling = "last",
    *,
    bidirectional: bool = False,
) -> Tensor:
    """Return one vector [B, features] for each sequence.

    Args:
        output: of a recurrent layer, [T, B, features].
        lengths: how many steps of each sequence count, [B], 0 to T; None for all. A sequence of no
            steps gives zeros.
        pooling: ``"last"``, the output of the last step that counts; ``"mean"`` or ``"max"`` of
            the outputs of all steps that count.
        bidirectional: whether the second half of the features is of the direction that reads
            backwards, which ends at the first step: ``"last"`` takes that half from there.

    Raises:
        SettingError: there is no such pooling.
    """
    check_pooling("pooling", pooling)
    steps, batch, features = output.shape
    if lengths is None:
        lengths = output.new_full((batch,), steps, dtype=torch.long)
    lengths = lengths.to(output.device)
    if steps == 0:
        return output.new_zeros(batch, features)
    empty = (lengths == 0)[:, None]
    if pooling == "last":
        last = output[(lengths - 1).clamp(min=0), torch.arange(batch, device=output.device)]
        if bidirectional:
            half = features // 2
            last = torch.cat([last[:, :half], output[0, :, half:]], -1)
        return last.masked_fill(empty, 0)
    padding = (torch.arange(steps, device=output.device)[:, None] >= lengths)[..., None]
    if pooling == "mean":
        return output.masked_fill(padding, 0).sum(0) / lengths.clamp(min=1)[:, None]
    return output.masked_fill(padding, -torch.inf).amax(0).masked_fill(empty, 0)


class AttentionPooling(nn.Module):
    """A mean of all outputs of a sequence, whose weights are learned: a_t = softmax_t(v·tanh(W h_t
    + b)), z = Σ a_t h_t (Yang et al. 2016, Hierarchical attention networks for document
    classification, equations 5 to 7).

    Args:
        features: of an output.
        units: of the layer that weighs them; None for as many as there are features.

    Raises:
        SettingError: a number is not positive.
    """

    def __init__(self, features: int, units: int | None = None) -> None:
        super().__init__()
        units = features if units is None else units
        check_whole(features=features, units=units)
        self.features, self.units = features, units
        self.hidden = nn.Linear(features, units)
        self.score = nn.Linear(units, 1, bias=False)

    def weights(self, output: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Return the weight of each step [T, B], which add up to 1; zeros of padding.

        Args:
            output: of a recurrent layer, [T, B, features].
            lengths: how many steps of each sequence count, [B], 0 to T; None for all. All weights
                of a sequence of no steps are zeros.
        """
        scores: Tensor = self.score(torch.tanh(self.hidden(output))).squeeze(-1)
        if lengths is None:
            return scores.softmax(0)
        steps = torch.arange(len(output), device=output.device)[:, None]
        padding = steps >= lengths.to(output.device)
        # Of no step at all, minus infinities would give NaN, and NaN gradients.
        empty = padding.all(0) if len(output) else padding.new_zeros(output.shape[1])
        scores = scores.masked_fill(padding & ~empty, -torch.inf)
        return scores.softmax(0).masked_fill(padding, 0)

    def forward(self, output: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Return one vector [B, features] for each sequence; see ``weights``."""
        if len(output) == 0:
            return output.new_zeros(output.shape[1:])
        weights = self.weights(output, lengths)[..., None]
        # Not multiplied by 0: padding need not be a finite number.
        return (output.masked_fill(weights == 0, 0) * weights).sum(0)
