"""The output layer that shares its weight with the embedding."""

import torch
from torch import Tensor, nn
from torch.nn.functional import linear


class TiedHead(nn.Module):
    """Logits of symbols, by the vectors that stand for the symbols where they are read (Press &
    Wolf 2017, Using the output embedding to improve language models; Inan, Khosravi & Socher 2017).

    The vectors are no parameter of the head, so they are counted, trained and saved once. Where the
    network's output has another width, a linear map without bias stands before them.

    Args:
        features: what the head reads of a step.
        symbols: how many there are.
        width: of a symbol's vector.
    """

    def __init__(self, features: int, symbols: int, width: int) -> None:
        super().__init__()
        same = features == width
        self.projection = None if same else nn.Linear(features, width, bias=False)
        self.bias = nn.Parameter(torch.zeros(symbols))

    def forward(self, features: Tensor, vectors: Tensor) -> Tensor:
        """Return logits [..., symbols].

        Args:
            features: [..., features].
            vectors: of all symbols, [symbols, width].
        """
        read = features if self.projection is None else self.projection(features)
        return linear(read, vectors, self.bias)
