"""The recogniser: a recurrent network that hears frames and says what is spoken, by CTC."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, cast

import torch
from torch import Tensor

from conveyor.cells.definition import Cell
from conveyor.compiler.program import Program
from conveyor.data.padded import padded, padded_batches
from conveyor.data.records import to_record
from conveyor.errors import SettingError
from conveyor.layers.recurrent import Recurrent
from conveyor.networks.ctc import best_path, collapse, ctc_loss, steps_needed
from conveyor.networks.encoder import Encoder
from conveyor.networks.frame_augmentation import FrameAugmentation
from conveyor.networks.log_mel import LogMel
from conveyor.networks.network import Loss, Network, Sizes, projection_of
from conveyor.networks.output_heads import ClassHead
from conveyor.networks.prefix_beam_search import prefix_beam_search
from conveyor.tasks.speller import Speller
from conveyor.tasks.transcribe.recogniser_stream import RecogniserStream
from conveyor.tasks.transcribe.recording_examples import RecordingBatch
from conveyor.tasks.transcribe.spoken_language import SpokenLanguage

# What is heard at once has so many frames at most, with padding.
_FRAMES_AT_ONCE, _ROWS_AT_ONCE = 1 << 15, 64


@dataclass(frozen=True, kw_only=True)
class RecogniserSizes(Sizes):
    """The sizes of a recogniser, see ``Recogniser``."""

    bidirectional: bool = True
    stack: int = 3
    lookahead: int = 0
    augment: float = 0.0
    centre: bool = False


@dataclass(frozen=True)
class Heard:
    """What a recogniser heard.

    Attributes:
        text: what is said.
        labels: that it is made of.
        log_probability: of these labels; of the best path alone where that was taken.
    """

    text: str
    labels: tuple[int, ...]
    log_probability: float


class Recogniser(Network):
    """Frames in, labels out.

    Args:
        cell: see ``conveyor.Recurrent``.
        frames: how waves become frames.
        speller: how texts become labels.
        sizes: all of them. ``stack`` frames are read as one step, with ``lookahead`` frames after
            them. With ``centre`` the mean of each band over a recording is taken away.
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
        self.head = ClassHead(layer.output_size, 1 + len(speller.labels), dropout=sizes.dropout)

    @property
    def recurrent(self) -> Recurrent:  # type: ignore[override]
        """The part that walks over time."""
        return cast(Recurrent, self.encoder.layer)

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
        training part."""
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

    def read(self, inputs: Tensor, steps: Tensor) -> Tensor:
        """Return the logits of the blank and the labels, [steps, B, 1 + labels], of what
        ``stacked`` gives."""
        output = self.encoder.read(inputs, lengths=steps)[0]
        logits: Tensor = self.head(output)
        return logits.float()

    def forward(self, frames: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Return the logits of the blank and the labels at each step, [steps, B, 1 + labels].

        Args:
            frames: as ``LogMel`` makes them, [T, B, bands].
            lengths: how many of each sequence count, [B]; None for all.
        """
        if lengths is None:
            lengths = torch.full((frames.shape[1],), len(frames), device=frames.device)
        inputs = self.stacked(frames, lengths)
        return self.read(inputs, self.steps(lengths))

    def loss(self, batch: RecordingBatch, state: Any = None) -> Loss:
        """Return the nats of a label: the losses of all recordings of a batch by all their labels,
        so that a long one counts more."""
        frames, lengths = batch.frames, batch.lengths
        if self.training:
            needed = [
                steps_needed(batch.labels[:count, row].tolist())
                for row, count in enumerate(batch.label_lengths.tolist())
            ]
            least = torch.tensor(needed, device=lengths.device) * self.sizes.stack
            frames, lengths = self.augmentation(frames, lengths, least)
        logits = self(frames, lengths)
        losses = ctc_loss(logits, batch.labels, self.steps(lengths), batch.label_lengths)
        count = max(int(batch.label_lengths.sum()), 1)
        return Loss(losses.sum() / count, count)

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
        """
        return [
            self.decoded(chances, beam=beam, language=language)
            for chances in self.log_probabilities(frames)
        ]

    def decoded(
        self, log_probabilities: Tensor, *, beam: int, language: SpokenLanguage | None = None
    ) -> Heard:
        """Return what is said, of ``log_probabilities`` of a recording; see ``hear``."""
        if beam == 1 and language is None:
            path = best_path(log_probabilities)
            labels = tuple(collapse(path))
            chance = float(log_probabilities.max(-1).values.sum()) if path else 0.0
            return Heard(self.speller.decode(labels), labels, chance)
        if language is None:
            (best,) = prefix_beam_search(log_probabilities, beam=beam)
        else:
            (best,) = prefix_beam_search(
                log_probabilities,
                beam=beam,
                language=language.following(self.speller),
                weight=language.weight,
                bonus=language.bonus,
            )
        return Heard(self.speller.decode(best.labels), best.labels, best.log_probability)

    def stream(self, rate: int | None = None) -> RecogniserStream:
        """Return what hears sound piece by piece.

        Args:
            rate: samples a second of the sound; None for the network's own.

        Raises:
            SettingError: the network reads from both ends.
        """
        return RecogniserStream(self.eval(), rate)
