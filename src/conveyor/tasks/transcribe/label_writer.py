"""What writes the labels of a recording one after the other, and looks at all of it while it
does."""

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from conveyor.layers.recurrent import Recurrent
from conveyor.networks.attention import Attention, Scoring
from conveyor.networks.attention_decoder import BahdanauDecoder
from conveyor.networks.beam_search import beam_search
from conveyor.networks.embedding import Embedding
from conveyor.networks.search import Hypothesis

# The symbol that begins a text and ends it; no label has its number.
EDGE = 0

# As of translations: log P is divided by the length, which it falls with.
LENGTH_PENALTY = 1.0


class LabelWriter(nn.Module):
    """A decoder that looks at the steps of a recording before it writes each label and the end,
    with the score of Chorowski et al. 2015 (Attention-based models for speech recognition). It is
    ``BahdanauDecoder``: unlike there, the state that looks has not read the last label.

    Args:
        layer: reads vectors of labels and means of the recording.
        labels: how many there are, numbered from 1.
        memory_size: numbers of a step of the recording.
        scoring: how steps are compared, see ``Attention``.
        reach: steps to either side that are looked at for where the label before was.
        dropout: probability of dropping a number before the logits, in training.
    """

    def __init__(
        self,
        layer: Recurrent,
        labels: int,
        memory_size: int,
        scoring: str,
        *,
        reach: int,
        dropout: float,
    ) -> None:
        super().__init__()
        width = layer.output_size
        attention = Attention(
            width,
            memory_size,
            cast(Scoring, scoring),
            reach=reach if scoring == "location" else None,
        )
        vectors = Embedding(1 + labels, layer.input_size - memory_size)
        self.decoder = BahdanauDecoder(layer, vectors, attention, dropout=dropout)

    def forward(
        self, memory: Tensor, steps: Tensor, labels: Tensor, label_lengths: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return -log P of the labels of recordings and of their end, in nats, [B], and where it
        looks for each of them, [U + 1, B, S].

        Args:
            memory: the steps of recordings, [S, B, memory_size].
            steps: how many of them count, [B], 1 or more.
            labels: [U, B], with anything after the end of the shorter ones.
            label_lengths: how many count, [B].
        """
        edge = labels.new_full((1, labels.shape[1]), EDGE)
        counted = torch.arange(len(labels) + 1, device=labels.device)[:, None] < label_lengths
        written = torch.cat([labels, edge]).masked_fill(~counted, EDGE)
        begun = self.decoder.begin(memory, lengths=steps)
        logits, _, weights = self.decoder(torch.cat([edge, written[:-1]]), begun)
        losses = cross_entropy(
            logits.flatten(0, 1).float(), written.flatten(), reduction="none"
        ).view(written.shape)
        ends = torch.arange(len(written), device=labels.device)[:, None] <= label_lengths
        return (losses * ends).sum(0), weights

    def search(
        self, memory: Tensor, steps: Tensor, longest: Tensor, *, beam: int, n_best: int
    ) -> list[list[Hypothesis]]:
        """Return what may be said in each recording, the best first, with where it looked.

        Args:
            memory: see ``forward``.
            steps: see ``forward``.
            longest: labels of each at most, the end counted, [B].
            beam: hypotheses that live at each step.
            n_best: how many are returned, at most.
        """
        return beam_search(
            self.decoder.step,
            self.decoder.begin(memory, lengths=steps),
            torch.full((memory.shape[1],), EDGE, device=memory.device),
            end=EDGE,
            longest=longest,
            beam=beam,
            n_best=n_best,
            length_penalty=LENGTH_PENALTY,
            attention=lambda state: state.attention,
            source_lengths=steps,
        )
