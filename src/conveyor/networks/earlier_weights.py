"""Weights of models that were saved when layers above the first had a program of their own.

Their first layer lacks the vectors that multiply nothing but what a layer below gives, as q.d of
the depth-gated LSTM. It is the same net with zeros there.
"""

from collections.abc import Iterable
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn

from conveyor.compiler.format_two import only_of_links
from conveyor.layers.recurrent import Recurrent


def zeros_added(
    network: nn.Module, programs: Iterable[Any], *stored: Iterable[str]
) -> dict[str, Tensor]:
    """Return the weights that a model of format-2 programs lacks, by name: zeros.

    Args:
        network: built of the description.
        programs: as the description holds them.
        stored: the names of the weights that there are.
    """
    if not any(isinstance(program, dict) and program.get("above") for program in programs):
        return {}
    known, shapes = set(chain(*stored)), dict(network.named_parameters())
    added: dict[str, Tensor] = {}
    for path, layer in network.named_modules():
        if not isinstance(layer, Recurrent):
            continue
        for name in only_of_links(layer.program):
            for direction in ("l0", "l0_reverse"):
                whole = ".".join(filter(None, (path, direction, name)))
                if whole in shapes and whole not in known:
                    added[whole] = torch.zeros(shapes[whole].shape, dtype=shapes[whole].dtype)
    return added
