"""What stands behind the last place of a memory changes no bit."""

import torch
from torch import Tensor

from conveyor.networks import Attention


def check_padding_changes_no_bit(attention: Attention, queries: Tensor, memory: Tensor) -> None:
    """Check means, weights and gradients with padding of NaN of three lengths.

    Args:
        attention: looks.
        queries: by which it looks, [T, 2, width].
        memory: what it looks at, [S, 2, width]; of the second sequence three places.
    """
    places = len(memory)
    results = []
    for more in (0, 1, 50):
        longer = torch.full((places + more, *memory.shape[1:]), torch.nan)
        longer[:places, 0], longer[:3, 1] = memory[:, 0], memory[:3, 1]
        longer.requires_grad_()
        means, weights = attention(queries, attention.prepare(longer, lengths=[places, 3]))
        sources = [longer, *attention.parameters()]
        gradients = torch.autograd.grad(means.square().sum(), sources)
        assert not gradients[0][places:].any()
        assert not gradients[0][3:, 1].any()
        results.append([means, weights, gradients[0][:places], *gradients[1:]])
    for others in results[1:]:
        for one, other in zip(results[0], others, strict=True):
            torch.testing.assert_close(one, other, rtol=0, atol=0)
