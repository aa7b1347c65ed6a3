"""Symbols as vectors that are learned."""

from torch import Tensor, nn
from torch.nn.functional import dropout as dropped

from conveyor.layers.checks import check_probability, check_whole


class Embedding(nn.Embedding):
    """A learned vector for each symbol, with dropout on what it gives (Zaremba, Sutskever & Vinyals
    2014, Recurrent neural network regularization).

    Args:
        symbols: how many there are; they are numbered from 0.
        features: numbers that stand for a symbol.
        dropout: probability of dropping a number, in training.

    Raises:
        SettingError: an argument is out of its range.
    """

    def __init__(self, symbols: int, features: int, *, dropout: float = 0.0) -> None:
        check_whole(symbols=symbols, features=features)
        check_probability("dropout", dropout, 1.0)
        super().__init__(symbols, features)
        self.dropout = float(dropout)

    def forward(self, symbols: Tensor) -> Tensor:
        """Return the vectors [..., features] of symbols [...]."""
        return dropped(super().forward(symbols), self.dropout, self.training)

    def extra_repr(self) -> str:
        """Return what ``repr`` shows inside the brackets."""
        return f"{super().extra_repr()}, dropout={self.dropout:g}"
