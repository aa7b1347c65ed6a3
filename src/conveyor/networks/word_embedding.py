"""Words as vectors that are learned, with what keeps few texts from being learned by heart."""

import torch
from torch import Tensor, nn
from torch.nn.functional import dropout as dropped

from conveyor.data.token_vocabulary import PAD, UNK
from conveyor.errors import SettingError
from conveyor.layers.checks import check_probability, check_whole
from conveyor.networks.steady_dropout import word_dropout as words_dropped

# The standard deviation of the vectors at the start.
DEVIATION = 0.1


class WordEmbedding(nn.Embedding):
    """A learned vector for each word of a vocabulary, in which 0 is padding and 1 every word that
    is not known.

    Padding has the vector 0, which is not learned. In training, words that the training texts hold
    once are read as the unknown word now and then; otherwise its vector would be random noise in
    use (Lample et al. 2016, Neural architectures for named entity recognition, section 4.3).

        >>> embedding = WordEmbedding(len(vocabulary), 100, rare_from=vocabulary.rare_from)
        >>> embedding(symbols)  # [T, B] of whole numbers gives [T, B, 100]

    Args:
        words: how many there are, with both specials; 2 or more.
        features: numbers that stand for a word.
        rare_from: the number of the first word that was seen once, after which all are such words;
            None if there is none.
        unknown: the probability that such a word is read as the unknown one, in training.
        word_dropout: the probability of dropping a word, at all places of a batch, in training
            (Gal & Ghahramani 2016; Merity, Keskar & Socher 2018, section 4.3).
        dropout: the probability of dropping a number of a vector, in training.

    Raises:
        SettingError: an argument is out of its range.
    """

    def __init__(
        self,
        words: int,
        features: int,
        *,
        rare_from: int | None = None,
        unknown: float = 0.5,
        word_dropout: float = 0.0,
        dropout: float = 0.0,
    ) -> None:
        check_whole(words=words, features=features)
        if words <= UNK:
            raise SettingError(
                f"words is {words}; expected 2 or more: padding and the unknown one."
            )
        check_probability("unknown", unknown, 1.0)
        check_probability("word_dropout", word_dropout, 1.0)
        check_probability("dropout", dropout, 1.0)
        super().__init__(words, features, padding_idx=PAD)
        # Far less than torch's 1: what a word's vector learns must outweigh how it was drawn.
        nn.init.normal_(self.weight, std=DEVIATION)
        with torch.no_grad():
            self.weight[PAD].zero_()
        # Words whose vectors are not learned, [words, 1]; None while all are.
        self.kept: Tensor | None
        self.register_buffer("kept", None, persistent=False)
        self.rare_from = words if rare_from is None else rare_from
        self.unknown, self.word_dropout, self.dropout = unknown, word_dropout, dropout

    @torch.no_grad()
    def put(self, numbers: Tensor, vectors: Tensor, *, learn: bool) -> None:
        """Begin with vectors that others trained. Those of other words are drawn as wide as these.

        Args:
            numbers: of the words, [N].
            vectors: their vectors, [N, features].
            learn: whether these vectors are learned further; others always are.
        """
        if len(numbers) > 1:
            nn.init.normal_(self.weight, std=float(vectors.std()))
            self.weight[PAD].zero_()
        self.weight[numbers] = vectors.to(self.weight)
        if not learn:
            self.kept = torch.zeros_like(self.weight[:, :1], dtype=torch.bool)
            self.kept[numbers] = True

    def forward(self, symbols: Tensor) -> Tensor:
        """Return the vectors [..., features] of words [...]."""
        if not self.training:
            return super().forward(symbols)
        if self.unknown and self.rare_from < self.num_embeddings:
            replaced = torch.rand(symbols.shape, device=symbols.device) < self.unknown
            symbols = symbols.masked_fill((symbols >= self.rare_from) & replaced, UNK)
        vectors = super().forward(symbols)
        if self.kept is not None:
            vectors = torch.where(self.kept[symbols], vectors.detach(), vectors)
        vectors = words_dropped(vectors, symbols, self.num_embeddings, self.word_dropout)
        return dropped(vectors, self.dropout)

    def extra_repr(self) -> str:
        """Return what ``repr`` shows inside the brackets."""
        return (
            f"{super().extra_repr()}, rare_from={self.rare_from}, unknown={self.unknown:g}, "
            f"word_dropout={self.word_dropout:g}, dropout={self.dropout:g}"
        )
