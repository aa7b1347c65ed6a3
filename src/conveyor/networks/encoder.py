"""What reads a sequence: an embedding, a recurrent layer, and pooling."""

from typing import Any

from torch import Tensor, nn

from conveyor.errors import SettingError
from conveyor.layers.clockwork import Clockwork
from conveyor.layers.drop_in import GRU, LSTM, RNN
from conveyor.layers.heads import Heads
from conveyor.layers.recurrent import Recurrent
from conveyor.layers.sequence import SequenceLayer
from conveyor.layers.stacked import Stacked
from conveyor.layers.state import main_output
from conveyor.networks.pooling import AttentionPooling, Pooling, check_pooling, pooled

Layer = Recurrent | LSTM | GRU | RNN | Stacked | Heads | Clockwork


def _check_parts(layer: object, embedding: object) -> None:
    """Check what an encoder is made of.

    Raises:
        SettingError: the layer is not one of ``Layer``, or the embedding is not a module.
    """
    if not isinstance(layer, Layer):
        hint = " conveyor.replace(layer) makes one of it." * isinstance(layer, nn.RNNBase)
        raise SettingError(
            f"layer is a {type(layer).__name__}; expected a recurrent layer of conveyor, such as "
            f"conveyor.LSTM(32, 64).{hint}"
        )
    if embedding is not None and not isinstance(embedding, nn.Module):
        raise SettingError(
            f"embedding is a {type(embedding).__name__}; expected a torch.nn.Module, such as "
            "conveyor.networks.Embedding(100, 32)."
        )


def _reads_both_ways(layer: Layer) -> bool:
    """Return whether half of the output is of the direction that reads backwards.

    Raises:
        SettingError: the output of that direction cannot be told from the other's.
    """
    last = layer.each[-1] if isinstance(layer, Stacked | Heads) else layer
    if not isinstance(last, SequenceLayer) or not last.bidirectional:
        return False
    if isinstance(layer, Heads) or getattr(last, "merge", "concatenate") == "sum":
        raise SettingError(
            "the outputs of the layer's two directions do not stand apart, so that there is no "
            'last output of each. Use pooling="mean" or "max".'
        )
    return True


class Encoder(nn.Module):
    """Reads sequences: an embedding, a recurrent layer, and pooling.

        >>> encoder = Encoder(conveyor.LSTM(32, 64), Embedding(100, 32), pooling="last")
        >>> features, state = encoder(symbols, lengths=lengths)  # [B, 64]

    Args:
        layer: a recurrent layer of conveyor, ``GridLSTM`` excepted.
        embedding: turns what is read into the layer's features at each step: an ``Embedding`` of
            symbols, a ``torch.nn.Linear`` of numbers, ``torch.nn.Sequential`` of several; None
            hands the features on as they are.
        pooling: ``"last"``, ``"mean"`` or ``"max"`` gives one vector for each sequence, see
            ``pooled``; None gives the features of each step. ``"last"`` of a bidirectional layer
            is the last output of each direction. An ``AttentionPooling`` learns how to pool.

    Raises:
        SettingError: the layer is none of these, or there is no such pooling.
    """

    def __init__(
        self,
        layer: Layer,
        embedding: nn.Module | None = None,
        *,
        pooling: Pooling | AttentionPooling | None = None,
    ) -> None:
        super().__init__()
        _check_parts(layer, embedding)
        if isinstance(pooling, AttentionPooling):
            if pooling.features != layer.output_size:
                raise SettingError(
                    f"the pooling reads {pooling.features} features; the layer gives "
                    f"{layer.output_size}."
                )
        elif pooling is not None:
            check_pooling("pooling", pooling)
        self._both_ways = pooling == "last" and _reads_both_ways(layer)
        self.embedding, self.layer, self.pooling = embedding, layer, pooling

    @property
    def output_size(self) -> int:
        """Features that the encoder gives of a step or a sequence."""
        return self.layer.output_size

    def forward(
        self, inputs: Tensor, state: Any = None, *, lengths: Tensor | None = None
    ) -> tuple[Tensor, Any]:
        """Return the features of sequences, and the layer's state after them.

        Args:
            inputs: what the embedding reads: symbols [T, B], or numbers [T, B, width]; the batch
                first where the layer is ``batch_first``.
            state: what an earlier call returned; None starts new sequences.
            lengths: how many steps of each sequence count, [B], 0 to T; None for all.

        Returns:
            The features: of each step, [T, B, output_size], laid out as the input; with pooling of
            each sequence, [B, output_size]. The layer's state.

        Raises:
            ShapeError: a tensor does not fit.
        """
        values = inputs if self.embedding is None else self.embedding(inputs)
        return self.read(values, state, lengths=lengths)

    def read(
        self, values: Tensor, state: Any = None, *, lengths: Tensor | None = None
    ) -> tuple[Tensor, Any]:
        """Return what ``forward`` does, of what the embedding gives, [T, B, width]."""
        outputs, state = self.layer(values, state, lengths=lengths)
        return self.pool(main_output(outputs), lengths), state

    def pool(self, output: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Return the features of sequences, of the layer's output, laid out as it gives it: one
        vector for each sequence, or of each step where there is no pooling."""
        if self.pooling is None:
            return output
        if self.layer.batch_first:
            output = output.transpose(0, 1)
        if isinstance(self.pooling, AttentionPooling):
            features: Tensor = self.pooling(output, lengths)
            return features
        return pooled(output, lengths, self.pooling, bidirectional=self._both_ways)

    def step(self, inputs: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        """Return the features of one step, and the state after it.

        Args:
            inputs: of one step: symbols [B], or numbers [B, width].
            state: what an earlier step or call returned; None starts new sequences.

        Raises:
            SettingError: the layer is bidirectional or takes no single steps, or there is pooling.
            ShapeError: a tensor does not fit.
        """
        if self.pooling is not None:
            raise SettingError("an encoder with pooling reads whole sequences. Use pooling=None.")
        if isinstance(self.layer, Heads | Clockwork):
            raise SettingError(
                f"{type(self.layer).__name__} takes no single steps. Give sequences of one step."
            )
        values = inputs if self.embedding is None else self.embedding(inputs)
        outputs, after = self.layer.step(values, state)
        return main_output(outputs), after

    def extra_repr(self) -> str:
        """Return what ``repr`` shows inside the brackets."""
        return "" if isinstance(self.pooling, AttentionPooling) else f"pooling={self.pooling!r}"
