"""What a decoder reads of the frame before: little of it, so that it looks at what it speaks (Wang
et al. 2017, Tacotron, section 3.2)."""

import torch
from torch import Tensor, nn
from torch.nn.functional import dropout as dropped

from conveyor.layers.checks import check_probability, check_whole
from conveyor.networks.random_numbers import uniform


class PreNet(nn.Module):
    """Two linear maps, each with ReLU and dropout.

    Args:
        inputs: numbers that are read.
        features: numbers that it gives.
        dropout: probability of dropping a feature, in training, and when a generator draws.

    Raises:
        SettingError: an argument is out of its range.
    """

    def __init__(self, inputs: int, features: int, *, dropout: float = 0.5) -> None:
        check_whole(inputs=inputs, features=features)
        check_probability("dropout", dropout)
        super().__init__()
        self.inputs, self.features, self.dropout = inputs, features, float(dropout)
        self.first = nn.Linear(inputs, features)
        self.second = nn.Linear(features, features)

    def forward(self, inputs: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Return the features [..., features] of numbers [..., inputs].

        Args:
            inputs: what is read.
            generator: draws what is dropped also when a sound is generated, which then varies; None
                drops in training only.
        """
        values = self._drop(self.first(inputs).relu(), generator)
        return self._drop(self.second(values).relu(), generator)

    def _drop(self, values: Tensor, generator: torch.Generator | None) -> Tensor:
        if generator is None:
            return dropped(values, self.dropout, self.training)
        kept = uniform(values.shape, values, generator) >= self.dropout
        return values * kept / (1 - self.dropout)

    def extra_repr(self) -> str:
        """Return what ``repr`` shows inside the brackets."""
        return f"dropout={self.dropout:g}"
