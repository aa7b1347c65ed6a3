"""Random numbers that a generator draws for tensors of any device.

A generator draws on its own device, and torch raises an error where a tensor is to be made on
another. Drawn on the CPU, they are the same whatever a network runs on.
"""

from collections.abc import Sequence

import torch
from torch import Tensor


def uniform(shape: Sequence[int], like: Tensor, generator: torch.Generator) -> Tensor:
    """Return numbers from 0 to below 1.

    Args:
        shape: of the numbers.
        like: of whose type and on whose device they are.
        generator: draws.
    """
    device = generator.device
    return torch.rand(shape, generator=generator, dtype=like.dtype, device=device).to(like.device)


def normal(shape: Sequence[int], like: Tensor, generator: torch.Generator) -> Tensor:
    """Return normal numbers of mean 0 and deviation 1; see ``uniform``."""
    device = generator.device
    return torch.randn(shape, generator=generator, dtype=like.dtype, device=device).to(like.device)


def chosen(chances: Tensor, generator: torch.Generator | None) -> Tensor:
    """Return a number for each row, [N], drawn by its chances.

    Args:
        chances: 0 or more, [N, V].
        generator: draws; None for torch's own of the chances' device.
    """
    where = chances.device if generator is None else generator.device
    drawn = torch.multinomial(chances.to(where), 1, generator=generator)
    return drawn.squeeze(-1).to(chances.device)
