"""Words as vectors, composed of what the word is, which syllables it has and how it is spelled."""

import torch
from torch import Tensor, nn

from conveyor.data.token_vocabulary import PAD
from conveyor.errors import SettingError, ShapeError
from conveyor.networks.encoder import Encoder
from conveyor.networks.word_embedding import WordEmbedding


class ComposedWords(nn.Module):
    """A vector for each word: its own, the mean of its syllables', and what an encoder reads in its
    characters, one after the other (Lample et al. 2016, Neural architectures for named entity
    recognition, section 4.1). So a word that is not known still has most of a vector.

        >>> words = ComposedWords(
        ...     WordEmbedding(1000, 100),
        ...     characters=Encoder(
        ...         conveyor.LSTM(25, 25, bidirectional=True), WordEmbedding(80, 25), pooling="last"
        ...     ),
        ... )
        >>> words(numbers, characters=spelled)  # [N] and [C, N] give [N, 150]

    Words are those that a batch holds, each once, however often it stands there: take the vectors
    of sentences from the result, ``vectors[places]`` with places [T, B].

    Args:
        words: of the words themselves; None leaves them out.
        syllables: of parts of a word, whose mean counts; None leaves them out.
        characters: reads a word's characters, with pooling; None leaves them out.

    Raises:
        SettingError: all three are left out, or the encoder has no pooling or no embedding.
    """

    def __init__(
        self,
        words: WordEmbedding | None = None,
        syllables: WordEmbedding | None = None,
        characters: Encoder | None = None,
    ) -> None:
        super().__init__()
        if words is None and syllables is None and characters is None:
            raise SettingError(
                "words, syllables and characters are all None. Give one, of which vectors are made."
            )
        if characters is not None and (
            characters.pooling is None or characters.layer.batch_first or not characters.embedding
        ):
            raise SettingError(
                'the encoder of characters needs an embedding and pooling, as pooling="last", and '
                "a layer that has time first."
            )
        self.words, self.syllables, self.characters = words, syllables, characters

    @property
    def features(self) -> int:
        """Numbers that stand for a word."""
        own = [each.embedding_dim for each in (self.words, self.syllables) if each is not None]
        return sum(own) + (self.characters.output_size if self.characters is not None else 0)

    def forward(
        self,
        words: Tensor | None = None,
        *,
        syllables: Tensor | None = None,
        characters: Tensor | None = None,
    ) -> Tensor:
        """Return the vectors of words, [N, features].

        Args:
            words: the number of each, [N].
            syllables: the numbers of the syllables of each, [S, N], 0 after the last.
            characters: the numbers of the characters of each, [C, N], 0 after the last.

        Raises:
            ShapeError: one is missing that vectors are made of.
        """
        inputs = {"words": words, "syllables": syllables, "characters": characters}
        for name, value in inputs.items():
            if getattr(self, name) is not None and value is None:
                raise ShapeError(f"{name} is None; vectors are made of it. Give whole numbers.")
        parts: list[Tensor] = []
        if self.words is not None:
            parts.append(self.words(words))
        if self.syllables is not None and syllables is not None:
            counted = syllables != PAD
            vectors = self.syllables(syllables).masked_fill(~counted[..., None], 0)
            parts.append(vectors.sum(0) / counted.sum(0).clamp(min=1)[:, None])
        if self.characters is not None and characters is not None:
            lengths = (characters != PAD).sum(0)
            parts.append(self.characters(characters, lengths=lengths)[0])
        return torch.cat(parts, -1)
