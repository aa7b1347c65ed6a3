"""The recogniser: a recurrent network that hears frames and says what is spoken, by CTC or by a
decoder that looks at what was heard."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, cast

import torch
from torch import Tensor

from conveyor.cells.definition import Cell
from conveyor.compiler.program import Program
from conveyor.data.padded import padded, padded_batches
from conveyor.data.records import to_record
from conveyor.errors import SettingError, named
from conveyor.layers.checks import check_whole
from conveyor.layers.recurrent import Recurrent
from conveyor.networks.beam_search import length_normaliser
from conveyor.networks.ctc import best_path, collapse, ctc_loss, steps_needed
from conveyor.networks.encoder import Encoder
from conveyor.networks.frame_augmentation import FrameAugmentation
from conveyor.networks.log_mel import LogMel
from conveyor.networks.network import Loss, Network, Sizes, projection_of
from conveyor.networks.output_heads import ClassHead
from conveyor.networks.prefix_beam_search import prefix_beam_search
from conveyor.networks.search import Hypothesis
from conveyor.tasks.speller import Speller
from conveyor.tasks.transcribe.label_writer import LENGTH_PENALTY, LabelWriter
from conveyor.tasks.transcribe.recogniser_stream import RecogniserStream
from conveyor.tasks.transcribe.recording_examples import RecordingBatch
from conveyor.tasks.transcribe.spoken_language import SpokenLanguage
from conveyor.tasks.transcribe.transcribe_settings import ATTENTIONS, NONE

# What is heard at once has so many frames at most, with padding.
_FRAMES_AT_ONCE, _ROWS_AT_ONCE = 1 << 15, 64
# Seconds to either side of where it has looked that a decoder sees, as in Chorowski et al. 2015.
_REACH = 1.0


@dataclass(frozen=True, kw_only=True)
class RecogniserSizes(Sizes):
    """The sizes of a recogniser, see ``Recogniser``."""

    bidirectional: bool = True
    stack: int = 3
    lookahead: int = 0
    augment: float = 0.0
    centre: bool = False
    attention: str = NONE
    joint: float = 0.0
    pace: float = 1.0


@dataclass(frozen=True)
class Heard:
    """What a recogniser heard.

    Attributes:
        text: what is said.
        labels: that it is made of.
        log_probability: of these labels; of the best path alone where that was taken. Of a network
            with attention it is its decoder's, the end counted, also of a text that was cut off
            before it.
        score: what answers are ordered by: what is heard, of attention divided by the length, with
            what a language says.
        looked: with attention, the weights of the steps for each label, and for the end unless the
            text was cut off, [T, steps].
    """

    text: str
    labels: tuple[int, ...]
    log_probability: float
    score: float
    looked: Tensor | None = None


class Recogniser(Network):
    """Frames in, labels out.

    Args:
        cell: see ``conveyor.Recurrent``.
        frames: how waves become frames.
        speller: how texts become labels.
        sizes: all of them. ``stack`` frames are read as one step, with ``lookahead`` frames after
            them. With ``centre`` the mean of each band over a recording is taken away. With
            ``attention`` a decoder writes, at most ``pace`` labels for each step; ``joint`` is then
            the share of CTC in the loss (Watanabe et al. 2017, Hybrid CTC/attention architecture
            for end-to-end speech recognition).
    """

    mean: Tensor
    deviation: Tensor

    def __init__(
        self,
        cell: str | Cell | Program,
        frames: LogMel,
        speller: Speller,
        sizes: RecogniserSizes,
    ) -> None:
        super().__init__()
        if sizes.stack < 1 or sizes.lookahead < 0:
            raise SettingError(
                f"stack is {sizes.stack}, lookahead {sizes.lookahead}; expected 1 or more, and 0 "
                "or more."
            )
        self.frames, self.speller, self.sizes = frames, speller, sizes
        self.register_buffer("mean", torch.zeros(frames.bands))
        self.register_buffer("deviation", torch.ones(frames.bands))
        self.augmentation = FrameAugmentation(sizes.augment)
        layer = Recurrent(
            cell,
            self.width * frames.bands,
            sizes.hidden,
            sizes.layers,
            dropout=sizes.dropout,
            bidirectional=sizes.bidirectional,
            sizes=projection_of(cell, sizes.projection),
        )
        self.encoder = Encoder(layer)
        self.head: ClassHead | None = None
        self.writer: LabelWriter | None = None
        if sizes.attention == NONE or sizes.joint:
            self.head = ClassHead(layer.output_size, 1 + len(speller.labels), dropout=sizes.dropout)
        if sizes.attention != NONE:
            self.writer = self._writer(cell)

    def _writer(self, cell: str | Cell | Program) -> LabelWriter:
        sizes, memory = self.sizes, self.encoder.output_size
        if sizes.attention not in ATTENTIONS:
            raise SettingError(f"attention is {sizes.attention!r}; expected one of {ATTENTIONS}.")
        # A vector of a label has as many numbers as the state.
        layer = Recurrent(
            cell,
            sizes.hidden + memory,
            sizes.hidden,
            sizes=projection_of(cell, sizes.projection),
        )
        return LabelWriter(
            layer,
            len(self.speller.labels),
            memory,
            "location" if sizes.attention == "location" else "concat",
            reach=max(1, round(_REACH / self.step_seconds)),
            dropout=sizes.dropout,
        )

    @property
    def recurrent(self) -> Recurrent:  # type: ignore[override]
        """The part that walks over time."""
        return cast(Recurrent, self.encoder.layer)

    @property
    def waits(self) -> bool:
        """Whether it must hear all of a recording before it writes."""
        return self.writer is not None or self.recurrent.bidirectional

    @property
    def width(self) -> int:
        """Frames that a step reads."""
        return self.sizes.stack + self.sizes.lookahead

    @property
    def step_seconds(self) -> float:
        """Seconds from one step to the next."""
        return self.sizes.stack * self.frames.hop / self.frames.rate

    @property
    def latency(self) -> float:
        """Seconds of sound that a step waits for, from its first sample to the last that it
        reads."""
        samples = self.frames.window + (self.width - 1) * self.frames.hop
        return samples / self.frames.rate

    def steps(self, lengths: Tensor) -> Tensor:
        """Return how many steps frames become: the last may have fewer frames than others."""
        return -(-lengths // self.sizes.stack)

    def normalised(self, frames: Tensor) -> Tensor:
        """Return frames [..., bands] with mean 0 and deviation 1 in each band, as they are in the
        training set."""
        values: Tensor = (frames - self.mean) / self.deviation
        return values

    def stacked(self, frames: Tensor, lengths: Tensor) -> Tensor:
        """Return what the recurrent layer reads, [steps, B, width · bands]; zeros stand after the
        end of a sequence.

        Args:
            frames: as ``LogMel`` makes them, [T, B, bands].
            lengths: how many of each sequence count, [B].
        """
        steps, stack = int(self.steps(lengths).max()), self.sizes.stack
        count = max((steps - 1) * stack + self.width, 0)
        values = self.normalised(frames[:count])
        counted = (torch.arange(len(values), device=frames.device)[:, None] < lengths).unsqueeze(2)
        values = values * counted
        if self.sizes.centre:
            mean = values.sum(0) / lengths.clamp(min=1)[:, None]
            values = (values - mean) * counted
        missing = count - len(values)
        if missing > 0:
            values = torch.cat([values, values.new_zeros(missing, *values.shape[1:])])
        if not steps:
            return values.new_zeros(0, frames.shape[1], self.width * self.frames.bands)
        # [steps, B, bands, width] -> frame after frame
        return values.unfold(0, self.width, stack).transpose(2, 3).flatten(2)

    def ctc_logits(self, output: Tensor) -> Tensor:
        """Return the logits of the blank and the labels, [steps, B, 1 + labels], of what the
        recurrent layer gives.

        Raises:
            SettingError: the network writes by attention alone.
        """
        if self.head is None:
            raise SettingError(
                "the network writes by attention alone, without CTC. Fit it with "
                f"{named('joint', 0.3)}."
            )
        logits: Tensor = self.head(output)
        return logits.float()

    def heard(self, frames: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Return what the recurrent layer gives of each step, [steps, B, features], and how many
        steps count, [B].

        Args:
            frames: as ``LogMel`` makes them, [T, B, bands].
            lengths: how many of each sequence count, [B].
        """
        steps = self.steps(lengths)
        return self.encoder.read(self.stacked(frames, lengths), lengths=steps)[0], steps

    def forward(self, frames: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Return the logits of the blank and the labels at each step, [steps, B, 1 + labels].

        Args:
            frames: as ``LogMel`` makes them, [T, B, bands].
            lengths: how many of each sequence count, [B]; None for all.

        Raises:
            SettingError: the network writes by attention alone.
        """
        if lengths is None:
            lengths = torch.full((frames.shape[1],), len(frames), device=frames.device)
        return self.ctc_logits(self.heard(frames, lengths)[0])

    def loss(self, batch: RecordingBatch, state: Any = None) -> Loss:
        """Return the nats of a label: the losses of all recordings of a batch by all their labels,
        so that a long one counts more. The loss of attention counts the end; with ``joint`` it is
        (1 - joint) of that, and joint of CTC's."""
        frames, lengths = batch.frames, batch.lengths
        if self.training:
            least = None
            if self.head is not None:  # CTC needs steps for its labels
                needed = [
                    steps_needed(batch.labels[:count, row].tolist())
                    for row, count in enumerate(batch.label_lengths.tolist())
                ]
                least = torch.tensor(needed, device=lengths.device) * self.sizes.stack
            frames, lengths = self.augmentation(frames, lengths, least)
        joint = self.sizes.joint if self.writer is not None else 1.0
        output, steps = self.heard(frames, lengths)
        nats = output.new_zeros(output.shape[1])
        if self.writer is not None:
            written, _ = self.writer(output, steps, batch.labels, batch.label_lengths)
            nats = nats + (1 - joint) * written
        if self.head is not None:
            logits = self.ctc_logits(output)
            nats = nats + joint * ctc_loss(logits, batch.labels, steps, batch.label_lengths)
        count = max(int(batch.label_lengths.sum()), 1)
        return Loss(nats.sum() / count, count)

    def description(self) -> dict[str, Any]:
        """Return the sizes, how waves become frames and texts labels."""
        return {
            "network": asdict(self.sizes),
            "frames": self.frames.description(),
            "speller": self.speller.description(),
        }

    @classmethod
    def described(
        cls, program: Program, description: Mapping[str, Any], where: str
    ) -> "Recogniser":
        """Return the recogniser of a description; see ``Network.described``."""
        frames = LogMel.described(description["frames"], where)
        speller = Speller.described(description["speller"], where)
        sizes = to_record(RecogniserSizes, description["network"], where)
        return cls(program, frames, speller, sizes)

    @torch.no_grad()
    def log_probabilities(self, frames: Sequence[Tensor]) -> list[Tensor]:
        """Return log P of the blank and the labels at each step of recordings, each
        [steps, 1 + labels]."""
        was_training = self.training
        self.eval()
        answers = [torch.zeros(0, 1 + len(self.speller.labels))] * len(frames)
        for numbers in padded_batches(
            [len(each) for each in frames], _ROWS_AT_ONCE, _FRAMES_AT_ONCE, empty=False
        ):
            values, lengths = padded([frames[number] for number in numbers])
            chances = self(values, lengths).log_softmax(-1)
            for row, (number, steps) in enumerate(
                zip(numbers, self.steps(lengths).tolist(), strict=True)
            ):
                answers[number] = chances[:steps, row]
        self.train(was_training)
        return answers

    def hear(
        self, frames: Sequence[Tensor], *, beam: int, language: SpokenLanguage | None = None
    ) -> list[Heard]:
        """Return what is said in recordings.

        Args:
            frames: of each, [T, bands].
            beam: prefixes that are kept in mind; 1 takes the best path.
            language: what is likely to be said; None for nothing.

        Raises:
            SettingError: ``beam`` is out of its range.
        """
        return [best[0] for best in self.hear_several(frames, beam=beam, language=language)]

    def hear_several(
        self,
        frames: Sequence[Tensor],
        *,
        beam: int,
        n_best: int = 1,
        language: SpokenLanguage | None = None,
    ) -> list[list[Heard]]:
        """Return what may be said in each of some recordings, the best first.

        Args:
            frames: of each, [T, bands].
            beam: see ``hear``.
            n_best: how many for each, at most; there may be fewer.
            language: see ``hear``.

        Raises:
            SettingError: a number is out of its range.
        """
        check_whole(beam=beam, n_best=n_best)
        if self.writer is None:
            return [
                self.decoded_several(chances, beam=beam, n_best=n_best, language=language)
                for chances in self.log_probabilities(frames)
            ]
        return self._write(frames, beam, n_best, language)

    @torch.no_grad()
    def _write(
        self, frames: Sequence[Tensor], beam: int, n_best: int, language: SpokenLanguage | None
    ) -> list[list[Heard]]:
        """Return what ``hear_several`` does, by attention. With CTC or a language all that the
        search ends with are ranked anew, by what all of them say together."""
        assert self.writer is not None
        was_training = self.training
        self.eval()
        ranked = self.head is not None or language is not None
        answers = [[Heard("", (), 0.0, 0.0)] for _ in frames]
        for numbers in padded_batches(
            [len(each) for each in frames],
            max(1, _ROWS_AT_ONCE // beam),
            max(1, _FRAMES_AT_ONCE // beam),
            empty=False,
        ):
            output, steps = self.heard(*padded([frames[number] for number in numbers]))
            longest = 1 + (steps * self.sizes.pace).ceil().long()
            found = self.writer.search(
                output, steps, longest, beam=beam, n_best=beam if ranked else n_best
            )
            for row, (number, hypotheses) in enumerate(zip(numbers, found, strict=True)):
                memory = output[: int(steps[row]), row : row + 1]
                scores = [each.score for each in hypotheses]
                if ranked:
                    scores = self._scores(hypotheses, memory, language)
                order = sorted(range(len(scores)), key=lambda place: -scores[place])
                answers[number] = [
                    self._answer(hypotheses[place], scores[place], memory)
                    for place in order[:n_best]
                ]
        self.train(was_training)
        return answers

    def _answer(self, written: Hypothesis, score: float, memory: Tensor) -> Heard:
        """Return what was written of one recording.

        Args:
            written: by the decoder.
            score: what it was ranked by.
            memory: the steps of the recording, [steps, 1, features].
        """
        assert self.writer is not None
        chance = written.log_probability
        if not written.finished:  # the search did not count the end
            labels = torch.tensor([written.tokens], dtype=torch.long, device=memory.device).T
            counts, steps = (
                torch.tensor([count], device=memory.device) for count in (len(labels), len(memory))
            )
            chance = -float(self.writer(memory, steps, labels, counts)[0])
        text = self.speller.decode(written.tokens)
        return Heard(text, written.tokens, chance, score, written.attention)

    def _scores(
        self, hypotheses: Sequence[Hypothesis], memory: Tensor, language: SpokenLanguage | None
    ) -> list[float]:
        """Return what hypotheses are ranked by: log P of attention, of CTC for its share, and of a
        language, divided by the length as the search does, and a bonus for each label.

        Args:
            hypotheses: of one recording.
            memory: its steps, [steps, 1, features].
            language: what is likely to be said; None for nothing.
        """
        joint = self.sizes.joint if self.head is not None else 0.0
        scores = [(1 - joint) * each.log_probability for each in hypotheses]
        if self.head is not None:
            logits, device = self.ctc_logits(memory), memory.device
            steps = torch.tensor([len(memory)], device=device)
            for place, each in enumerate(hypotheses):
                if steps_needed(each.tokens) > len(memory):
                    scores[place] = -torch.inf
                    continue
                labels = torch.tensor([each.tokens], dtype=torch.long, device=device).T
                counts = torch.tensor([len(labels)], device=device)
                loss = ctc_loss(logits, labels, steps, counts)
                scores[place] -= joint * float(loss)
        if language is not None:
            said = language.log_probabilities(
                [self.speller.decode(each.tokens) for each in hypotheses]
            )
            for place, value in enumerate(said):
                scores[place] += language.weight * value
        bonus = 0.0 if language is None else language.bonus
        return [
            score / length_normaliser(len(each.tokens) + each.finished, LENGTH_PENALTY)
            + bonus * len(each.tokens)
            for score, each in zip(scores, hypotheses, strict=True)
        ]

    @torch.no_grad()
    def looked(
        self, frames: Sequence[Tensor], labels: Sequence[Tensor]
    ) -> list[tuple[float, Tensor]]:
        """Return log P of labels of recordings by attention, their end counted, and where the
        network looks while it writes them, [labels + 1, steps].

        Args:
            frames: of each recording, [T, bands], T 1 or more.
            labels: of each, [U].
        """
        assert self.writer is not None
        was_training = self.training
        self.eval()
        answers = [(0.0, torch.zeros(0, 0))] * len(frames)
        for numbers in padded_batches(
            [len(each) for each in frames], _ROWS_AT_ONCE, _FRAMES_AT_ONCE, empty=False
        ):
            output, steps = self.heard(*padded([frames[number] for number in numbers]))
            said, counts = padded([labels[number].to(output.device) for number in numbers])
            nats, weights = self.writer(output, steps, said, counts)
            for row, number in enumerate(numbers):
                shown = weights[: int(counts[row]) + 1, row, : int(steps[row])]
                answers[number] = -float(nats[row]), shown
        self.train(was_training)
        return answers

    def decoded(
        self, log_probabilities: Tensor, *, beam: int, language: SpokenLanguage | None = None
    ) -> Heard:
        """Return what is said, of ``log_probabilities`` of a recording; see ``hear``."""
        return self.decoded_several(log_probabilities, beam=beam, language=language)[0]

    def decoded_several(
        self,
        log_probabilities: Tensor,
        *,
        beam: int,
        n_best: int = 1,
        language: SpokenLanguage | None = None,
    ) -> list[Heard]:
        """Return what may be said, of ``log_probabilities`` of a recording; see
        ``hear_several``."""
        if beam == 1 and language is None:
            path = best_path(log_probabilities)
            labels = tuple(collapse(path))
            chance = float(log_probabilities.max(-1).values.sum()) if path else 0.0
            return [Heard(self.speller.decode(labels), labels, chance, chance)]
        more: dict[str, Any] = {}
        if language is not None:
            more = {
                "language": language.following(self.speller),
                "weight": language.weight,
                "bonus": language.bonus,
            }
        return [
            Heard(self.speller.decode(each.labels), each.labels, each.log_probability, each.score)
            for each in prefix_beam_search(log_probabilities, beam=beam, n_best=n_best, **more)
        ]

    def stream(self, rate: int | None = None) -> RecogniserStream:
        """Return what hears sound piece by piece.

        Args:
            rate: samples a second of the sound; None for the network's own.

        Raises:
            SettingError: the network reads from both ends, or looks at all that it heard.
        """
        return RecogniserStream(self.eval(), rate)
