"""Sequences turned into other sequences: an encoder, a bridge, and a decoder with attention."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from conveyor.errors import SettingError, ShapeError
from conveyor.layers.lengths import read_lengths
from conveyor.layers.sequence import SequenceLayer
from conveyor.networks.attention_decoder import AttentionDecoder, DecoderState
from conveyor.networks.encoder import Encoder

# States that the bridge fills; all cells have one of them.
_BRIDGED = ("h", "c")


class Bridge(nn.ModuleDict):
    """What a decoder's states begin with: tanh of a linear map of an encoder's last states, one for
    each layer and each of the states h and c. Of an encoder of both directions it reads both.

    A layer reads the encoder's layer of its own number, or the last one where there are not as many
    of both; a state the encoder's of its own name, or the other one where there is none. Further
    states of a cell, such as normalisers, begin as the cell says.

    Args:
        encoder: the layer that is read.
        decoder: the layer that is begun.
    """

    def __init__(self, encoder: SequenceLayer, decoder: SequenceLayer) -> None:
        super().__init__()
        if encoder._dilations:
            raise SettingError("the encoder's layer is dilated; a bridge reads no such states.")
        directions = 2 if encoder.bidirectional else 1
        for name in _BRIDGED:
            if name not in decoder._state_widths:
                continue
            width = directions * encoder._state_widths[self._read_from(name, encoder)]
            for layer in range(decoder.num_layers):
                self[f"{name}_{layer}"] = nn.Linear(width, decoder._state_widths[name])

    @classmethod
    def of_parts(cls, parts: Mapping[str, nn.Module]) -> "Bridge":
        """Return the bridge of linear maps by name, as a saved network has them."""
        bridge = cls.__new__(cls)
        nn.ModuleDict.__init__(bridge, dict(parts))
        return bridge

    @staticmethod
    def _read_from(name: str, encoder: SequenceLayer) -> str:
        if name in encoder._state_widths:
            return name
        return next(each for each in _BRIDGED if each in encoder._state_widths)

    def begin(self, encoder: SequenceLayer, state: Any, decoder: SequenceLayer, batch: int) -> Any:
        """Return the state that the decoder begins with.

        Args:
            encoder: the layer that has read.
            state: of it, after reading.
            decoder: the layer that is to begin.
            batch: how many sequences there are.
        """
        ends = encoder._values_of(state)
        values = dict(decoder._start_values(batch))
        for name in _BRIDGED:
            if name not in values:
                continue
            rows = ends[self._read_from(name, encoder)]
            by_layer = rows.reshape(encoder.num_layers, -1, *rows.shape[1:])
            read = by_layer.transpose(1, 2).flatten(2)  # both directions side by side
            alike = encoder.num_layers == decoder.num_layers
            values[name] = torch.stack(
                [
                    self[f"{name}_{layer}"](read[layer if alike else -1]).tanh()
                    for layer in range(decoder.num_layers)
                ]
            )
        return decoder._state_of(values)


class EncoderDecoder(nn.Module):
    """Reads a sequence and writes another (Sutskever, Vinyals & Le 2014; with attention Bahdanau,
    Cho & Bengio 2015).

        >>> encoder = Encoder(conveyor.GRU(32, 64, bidirectional=True), Embedding(100, 32))
        >>> decoder = LuongDecoder(conveyor.GRU(32, 64), Embedding(90, 32), Attention(64, 128))
        >>> model = EncoderDecoder(encoder, decoder)
        >>> loss = model.loss(sources, targets, source_lengths=…, target_lengths=…)
        >>> beam_search(model.step, model.begin(sources, lengths=…), begin, end=2, longest=50)

    Args:
        encoder: without pooling, time first; its outputs are the decoder's memory.
        decoder: a ``LuongDecoder`` or ``BahdanauDecoder``, of any cell.
        bridge: whether the decoder begins with the encoder's last states, see ``Bridge``;
            otherwise with its own start.

    Raises:
        SettingError: the parts do not fit together.
    """

    def __init__(self, encoder: Encoder, decoder: AttentionDecoder, *, bridge: bool = True) -> None:
        super().__init__()
        if encoder.pooling is not None or encoder.layer.batch_first:
            raise SettingError(
                "the encoder has pooling or is batch_first; a decoder looks at the features of "
                "each step, time first. Leave these out."
            )
        if encoder.output_size != decoder.attention.memory_size:
            raise SettingError(
                f"the encoder gives {encoder.output_size} numbers; decoder.attention.memory_size "
                f"is {decoder.attention.memory_size}."
            )
        self.encoder, self.decoder = encoder, decoder
        self.bridge: Bridge | None = None
        if bridge:
            if not isinstance(encoder.layer, SequenceLayer):
                raise SettingError(
                    f"the encoder's layer is a {type(encoder.layer).__name__}, whose states have "
                    "no bridge. Give bridge=False."
                )
            self.bridge = Bridge(encoder.layer, decoder.layer)

    def begin(self, sources: Tensor, *, lengths: Tensor | list[int] | None = None) -> DecoderState:
        """Read sequences, and return the decoder's state before it writes.

        Args:
            sources: what the encoder reads: symbols [S, B], or numbers [S, B, width].
            lengths: how many steps of each source count, [B], 1 to S; None for all.

        Raises:
            ShapeError: a tensor does not fit, or a source has no step.
        """
        counts: Any = lengths
        memory, state = self.encoder(sources, lengths=counts)
        begun = None
        if self.bridge is not None:
            layer: Any = self.encoder.layer
            begun = self.bridge.begin(layer, state, self.decoder.layer, memory.shape[1])
        return self.decoder.begin(memory, begun, lengths=lengths)

    def forward(
        self, sources: Tensor, symbols: Tensor, *, lengths: Tensor | list[int] | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return the logits of what comes after each symbol of the target (teacher forcing).

        Args:
            sources: what the encoder reads, [S, B] or [S, B, width].
            symbols: of the target that the decoder reads, [T, B]: the first begins it.
            lengths: how many steps of each source count, [B], 1 to S; None for all.

        Returns:
            Logits [T, B, symbols], and the attention of each step, [T, B, places], up to the
            longest source.

        Raises:
            ShapeError: a tensor does not fit, or a source has no step.
        """
        logits, _, weights = self.decoder(symbols, self.begin(sources, lengths=lengths))
        return logits, weights

    def loss(
        self,
        sources: Tensor,
        targets: Tensor,
        *,
        source_lengths: Tensor | list[int] | None = None,
        target_lengths: Tensor | list[int] | None = None,
        label_smoothing: float = 0.0,
    ) -> Tensor:
        """Return the mean cross-entropy of the symbols of targets, in nats: of all but the first,
        which begins each and is only read.

        Args:
            sources: what the encoder reads, [S, B] or [S, B, width].
            targets: [T, B], each with the symbols that begin and end it; any symbol at padding.
            source_lengths: how many steps of each source count, [B], 1 to S; None for all.
            target_lengths: how many symbols of each target count, with those that begin and end it,
                [B], 2 to T; None for all.
            label_smoothing: ε, the share of each target that is spread over all symbols (Szegedy et
                al. 2016), as in torch; leave it out of what you report.

        Raises:
            ShapeError: a tensor does not fit, or a target has no symbol to predict.
        """
        self.decoder._check_symbols(targets)
        steps, batch = targets.shape
        counts = torch.full((batch,), steps)
        if target_lengths is not None:
            counts = torch.from_numpy(read_lengths(target_lengths, steps, batch))
        if batch and int(counts.min()) < 2:
            raise ShapeError(
                f"target {int(counts.argmin())} of the batch has {int(counts.min())} symbols; "
                "expected 2 or more: the one that begins it, and what is predicted."
            )
        following = torch.arange(1, steps, device=targets.device)[:, None]
        counted = following < counts.to(targets.device)
        logits, _ = self(sources, targets[:-1], lengths=source_lengths)
        return cross_entropy(logits[counted], targets[1:][counted], label_smoothing=label_smoothing)

    def step(self, state: DecoderState, symbols: Tensor) -> tuple[Tensor, DecoderState]:
        """Read a symbol of each target; see ``AttentionDecoder.step``.

        Args:
            state: see ``begin``.
            symbols: [B].
        """
        return self.decoder.step(state, symbols)
