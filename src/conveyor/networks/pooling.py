"""One vector for a whole sequence: its last output, or the mean or maximum of all."""

from typing import Literal, get_args

import torch
from torch import Tensor

from conveyor.errors import SettingError, did_you_mean

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
