"""The decoder of Xu et al. 2015 (Show, attend and tell): writes about what it looks at."""

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple, get_args

import torch
from torch import Tensor, nn
from torch.nn.functional import dropout as dropped

from conveyor.errors import SettingError, did_you_mean
from conveyor.layers.checks import check_probability
from conveyor.layers.sequence import SequenceLayer
from conveyor.layers.state import main_output
from conveyor.networks.annotation_attention import drawn_places
from conveyor.networks.attention import AttendedMemory, Attention
from conveyor.networks.attention_decoder import AttentionDecoder, DecoderState
from conveyor.networks.output_heads import ClassHead
from conveyor.networks.steps_at_once import Told

Looking = Literal["soft", "hard", "mean"]

# States that begin with what the picture holds; all cells have one of them.
_BEGUN = ("h", "c")


class Looked(NamedTuple):
    """What a decoder did while it read symbols.

    Attributes:
        logits: of what comes after each symbol, [T, B, symbols].
        state: after the last step.
        weights: α, the attention to places, [T, B, L].
        gates: β of each step, [T, B]; 1 without a gate.
        log_drawn: log α of the places that were drawn, [T, B]; 0 where none was.
        drawn: of which sequences places were drawn, [B].
        contexts: z of each step, which the layer reads beside the symbol, [T, B, features].
    """

    logits: Tensor
    state: DecoderState
    weights: Tensor
    gates: Tensor
    log_drawn: Tensor
    drawn: Tensor
    contexts: Tensor


class PictureStart(nn.ModuleDict):
    """What a decoder's states begin with: tanh of a linear map of the mean of all places, one for
    each layer and each of the states h and c (Xu et al. 2015, section 3.1.2). Further states of a
    cell begin as the cell says.

    Args:
        features: numbers of a place.
        layer: the layer that is begun.
    """

    def __init__(self, features: int, layer: SequenceLayer) -> None:
        super().__init__()
        for name in _BEGUN:
            if name in layer._state_widths:
                for number in range(layer.num_layers):
                    self[f"{name}_{number}"] = nn.Linear(features, layer._state_widths[name])

    @classmethod
    def of_parts(cls, parts: Mapping[str, nn.Module]) -> "PictureStart":
        """Return the start of linear maps by name, as a saved network has them."""
        start = cls.__new__(cls)
        nn.ModuleDict.__init__(start, dict(parts))
        return start

    def begin(self, mean: Tensor, layer: SequenceLayer) -> Any:
        """Return the state of a layer.

        Args:
            mean: of the places of each picture, [B, features].
            layer: the layer.
        """
        values = dict(layer._start_values(len(mean)))
        for name in values.keys() & set(_BEGUN):
            values[name] = torch.stack(
                [self[f"{name}_{number}"](mean).tanh() for number in range(layer.num_layers)]
            )
        return layer._state_of(values)


class PictureDecoder(AttentionDecoder):
    """Attention to the places a_i of a picture from the layer's old output h_{t-1} (Xu et al. 2015,
    section 3.1.2):

        α_t = softmax_i(score(h_{t-1}, a_i))
        soft   z_t = β_t Σ_i α_ti a_i
        hard   z_t = β_t a_s,  s drawn from α_t in training, the likeliest place otherwise
        mean   z_t = β_t (1/L) Σ_i a_i
        β_t = σ(f · h_{t-1} + b)
        h_t = layer([E y_{t-1}; z_t], h_{t-1})
        p(y_t) = softmax(L_o tanh(E y_{t-1} + L_h h_t + L_z z_t))

    The paper's score is ``Attention(…, "concat")``. tanh is the authors' code's; the paper has
    none. Of several layers h is the output of the last one. In training each picture is looked at
    softly with a probability of 1/2, for the whole of its caption, as the paper has it. With
    ``"soft"`` all steps of given symbols are one call of machine code, see ``StepsAtOnce`` for when
    not; with the others they are done one by one.

    Args:
        layer: reads vectors of symbols and of places.
        embedding: of the symbols.
        attention: its queries are outputs of the layer.
        looking: ``"soft"``, ``"hard"`` or ``"mean"``.
        gate: whether there is β; else it is 1.
        deep: whether E y and z are read by the output, too; else p(y_t) depends on h_t alone.
        dropout: probability of dropping a number before the logits, in training.

    Raises:
        SettingError: an argument is out of its range, or the parts do not fit together.
    """

    def __init__(
        self,
        layer: SequenceLayer,
        embedding: nn.Embedding,
        attention: Attention,
        *,
        looking: Looking = "soft",
        gate: bool = True,
        deep: bool = True,
        dropout: float = 0.0,
    ) -> None:
        if looking not in get_args(Looking):
            hint = did_you_mean(str(looking), get_args(Looking))
            raise SettingError(f"looking is {looking!r}. {hint}")
        features = embedding.embedding_dim
        super().__init__(layer, embedding, attention, features + attention.memory_size)
        check_probability("dropout", dropout, 1.0)
        self._check_queries(attention, layer.output_size)
        self.looking, self.gate, self.deep = looking, bool(gate), bool(deep)
        self.dropout = float(dropout)
        self.of_state = nn.Linear(layer.output_size, features, bias=False)
        if deep:
            self.of_place = nn.Linear(attention.memory_size, features, bias=False)
        if gate:
            self.selector = nn.Linear(layer.output_size, 1)
        self.begin_with = PictureStart(attention.memory_size, layer)
        self.head = ClassHead(features, embedding.num_embeddings)

    @property
    def fed_size(self) -> int:
        """Numbers that a step hands to the next besides the state: those of the layer's output."""
        return self.attention.query_size

    def begin(
        self, memory: Tensor, state: Any = None, *, lengths: Tensor | list[int] | None = None
    ) -> DecoderState:
        """Return the state before the first symbol, see ``AttentionDecoder.begin``: without one
        that is given it is made of the mean of all places."""
        begun = super().begin(memory, state, lengths=lengths)
        if state is not None:
            return begun
        places = begun.memory
        mean = places.values.sum(0) / places.lengths[:, None]
        made = self.begin_with.begin(mean, self.layer)
        fed = self._first_fed(made, memory, memory.shape[1])
        return DecoderState(made, places, fed, begun.weights)

    def _first_fed(self, state: Any, memory: Tensor, batch: int) -> Tensor:
        values = self.layer._values_of(state)
        if "h" in values and values["h"].shape[-1] == self.fed_size:
            return values["h"][-1:]
        return super()._first_fed(state, memory, batch)

    def forward(self, symbols: Tensor, state: DecoderState) -> tuple[Tensor, DecoderState, Tensor]:
        """Return the logits of what comes after each symbol; see ``AttentionDecoder.forward``."""
        looked = self.look(symbols, state)
        return looked.logits, looked.state, looked.weights

    def look(self, symbols: Tensor, state: DecoderState) -> Looked:
        """Return what ``forward`` does, and all that is known of where it looked.

        Args:
            symbols: that are read, [T, B].
            state: see ``begin``, or as an earlier call returned it.

        Raises:
            ShapeError: a tensor does not fit.
        """
        self._check_symbols(symbols)
        batch = symbols.shape[1]
        draws = self.looking == "hard" and self.training
        drawn = torch.rand(batch, device=state.fed.device) < 0.5 * draws
        vectors = self.embedding(symbols)
        if self.looking == "soft":
            selector = self.selector if self.gate else None
            told = self._at_once(PictureDecoder, vectors, state, gates=selector)
            if told is not None:
                return self._looked(vectors, state, told, drawn)
        outputs, contexts, weights, gates, chances = [], [], [], [], []
        for read in vectors:
            context, attended, log_drawn = self._attended(state, drawn)
            gate = self._gate(state.fed[0])
            context = gate * context
            state = self._step(torch.cat([read, context], -1), state, attended)
            outputs.append(state.fed[0])
            contexts.append(context)
            weights.append(attended)
            gates.append(gate.squeeze(-1))
            chances.append(log_drawn)
        seen = torch.stack(contexts)
        return Looked(
            self.logits_of(vectors, torch.stack(outputs), seen),
            state,
            torch.stack(weights),
            torch.stack(gates),
            torch.stack(chances),
            drawn,
            seen,
        )

    def _looked(self, vectors: Tensor, state: DecoderState, told: Told, drawn: Tensor) -> Looked:
        """Return what ``look`` does, of all steps in one call."""
        assert told.seen is not None
        recurrent = self.layer._state_of(told.state)
        ones = told.seen.new_ones(*told.seen.shape[:2], 1)
        gates = ones if told.gates is None else told.gates
        return Looked(
            self.logits_of(vectors, told.outputs, told.seen),
            DecoderState(recurrent, state.memory, told.outputs[-1:], told.weights[-1:]),
            told.weights,
            gates.squeeze(-1),
            torch.zeros_like(ones).squeeze(-1),
            drawn,
            told.seen,
        )

    def _gate(self, output: Tensor) -> Tensor:
        """Return β, [B, 1]."""
        if not self.gate:
            return output.new_ones(len(output), 1)
        gate: Tensor = self.selector(output).sigmoid()
        return gate

    def _attended(self, state: DecoderState, drawn: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return what is seen at a step, [B, features], the weights of places, [B, L], and log α of
        the place that was drawn, [B]."""
        memory = state.memory
        nothing = memory.values.new_zeros(memory.values.shape[1])
        if self.looking == "mean":
            weights = _even(memory)
            return (weights.T.unsqueeze(2) * memory.values).sum(0), weights, nothing
        means, attended = self.attention(state.fed, memory, state.weights)
        context, weights = means[0], attended[0]
        if self.looking == "soft":
            return context, weights, nothing
        if not self.training:
            return _at(memory, weights.argmax(1)), weights, nothing
        places = drawn_places(weights.detach())
        log_weights = weights.gather(1, places[:, None]).squeeze(1).log()
        context = torch.where(drawn[:, None], _at(memory, places), context)
        return context, weights, torch.where(drawn, log_weights, nothing)

    def _step(self, read: Tensor, state: DecoderState, weights: Tensor) -> DecoderState:
        outputs, recurrent = self.layer.step(read, state.recurrent)
        output = main_output(outputs).unsqueeze(0)
        return DecoderState(recurrent, state.memory, output, weights.unsqueeze(0))

    def logits_of(self, vectors: Tensor, outputs: Tensor, contexts: Tensor) -> Tensor:
        """Return the logits of what comes next, [T, B, symbols].

        Args:
            vectors: E y of the symbols that were read, [T, B, embedding].
            outputs: of the layer, [T, B, width].
            contexts: z, [T, B, features].
        """
        answers: Tensor = self.of_state(dropped(outputs, self.dropout, self.training))
        if self.deep:
            answers = answers + vectors + self.of_place(contexts)
        return self._logits(answers.tanh())

    def _logits(self, answers: Tensor) -> Tensor:
        logits: Tensor = self.head(dropped(answers, self.dropout, self.training))
        return logits

    def extra_repr(self) -> str:
        """Return what ``repr`` shows inside the brackets."""
        return (
            f"looking={self.looking!r}, gate={self.gate}, deep={self.deep}, "
            f"dropout={self.dropout:g}"
        )


def _even(memory: AttendedMemory) -> Tensor:
    """Return weights that are the same for all true places, [B, L]."""
    places = torch.arange(len(memory.values), device=memory.values.device)
    true = (places < memory.lengths[:, None]).to(memory.values.dtype)
    return true / memory.lengths[:, None]


def _at(memory: AttendedMemory, places: Tensor) -> Tensor:
    """Return the values of a place of each memory, [B, features]."""
    return memory.values[places, torch.arange(len(places), device=places.device)]
