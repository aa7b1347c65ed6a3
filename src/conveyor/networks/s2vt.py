"""The network of Venugopalan et al. 2015 (Sequence to sequence: video to text, S2VT): two layers
that first read frames and then write words, with the same weights."""

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from conveyor.errors import SettingError, ShapeError
from conveyor.layers.lengths import read_lengths
from conveyor.layers.sequence import SequenceLayer
from conveyor.layers.state import main_output
from conveyor.networks.output_heads import ClassHead


class S2VTState(NamedTuple):
    """The states of both layers between two steps.

    Attributes:
        frames: of the layer that reads frames.
        words: of the layer that reads words.
    """

    frames: Any
    words: Any


class S2VT(nn.Module):
    """One layer on top of another, over frames and then over words:

        reading   g_f = frames(v_f, g_{f-1}),  h_f = words([g_f; 0], h_{f-1})
        writing   g_t = frames(0, g_{t-1}),    h_t = words([g_t; E y_{t-1}], h_{t-1})
        p(y_t) = softmax(W h_t + b)

    0 is the padding that stands for the words while frames are read, and for the frames while words
    are written. Both phases share all weights. The paper's cell is the LSTM, with 1,000 units;
    here it is any. All steps of a phase are one call of each layer.

        >>> network = S2VT(conveyor.LSTM(48, 64), conveyor.LSTM(64 + 16, 64), Embedding(50, 16))
        >>> state = network.begin(frames, lengths=lengths)  # of [F, B, 48]
        >>> logits, state = network(symbols, state)  # of [T, B]

    Args:
        frames: the layer that reads frames, time first.
        words: the layer that reads what the other gives, and vectors of words.
        embedding: of the symbols.
        dropout: probability of dropping a number of h before the logits, in training.

    Raises:
        SettingError: an argument is out of its range, or the parts do not fit together.
    """

    def __init__(
        self,
        frames: SequenceLayer,
        words: SequenceLayer,
        embedding: nn.Embedding,
        *,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        for name, layer in (("frames", frames), ("words", words)):
            if not isinstance(layer, SequenceLayer):
                raise SettingError(
                    f"{name} is a {type(layer).__name__}; expected a Recurrent, LSTM, GRU or RNN "
                    "of conveyor."
                )
            if layer.bidirectional or layer.batch_first or layer._dilations:
                raise SettingError(
                    f"{name} is bidirectional, batch_first or dilated. It goes on step by step; "
                    "leave these out."
                )
        read = frames.output_size + embedding.embedding_dim
        if words.input_size != read:
            raise SettingError(
                f"words.input_size is {words.input_size}; the other layer and a word have {read} "
                "numbers."
            )
        self.frames, self.words, self.embedding = frames, words, embedding
        self.head = ClassHead(words.output_size, embedding.num_embeddings, dropout=dropout)

    @property
    def dropout(self) -> float:
        """Probability of dropping a number of h before the logits."""
        return float(self.head.dropout)

    def begin(self, frames: Tensor, *, lengths: Tensor | list[int] | None = None) -> S2VTState:
        """Return the state after all frames.

        Args:
            frames: vectors of them, [F, B, width]; anything at padding.
            lengths: true frames of each video, [B], 1 to F; None for all.

        Raises:
            ShapeError: a tensor does not fit, or a video has no frame.
        """
        width = self.frames.input_size
        if frames.dim() != 3 or frames.shape[2] != width:
            raise ShapeError(f"frames is {list(frames.shape)}; expected [F, B, {width}].")
        steps, batch, _ = frames.shape
        counts = torch.full((batch,), steps)
        if lengths is not None:
            counts = torch.from_numpy(read_lengths(lengths, steps, batch))
        if batch and int(counts.min()) == 0:
            raise ShapeError(f"video {int(counts.argmin())} of the batch has no frame.")
        read, after_frames = self.frames(frames, lengths=counts)
        outputs = main_output(read)
        no_words = outputs.new_zeros(steps, batch, self.embedding.embedding_dim)
        _, after_words = self.words(torch.cat([outputs, no_words], -1), lengths=counts)
        return S2VTState(after_frames, after_words)

    def forward(self, symbols: Tensor, state: S2VTState) -> tuple[Tensor, S2VTState]:
        """Return the logits of what comes after each symbol, [T, B, symbols], and the state.

        Args:
            symbols: that are read, [T, B].
            state: see ``begin``, or as an earlier call returned it.

        Raises:
            ShapeError: a tensor does not fit.
        """
        inputs, after_frames = self.inputs(symbols, state)
        outputs, after_words = self.words(inputs, state.words)
        logits: Tensor = self.head(main_output(outputs))
        return logits, S2VTState(after_frames, after_words)

    def inputs(self, symbols: Tensor, state: S2VTState) -> tuple[Tensor, Any]:
        """Return what the layer of words reads while symbols are read, [T, B, width], and the state
        of the layer of frames after it.

        Args:
            symbols, state: see ``forward``.

        Raises:
            ShapeError: a tensor does not fit.
        """
        if symbols.dim() != 2 or not len(symbols) or symbols.is_floating_point():
            raise ShapeError(
                f"symbols is {list(symbols.shape)} of {symbols.dtype}; expected whole numbers "
                "[T, B] of one step or more, time first."
            )
        vectors = self.embedding(symbols)
        no_frames = vectors.new_zeros(*symbols.shape, self.frames.input_size)
        read, after = self.frames(no_frames, state.frames)
        return torch.cat([main_output(read), vectors], -1), after

    def step(self, state: S2VTState, symbols: Tensor) -> tuple[Tensor, S2VTState]:
        """Read a symbol of each sequence, as ``greedy_search``, ``sample`` and ``beam_search`` ask
        of a model.

        Args:
            state: see ``begin``.
            symbols: [B].

        Returns:
            The log-probabilities of what comes next, [B, symbols], and the state.
        """
        logits, after = self(symbols.unsqueeze(0), state)
        return logits[0].log_softmax(-1), after
