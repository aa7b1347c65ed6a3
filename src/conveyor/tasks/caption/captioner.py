"""The captioner: a network that sees pictures or videos, and one that writes what is there."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

from conveyor.cells.definition import Cell
from conveyor.compiler.program import Program
from conveyor.data.records import shown, to_record
from conveyor.data.token_vocabulary import PAD, UNK
from conveyor.errors import RunError
from conveyor.layers.recurrent import Recurrent
from conveyor.networks.annotation_attention import (
    Form,
    doubly_stochastic,
    entropy,
    reinforce,
)
from conveyor.networks.attention import Attention
from conveyor.networks.beam_search import beam_search
from conveyor.networks.network import Loss, Network, Sizes, projection_of
from conveyor.networks.picture_decoder import Looked, Looking, PictureDecoder
from conveyor.networks.picture_encoder import PictureEncoder, shifted
from conveyor.networks.s2vt import S2VT
from conveyor.networks.search import Hypothesis
from conveyor.networks.video_encoder import VideoEncoder
from conveyor.networks.word_embedding import WordEmbedding
from conveyor.tasks.caption.caption_examples import (
    CaptionBatch,
    CaptionExamples,
    Seen,
    ShownPictures,
)
from conveyor.tasks.caption.caption_settings import NONE, READING
from conveyor.tasks.pairs.pair_reader import PairReader

# Pictures that are looked at together, and hypotheses of them.
_ROWS_AT_ONCE = 64

# Numbers that places and the state are compared by, at most: most of the time goes into these.
_COMPARED = 48

# Before anything is learned a word is seen with a probability of less than one in a hundred.
_RARE = -5.0

# How much of the expected reward stays from one batch to the next (Xu et al. 2015, section 4.1).
_KEPT = 0.9


@dataclass(frozen=True, kw_only=True)
class CaptionerSizes(Sizes):
    """The sizes of a captioner, see ``Captioner``."""

    attention: str = "soft"
    embedding: int = 0
    channels: int = 0
    gate: bool = True
    deep: bool = True
    coverage: float = 0.0
    coverage_form: str = "paper"
    reinforce: float = 0.0
    explore: float = 0.0
    bag: float = 0.0
    shift: int = 0
    decoder: str = "looking"
    size: int = 0
    frames: int = 0
    places: int = 1
    width: int = 0
    blind: bool = False


@dataclass(frozen=True)
class Captioned:
    """What was written of a picture.

    Attributes:
        text: the caption.
        tokens: that it is made of.
        log_probability: of the tokens and the end.
        finished: whether it was ended, not cut off.
        symbols: the numbers of the tokens.
    """

    text: str
    tokens: tuple[str, ...]
    log_probability: float
    finished: bool
    symbols: tuple[int, ...]


class Annotations(NamedTuple):
    """Annotation vectors of pictures or videos.

    Attributes:
        values: [places, B, width], or of frames.
        lengths: true ones of each, [B].
    """

    values: Tensor
    lengths: Tensor


def _whole(values: Tensor) -> Annotations:
    """Return annotation vectors of which none is padding."""
    return Annotations(values, torch.full((values.shape[1],), len(values), device=values.device))


class FeatureReader(nn.Module):
    """Turns numbers of each place, which others' networks have made, into annotation vectors.

    Args:
        width: numbers of a place.
        features: numbers of an annotation vector.
    """

    def __init__(self, width: int, features: int) -> None:
        super().__init__()
        self.linear = nn.Linear(width, features)

    def forward(self, numbers: Tensor) -> Tensor:
        """Return annotation vectors [places, B, features] of numbers [B, places, width]."""
        annotations: Tensor = self.linear(numbers).tanh().transpose(0, 1)
        return annotations


class Captioner(Network):
    """Pictures or videos in, captions out.

    Args:
        cell: see ``conveyor.Recurrent``.
        reader: makes numbers of captions.
        sizes: all of them. Pictures are ``size`` × ``size`` pixels, or ``width`` numbers of
            ``places`` each where ``size`` is 0; what is seen are videos where ``frames`` is not 0.
            One that is ``blind`` sees nothing of them.
        longest: symbols that a caption may have, its end counted.
    """

    mean: Tensor
    deviation: Tensor
    expected: Tensor

    def __init__(
        self, cell: str | Cell | Program, reader: PairReader, sizes: CaptionerSizes, longest: int
    ) -> None:
        super().__init__()
        self.reader, self.sizes, self.longest = reader, sizes, longest
        self.register_buffer("mean", torch.zeros(3 if sizes.size else sizes.width))
        self.register_buffer("deviation", torch.ones(3 if sizes.size else sizes.width))
        # The log-probability of a symbol that REINFORCE expects.
        self.register_buffer("expected", torch.zeros(()))
        self.encoder = self._encoder(cell)
        features = sizes.channels
        self.decoder: PictureDecoder | S2VT
        if sizes.decoder == READING:
            frames = sizes.recurrent(cell, features)
            words = sizes.recurrent(cell, frames.output_size + sizes.embedding)
            self.decoder = S2VT(frames, words, self._embedding(), dropout=sizes.dropout)
        else:
            layer = sizes.recurrent(cell, sizes.embedding + features)
            width = layer.output_size
            self.decoder = PictureDecoder(
                layer,
                self._embedding(),
                Attention(width, features, "concat", width=min(_COMPARED, width)),
                looking=cast(Looking, "mean" if sizes.attention == NONE else sizes.attention),
                gate=sizes.gate,
                deep=sizes.deep,
                dropout=sizes.dropout,
            )

        # What words are seen anywhere, which helps what sees to learn; used in training alone.
        self.anywhere = nn.Linear(features, reader.symbols)
        nn.init.constant_(self.anywhere.bias, _RARE)

    def _embedding(self) -> WordEmbedding:
        """Return what makes vectors of words."""
        sizes = self.sizes
        return WordEmbedding(self.reader.symbols, sizes.embedding, unknown=0, dropout=sizes.dropout)

    def _encoder(self, cell: str | Cell | Program) -> PictureEncoder | VideoEncoder | FeatureReader:
        """Return what sees. S2VT reads frames one by one; another decoder looks at what two
        directions have read."""
        sizes = self.sizes
        if not sizes.size:
            return FeatureReader(sizes.width, sizes.channels)
        if not sizes.frames:
            return PictureEncoder(sizes.size, sizes.channels)
        layer = None
        if sizes.decoder != READING:
            half = sizes.channels // 2
            layer = Recurrent(
                cell,
                sizes.channels,
                half,
                bidirectional=True,
                sizes=projection_of(cell, half if sizes.projection else 0),
            )
        return VideoEncoder(sizes.size, sizes.channels, layer)

    @property
    def recurrent(self) -> Recurrent:  # type: ignore[override]
        """The part that writes."""
        decoder = self.decoder
        return cast(Recurrent, decoder.words if isinstance(decoder, S2VT) else decoder.layer)

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of the places of a picture; of numbers a square where they make one,
        else one row; of a video a row of frames, as many as there may be."""
        if self.sizes.frames:
            return (1, self.sizes.frames)
        if self.sizes.size:
            return (self.sizes.size // 4,) * 2
        side = round(self.sizes.places**0.5)
        return (side, side) if side**2 == self.sizes.places else (1, self.sizes.places)

    def annotations(self, seen: Seen) -> Annotations:
        """Return the annotation vectors of what is seen."""
        values, frames = seen
        if self.sizes.blind:
            nothing = self.mean.new_zeros(1, len(values), self.sizes.channels)
            return Annotations(nothing, torch.ones_like(frames))
        scaled = (values.to(self.mean.dtype) - self.mean) / self.deviation
        if not self.sizes.size:
            return _whole(self.encoder(scaled))
        scaled = scaled.movedim(-1, -3)
        if self.training:
            # All frames of a video are moved alike.
            rows, columns = scaled.shape[-2:]
            flat = scaled.reshape(len(scaled), -1, rows, columns)
            scaled = shifted(flat, self.sizes.shift).view(scaled.shape)
        if self.sizes.frames:
            return Annotations(self.encoder(scaled, lengths=frames), frames)
        return _whole(self.encoder(scaled))

    def begin(self, annotations: Annotations) -> Any:
        """Return the state of the decoder before the first symbol."""
        return self.decoder.begin(annotations.values, lengths=annotations.lengths)

    def look(self, annotations: Annotations, symbols: Tensor) -> Looked:
        """Return what follows each symbol, and where the decoder looks.

        Args:
            annotations: see ``annotations``.
            symbols: of captions, [T, B], the first begins each.

        Raises:
            RunError: it is S2VT, which looks nowhere.
        """
        if isinstance(self.decoder, S2VT):
            raise RunError("S2VT has read all frames when it writes, and looks at none of them.")
        return self.decoder.look(symbols, self.begin(annotations))

    def forward(self, seen: Seen, symbols: Tensor) -> Tensor:
        """Return the logits of what comes after each symbol of captions, [T, B, symbols]."""
        logits: Tensor = self.decoder(symbols, self.begin(self.annotations(seen)))[0]
        return logits

    def loss(self, batch: CaptionBatch, state: Any = None) -> Loss:
        """Return the cross-entropy in nats, the mean over the true symbols of captions, the end
        counted. In training what is said of attention is minimised with it, as Xu et al. (2015)
        have it: of each caption, beside the sum over its symbols; and how well the words of a
        caption are seen anywhere in its picture."""
        count = int((batch.lengths - 1).sum())
        annotations = self.annotations(batch.seen)
        looked = None
        if isinstance(self.decoder, S2VT):
            logits = self.decoder(batch.captions[:-1], self.begin(annotations))[0]
        else:
            looked = self.look(annotations, batch.captions[:-1])
            logits = looked.logits
        device = batch.lengths.device
        following = torch.arange(1, len(batch.captions), device=device)[:, None]
        counted = following < batch.lengths
        losses = cross_entropy(
            logits.flatten(0, 1).float(), batch.captions[1:].flatten(), reduction="none"
        ).view(counted.shape)
        value = (losses * counted).sum() / count
        if not self.training:
            return Loss(value, count)
        penalty = losses.new_zeros(())
        if looked is not None:
            penalty = self._penalty(looked, -losses, counted, annotations.lengths)
        if self.sizes.bag and not self.sizes.blind:
            penalty = penalty + self.sizes.bag * self._unseen(annotations, batch.captions)
        return Loss(value, count, penalty=penalty / count)

    def _unseen(self, annotations: Annotations, captions: Tensor) -> Tensor:
        """Return the cross-entropy of which words stand in captions, each seen where it is seen
        best, summed over words and captions.

        Args:
            annotations: of what is seen.
            captions: [T, B].
        """
        values, lengths = annotations
        places = torch.arange(len(values), device=values.device)[:, None, None]
        best = values.masked_fill(places >= lengths[:, None], -torch.inf).amax(0)
        logits = self.anywhere(best).float()
        there = torch.zeros_like(logits).scatter_(1, captions.T, 1.0)
        words = slice(UNK + 1, self.reader.begin)
        return binary_cross_entropy_with_logits(logits[:, words], there[:, words], reduction="sum")

    def _penalty(self, looked: Looked, rewards: Tensor, counted: Tensor, lengths: Tensor) -> Tensor:
        """Return what is minimised beside the losses of a batch, which are summed.

        Args:
            looked: where the decoder looked.
            rewards: log p of each true symbol, [T, B].
            counted: which steps are true ones, [T, B].
            lengths: places or frames of each, [B].
        """
        sizes, batch = self.sizes, counted.shape[1]
        penalty = rewards.new_zeros(())
        if sizes.attention == NONE or sizes.blind:
            return penalty
        if sizes.coverage:
            form = cast(Form, sizes.coverage_form)
            term = doubly_stochastic(looked.weights, counted, lengths, form)
            penalty = penalty + batch * sizes.coverage * term
        if sizes.attention != "hard":
            return penalty
        terms = reinforce(rewards, looked.log_drawn, counted, self.expected)
        undecided = (entropy(looked.weights) * counted).sum(0)
        with torch.no_grad():
            mean = (rewards * counted).sum() / counted.sum()
            self.expected.mul_(_KEPT).add_((1 - _KEPT) * mean)
        drawn = looked.drawn
        reward = sizes.reinforce * terms[drawn].sum() - sizes.explore * undecided.sum()
        return penalty + reward

    def description(self) -> dict[str, Any]:
        """Return the sizes, how captions are read, and how long one may be."""
        return {
            "network": asdict(self.sizes),
            "reader": self.reader.description(),
            "longest": self.longest,
        }

    @classmethod
    def described(cls, program: Program, description: Mapping[str, Any], where: str) -> "Captioner":
        """Return the captioner of a description; see ``Network.described``."""
        longest = description["longest"]
        if not isinstance(longest, int) or not 1 <= longest <= 200_000:
            raise RunError(f"{where}: longest is {shown(longest)}; expected 1 to 200,000.")
        reader = PairReader.described(description["reader"], where)
        sizes = to_record(CaptionerSizes, description["network"], where)
        return cls(program, reader, sizes, longest)

    @torch.no_grad()
    def hypotheses(
        self, seen: Seen, *, beam: int, n_best: int = 1, length_penalty: float = 0.0
    ) -> list[list[Hypothesis]]:
        """Return the best captions of each picture, the best first.

        Args:
            seen: of each picture or video.
            beam: hypotheses that live at each step.
            n_best: how many are returned, at most ``beam``.
            length_penalty: α, see ``beam_search``; none by default, as Xu et al. (2015) have it:
                with one "left of" would be preferred to "above", for it is longer.
        """
        was_training = self.training
        self.eval()
        answers = beam_search(
            self.decoder.step,
            self.begin(self.annotations(seen)),
            seen.frames.new_full((len(seen.values),), self.reader.begin),
            end=self.reader.end,
            longest=self.longest,
            shortest=2,
            beam=beam,
            n_best=n_best,
            length_penalty=length_penalty,
            forbidden=(PAD, UNK, self.reader.begin),
        )
        self.train(was_training)
        return answers

    @torch.no_grad()
    def write(
        self, pictures: ShownPictures, *, beam: int, n_best: int = 1
    ) -> Iterator[list[Captioned]]:
        """Yield what is written of each picture, the best first.

        Args:
            pictures: of which captions are asked.
            beam, n_best: see ``hypotheses``.
        """
        self.eval()
        most = max(1, _ROWS_AT_ONCE // beam)
        for first in range(0, len(pictures), most):
            seen = pictures.seen(range(first, min(first + most, len(pictures))))
            for best in self.hypotheses(seen, beam=beam, n_best=n_best):
                yield [self.captioned(each) for each in best]

    def captioned(self, hypothesis: Hypothesis) -> Captioned:
        """Return what was found as text."""
        tokens = self.reader.target_tokens(hypothesis.tokens)
        return Captioned(
            self.reader.text_of(tokens),
            tuple(tokens),
            hypothesis.log_probability,
            hypothesis.finished,
            hypothesis.tokens,
        )

    @torch.no_grad()
    def attention_while(self, seen: Seen, symbols: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Return where the decoder looks for each symbol of a caption and its end, α [T, L], and
        how much, β [T].

        Args:
            seen: of one picture or video.
            symbols: of the caption, without those that begin and end it.

        Raises:
            RunError: it is S2VT, which looks nowhere.
        """
        self.eval()
        read = seen.frames.new_tensor([self.reader.begin, *symbols])[:, None]
        looked = self.look(self.annotations(seen), read)
        return looked.weights[:, 0], looked.gates[:, 0]

    @torch.no_grad()
    def nats(self, examples: CaptionExamples) -> float:
        """Return the nats of a true symbol of captions, their ends counted."""
        was_training = self.training
        self.eval()
        ordered = examples.by_length()
        total, count = 0.0, 0
        for first in range(0, len(ordered), _ROWS_AT_ONCE):
            numbers = range(first, min(first + _ROWS_AT_ONCE, len(ordered)))
            loss = self.loss(ordered.__getitems__(list(numbers)))
            total += float(loss.value) * loss.count
            count += loss.count
        self.train(was_training)
        return total / max(count, 1)
