"""What it means that a resumed fit is the uninterrupted one."""

from typing import Any

import torch

# A fit goes to a GPU by itself, where sums are made in an order that changes from call to call:
# after some epochs values differed by 2e-5 of themselves. With other random numbers it is another
# fit, and losses differ by tenths of themselves.
_CLOSE_ON_A_GPU = 1e-3


def assert_same_fit(resumed: Any, whole: Any) -> None:
    """Check that what a resumed fit gave is what the uninterrupted one gave: to the bit on a CPU,
    closely on a GPU.

    Args:
        resumed, whole: tensors or numbers, also in lists, tuples and dictionaries.
    """
    room = _CLOSE_ON_A_GPU if torch.cuda.is_available() else 0.0
    torch.testing.assert_close(resumed, whole, rtol=room, atol=room, equal_nan=True)
