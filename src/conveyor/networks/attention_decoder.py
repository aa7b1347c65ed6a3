"""Decoders: recurrent layers that write a sequence and look at a memory while they do."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import dropout as dropped

from conveyor.errors import SettingError, ShapeError
from conveyor.layers.checks import check_probability, check_whole
from conveyor.layers.sequence import SequenceLayer
from conveyor.layers.state import main_output
from conveyor.networks.attention import AttendedMemory, Attention
from conveyor.networks.output_heads import ClassHead
from conveyor.networks.steps_at_once import StepsAtOnce, Told


class DecoderState(NamedTuple):
    """The state of a decoder between two steps. The batch is the second axis of its tensors.

    Attributes:
        recurrent: the state of the layer.
        memory: what is looked at.
        fed: what a step hands to the next besides the state: with input feeding the attentional
            vector, [1, B, features]; in ``BahdanauDecoder`` the layer's output.
        weights: the attention of the step before, [1, B, S]; at first see
            ``Attention.before_first``.
    """

    recurrent: Any
    memory: AttendedMemory
    fed: Tensor
    weights: Tensor

    @property
    def attention(self) -> Tensor:
        """The attention of the step before, [B, S], as ``beam_search`` takes it."""
        return self.weights[0]


OneStep = Callable[[Tensor, DecoderState], tuple[Tensor, DecoderState]]


class AttentionDecoder(nn.Module, ABC):
    """What decoders have in common: symbols in, logits of the next ones out.

    Args:
        layer: a recurrent layer of one direction, time first: ``Recurrent``, ``LSTM``, ``GRU`` or
            ``RNN``.
        embedding: of the symbols, those that are read and written.
        attention: to the memory.
        read: numbers that the layer must read.
    """

    def __init__(
        self, layer: SequenceLayer, embedding: nn.Embedding, attention: Attention, read: int
    ) -> None:
        super().__init__()
        if not isinstance(layer, SequenceLayer):
            raise SettingError(
                f"layer is a {type(layer).__name__}; expected a Recurrent, LSTM, GRU or RNN of "
                "conveyor."
            )
        if layer.bidirectional or layer.batch_first or layer._dilations:
            raise SettingError(
                "layer is bidirectional, batch_first or dilated. A decoder goes on step by step; "
                "leave these out."
            )
        if layer.input_size != read:
            raise SettingError(
                f"layer.input_size is {layer.input_size}; the decoder hands it {read} numbers."
            )
        self.layer, self.embedding, self.attention = layer, embedding, attention

    @staticmethod
    def _check_queries(attention: Attention, width: int) -> None:
        if attention.query_size != width:
            raise SettingError(
                f"attention.query_size is {attention.query_size}; the layer gives {width} numbers."
            )

    @property
    def symbols(self) -> int:
        """How many symbols there are."""
        return self.embedding.num_embeddings

    @property
    def fed_size(self) -> int:
        """Numbers that a step hands to the next besides the state."""
        return 0

    def begin(
        self, memory: Tensor, state: Any = None, *, lengths: Tensor | list[int] | None = None
    ) -> DecoderState:
        """Return the state before the first symbol.

        Args:
            memory: what is looked at, [S, B, memory_size], such as the outputs of an encoder.
            state: of the layer; None for its own start.
            lengths: true places of each memory, [B], 1 to S; None for all.

        Raises:
            ShapeError: a tensor does not fit, or a memory has no true place.
        """
        prepared = self.attention.prepare(memory, lengths=lengths)
        batch = prepared.values.shape[1]
        begun = self.layer.start(batch) if state is None else state
        weights = self.attention.before_first(prepared)
        return DecoderState(begun, prepared, self._first_fed(begun, memory, batch), weights)

    def _first_fed(self, state: Any, memory: Tensor, batch: int) -> Tensor:
        """Return what the first step is handed besides the state."""
        return memory.new_zeros(1, batch, self.fed_size)

    @abstractmethod
    def forward(self, symbols: Tensor, state: DecoderState) -> tuple[Tensor, DecoderState, Tensor]:
        """Return the logits of what comes after each symbol.

        Args:
            symbols: that are read, [T, B].
            state: see ``begin``, or as an earlier call returned it.

        Returns:
            Logits [T, B, symbols], the state after the last step, and the attention of each step,
            [T, B, S].

        Raises:
            ShapeError: a tensor does not fit.
        """

    def step(self, state: DecoderState, symbols: Tensor) -> tuple[Tensor, DecoderState]:
        """Read a symbol of each sequence, as ``greedy_search``, ``sample`` and ``beam_search`` ask
        of a model.

        Args:
            state: see ``begin``.
            symbols: [B].

        Returns:
            The log-probabilities of what comes next, [B, symbols], and the state.
        """
        logits, state, _ = self(symbols.unsqueeze(0), state)
        return logits[0].log_softmax(-1), state

    def _step_by_step(
        self, vectors: Tensor, state: DecoderState, one_step: OneStep
    ) -> tuple[Tensor, DecoderState, Tensor]:
        """Return what ``forward`` does.

        Args:
            vectors: of the symbols that are read, [T, B, embedding].
            state: before the first step.
            one_step: gives what logits are made of after a step, [B, width], and the state after
                it, of the vectors of the symbols that are read, [B, embedding], and the state
                before it.
        """
        answers, weights = [], []
        for read in vectors:
            answer, state = one_step(read, state)
            answers.append(answer)
            weights.append(state.weights)
        return self._logits(torch.stack(answers)), state, torch.cat(weights)

    def _at_once(
        self,
        kind: type[nn.Module],
        vectors: Tensor,
        state: DecoderState,
        feeds: nn.Linear | None = None,
        gates: nn.Linear | None = None,
    ) -> Told | None:
        """Return what several steps give in one call; None where they must be done one by one.

        Args:
            kind: whose steps are asked for: those of a subclass may do something else.
            vectors: of the symbols that are read, [T, B, embedding].
            state: before the first step.
            feeds, gates: see ``StepsAtOnce``.
        """
        # A memory is laid out anew for a call, which two or three steps are not worth: without
        # gradients steps are up to 4 times as fast (docs/networks.md). Those that score by tanh,
        # and those of training, are slower than a call mostly.
        learning = torch.is_grad_enabled() or self.attention.scoring == "concat"
        if len(vectors) < (2 if learning else 4):
            return None
        steps = StepsAtOnce(self, kind, feeds, gates)
        begun = self.layer._values_of(state.recurrent)
        return steps(vectors, begun, state.fed, state.memory)

    @abstractmethod
    def _logits(self, answers: Tensor) -> Tensor:
        """Return logits [T, B, symbols] of what steps gave, [T, B, width]."""

    @staticmethod
    def _check_symbols(symbols: Tensor) -> None:
        if symbols.dim() != 2 or not len(symbols) or symbols.is_floating_point():
            raise ShapeError(
                f"symbols is {list(symbols.shape)} of {symbols.dtype}; expected whole numbers "
                "[T, B] of one step or more, time first."
            )


class LuongDecoder(AttentionDecoder):
    """Attention from the layer's new output (Luong, Pham & Manning 2015, Effective approaches to
    attention-based neural machine translation):

        h_t = layer(E y_{t-1}, h_{t-1})
        c_t = Σ_s softmax(score(h_t, m_s)) m_s
        h~_t = tanh(W_c [c_t; h_t])
        p(y_t) = softmax(W_s h~_t + b)

    With input feeding the layer reads [E y_{t-1}; h~_{t-1}], so that it knows where it has looked.
    Without it, all steps of given symbols are one call of the layer; with it they are one call of
    machine code for the cell and the attention together, see ``StepsAtOnce`` for when not.

    Args:
        layer: reads vectors of symbols, and ``features`` numbers more with input feeding.
        embedding: of the symbols.
        attention: its queries are outputs of the layer.
        features: numbers of h~; None for as many as the layer gives.
        input_feeding: whether h~ is read at the next step.
        dropout: probability of dropping a number of h~ before the logits, in training.

    Raises:
        SettingError: an argument is out of its range, or the parts do not fit together.
    """

    def __init__(
        self,
        layer: SequenceLayer,
        embedding: nn.Embedding,
        attention: Attention,
        *,
        features: int | None = None,
        input_feeding: bool = False,
        dropout: float = 0.0,
    ) -> None:
        width = getattr(layer, "output_size", 1) if features is None else features
        check_whole(features=width)
        read = embedding.embedding_dim + width * input_feeding
        super().__init__(layer, embedding, attention, read)
        self._check_queries(attention, layer.output_size)
        self.features, self.input_feeding = width, input_feeding
        self.combine = nn.Linear(attention.memory_size + layer.output_size, width, bias=False)
        self.head = ClassHead(width, embedding.num_embeddings, dropout=dropout)

    @property
    def fed_size(self) -> int:
        """Numbers that a step hands to the next besides the state: those of h~ with input
        feeding."""
        return self.features if self.input_feeding else 0

    def forward(self, symbols: Tensor, state: DecoderState) -> tuple[Tensor, DecoderState, Tensor]:
        """Return the logits of what comes after each symbol; see ``AttentionDecoder.forward``."""
        self._check_symbols(symbols)
        vectors = self.embedding(symbols)
        if self.input_feeding:
            told = self._at_once(LuongDecoder, vectors, state, self.combine)
            if told is None:
                return self._step_by_step(vectors, state, self._one_step)
            recurrent = self.layer._state_of(told.state)
            after = DecoderState(recurrent, state.memory, told.outputs[-1:], told.weights[-1:])
            return self._logits(told.outputs), after, told.weights
        outputs, recurrent = self.layer(vectors, state.recurrent)
        attentional, weights = self._attend(main_output(outputs), state)
        after = state._replace(recurrent=recurrent, weights=weights[-1:])
        return self._logits(attentional), after, weights

    def _attend(self, outputs: Tensor, before: DecoderState) -> tuple[Tensor, Tensor]:
        """Return h~ [T, B, features] and the weights."""
        contexts, weights = self.attention(outputs, before.memory, before.weights)
        return self.combine(torch.cat([contexts, outputs], -1)).tanh(), weights

    def _one_step(self, vectors: Tensor, state: DecoderState) -> tuple[Tensor, DecoderState]:
        read = torch.cat([vectors, state.fed[0]], -1)
        outputs, recurrent = self.layer.step(read, state.recurrent)
        attentional, weights = self._attend(main_output(outputs).unsqueeze(0), state)
        return attentional[0], DecoderState(recurrent, state.memory, attentional, weights)

    def _logits(self, answers: Tensor) -> Tensor:
        logits: Tensor = self.head(answers)
        return logits

    def extra_repr(self) -> str:
        """Return what ``repr`` shows inside the brackets."""
        return f"features={self.features}, input_feeding={self.input_feeding}"


class BahdanauDecoder(AttentionDecoder):
    """Attention from the layer's old state, which is read at the same step (Bahdanau, Cho & Bengio
    2015, Neural machine translation by jointly learning to align and translate, appendix A):

        c_i = Σ_j softmax(score(s_{i-1}, h_j)) h_j
        s_i = layer([E y_{i-1}; c_i], s_{i-1})
        t~_i = U_o s_{i-1} + V_o E y_{i-1} + C_o c_i
        p(y_i) = softmax(W_o t_i + b),  t_i[k] = max(t~_i[2k-1], t~_i[2k])

    The paper's score is ``Attention(…, "concat")``, its cell ``gru_reset_before``. s is the layer's
    output; before the first step the state h of its last layer, or 0 of a cell that has no h. All
    steps of given symbols are one call of machine code for the cell and the attention together, see
    ``StepsAtOnce`` for when not.

    Args:
        layer: reads vectors of symbols and means of the memory.
        embedding: of the symbols.
        attention: its queries are outputs of the layer.
        features: numbers of t, l in the paper; None for as many as the layer gives.
        dropout: probability of dropping a number of t before the logits, in training.

    Raises:
        SettingError: an argument is out of its range, or the parts do not fit together.
    """

    def __init__(
        self,
        layer: SequenceLayer,
        embedding: nn.Embedding,
        attention: Attention,
        *,
        features: int | None = None,
        dropout: float = 0.0,
    ) -> None:
        read = embedding.embedding_dim + attention.memory_size
        super().__init__(layer, embedding, attention, read)
        check_probability("dropout", dropout, 1.0)
        width = layer.output_size
        self._check_queries(attention, width)
        self.features = width if features is None else features
        check_whole(features=self.features)
        self.dropout = float(dropout)
        self.readout = nn.Linear(width + read, 2 * self.features, bias=False)
        self.head = ClassHead(self.features, embedding.num_embeddings)

    def forward(self, symbols: Tensor, state: DecoderState) -> tuple[Tensor, DecoderState, Tensor]:
        """Return the logits of what comes after each symbol; see ``AttentionDecoder.forward``."""
        self._check_symbols(symbols)
        vectors = self.embedding(symbols)
        told = self._at_once(BahdanauDecoder, vectors, state)
        if told is None:
            return self._step_by_step(vectors, state, self._one_step)
        assert told.seen is not None
        before = torch.cat([state.fed, told.outputs[:-1]])
        recurrent = self.layer._state_of(told.state)
        after = DecoderState(recurrent, state.memory, told.outputs[-1:], told.weights[-1:])
        return self._logits(torch.cat([before, vectors, told.seen], -1)), after, told.weights

    @property
    def fed_size(self) -> int:
        """Numbers that a step hands to the next besides the state: those of the layer's output."""
        return self.attention.query_size

    def _first_fed(self, state: Any, memory: Tensor, batch: int) -> Tensor:
        values = self.layer._values_of(state)
        if "h" in values and values["h"].shape[-1] == self.fed_size:
            return values["h"][-1:]
        return super()._first_fed(state, memory, batch)

    def _one_step(self, vectors: Tensor, state: DecoderState) -> tuple[Tensor, DecoderState]:
        contexts, weights = self.attention(state.fed, state.memory, state.weights)
        read = torch.cat([vectors, contexts[0]], -1)
        outputs, recurrent = self.layer.step(read, state.recurrent)
        output = main_output(outputs).unsqueeze(0)
        after = DecoderState(recurrent, state.memory, output, weights)
        return torch.cat([state.fed[0], read], -1), after

    def _logits(self, answers: Tensor) -> Tensor:
        pairs = self.readout(answers).unflatten(-1, (self.features, 2))
        logits: Tensor = self.head(dropped(pairs.amax(-1), self.dropout, self.training))
        return logits

    def extra_repr(self) -> str:
        """Return what ``repr`` shows inside the brackets."""
        return f"features={self.features}, dropout={self.dropout:g}"
