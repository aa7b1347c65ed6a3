"""The voice: a recurrent network that reads a text, looks along it through Graves' window, and
speaks frames of sound (Graves 2013, section 5; the frames as in Wang et al. 2017, Tacotron)."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from math import log
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from conveyor.cells.definition import Cell
from conveyor.cells.memory_cells import graves_window
from conveyor.compiler.program import Program
from conveyor.data.padded import padded_batches
from conveyor.data.records import fits, to_record
from conveyor.errors import DataError, RunError, did_you_mean, named
from conveyor.layers.places import Places
from conveyor.layers.recurrent import Recurrent
from conveyor.networks.embedding import Embedding
from conveyor.networks.encoder import Encoder
from conveyor.networks.griffin_lim import wave_of
from conveyor.networks.log_mel import LogMel
from conveyor.networks.network import Loss, Network, Sizes, check_one_input, projection_of
from conveyor.networks.output_heads import NumberHead, mean_of
from conveyor.networks.pre_net import PreNet
from conveyor.tasks.speak.location_layer import LocationLayer
from conveyor.tasks.speak.spoken_examples import SpokenBatch, SpokenExamples
from conveyor.tasks.speller import Speller

# How the first layer that speaks looks at the text.
WINDOW, LOCATION = "window", "location"
# The number that stands behind the last letter.
END = 0
# Recordings that are scored together, at most, and frames with padding.
_ROWS_AT_ONCE, _FRAMES_AT_ONCE = 64, 1 << 15
# A text may take so many times the frames that its letters took in training, and so many more.
_LONGEST, _MORE = 3.0, 60
# Names of sizes in older models, and those of now.
_FORMER = {"letters": "letter_size", "speakers": "speaker_size", "forget": "prenet_dropout"}


@dataclass(frozen=True, kw_only=True)
class VoiceSizes(Sizes):
    """The sizes of a voice, see ``Voice``."""

    letter_size: int = 64
    speaker_size: int = 16
    window: int = 5
    reduction: int = 3
    prenet: int = 64
    prenet_dropout: float = 0.5
    attention: str = WINDOW


@dataclass(frozen=True)
class Spoken:
    """What a voice said.

    Attributes:
        frames: log-mel frames, [T, bands].
        window: how much the window weighed each letter, and the end, at each step, [S, U + 1].
        finished: whether it stopped by itself, and was not cut off.
    """

    frames: Tensor
    window: Tensor
    finished: bool


@dataclass(frozen=True)
class SpokenLosses:
    """How far off the frames of a batch are.

    Attributes:
        frames: the mean absolute error of each step, in deviations of the bands, [S, B].
        stops: the nats of stopping or going on after each step, [S, B].
        counted: which steps are no padding, [S, B].
    """

    frames: Tensor
    stops: Tensor
    counted: Tensor


class Voice(Network):
    """Letters in, frames of sound out.

    A layer that reads in both directions makes a memory of the letters. The first layer that speaks
    is an LSTM with a window on the memory; each layer above reads the frame before, who speaks, the
    layer below and what the window sees; the head reads all of them, and says ``reduction`` frames
    and whether they are the last.

    Args:
        cell: see ``conveyor.Recurrent``: of all layers but the one that looks at the text.
        frames: how waves become frames.
        speller: how texts become labels.
        names: of the speakers.
        sizes: all of them.
    """

    mean: Tensor
    deviation: Tensor
    pace: Tensor

    def __init__(
        self,
        cell: str | Cell | Program,
        frames: LogMel,
        speller: Speller,
        names: Sequence[str],
        sizes: VoiceSizes,
    ) -> None:
        super().__init__()
        self.frames, self.speller, self.sizes = frames, speller, sizes
        self.names = tuple(names)
        self.register_buffer("mean", torch.zeros(frames.bands))
        self.register_buffer("deviation", torch.ones(frames.bands))
        # Frames of a letter in training, which say how long a text may take.
        self.register_buffer("pace", torch.tensor(10.0))
        hidden, more = sizes.hidden, projection_of(cell, sizes.projection)
        reader = Recurrent(
            cell, sizes.letter_size, max(hidden // 2, 1), bidirectional=True, sizes=more
        )
        check_one_input(reader.program)
        symbols = Embedding(1 + len(speller.labels), sizes.letter_size, dropout=sizes.dropout)
        self.reader = Encoder(reader, symbols)
        self.speaker = Embedding(len(names), sizes.speaker_size)
        self.prenet = PreNet(frames.bands, sizes.prenet, dropout=sizes.prenet_dropout)
        seen, read = reader.output_size, sizes.prenet + sizes.speaker_size
        first: Recurrent | LocationLayer
        if sizes.attention == LOCATION:
            first = LocationLayer(read, seen, hidden)
        else:
            reads = {"x": read, "memory": seen}
            first = Recurrent(graves_window, reads, hidden, sizes={"K": sizes.window})
        layers: list[Recurrent | LocationLayer] = [first]
        for _ in range(1, sizes.layers):
            below = layers[-1].output_size
            layers.append(Recurrent(cell, read + below + seen, hidden, sizes=more))
        self.layers = nn.ModuleList(layers)
        width = sum(layer.output_size for layer in layers) + seen
        self.head = NumberHead(width, sizes.reduction * frames.bands + 1, dropout=sizes.dropout)

    @property
    def recurrent(self) -> Recurrent:  # type: ignore[override]
        """The lowest layer of the cell that speaks."""
        return self._layers_above[0]

    @property
    def _layers_above(self) -> list[Recurrent]:
        return list(self.layers)[1:]  # type: ignore[return-value]

    @property
    def step_weights(self) -> int:
        """How many numbers a time step is computed with, which decides about threads."""
        return sum(parameter.numel() for parameter in self.layers.parameters())

    @property
    def step_seconds(self) -> float:
        """Seconds of sound that a step speaks."""
        return self.sizes.reduction * self.frames.hop / self.frames.rate

    @torch.no_grad()
    def begin_at(self, pace: float, mean: Tensor, deviation: Tensor) -> None:
        """Tell an untrained network what is known of its training set. A network whose attention
        is location begins to look anywhere.

        Args:
            pace: frames of a letter. The window goes on so fast at first, and its bumps together
                weigh a place as 1.
            mean, deviation: of the bands.
        """
        self.pace.fill_(pace)
        self.mean.copy_(mean)
        self.deviation.copy_(deviation)
        if self.sizes.attention == WINDOW:
            window = self.layers[0].get_parameter
            window("l0.d.k").fill_(log(self.sizes.reduction / pace))
            window("l0.d.height").fill_(-log(self.sizes.window))

    def normalised(self, frames: Tensor) -> Tensor:
        """Return frames [..., bands] with mean 0 and deviation 1 in each band, as they are in the
        training set."""
        values: Tensor = (frames - self.mean) / self.deviation
        return values

    def steps(self, frames: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Return frames, normalised, as the network speaks them, [S, B, reduction · bands], with
        silence behind the end of each sequence; and how many steps each has.

        Args:
            frames: as ``LogMel`` makes them, [T, B, bands].
            lengths: how many of each sequence count, [B].
        """
        reduction, bands = self.sizes.reduction, self.frames.bands
        counts = -(-lengths // reduction)
        missing = int(counts.max()) * reduction - len(frames)
        silence = log(self.frames.floor)
        frames = torch.cat([frames, frames.new_full((max(missing, 0), *frames.shape[1:]), silence)])
        frames = frames[: int(counts.max()) * reduction]
        behind = torch.arange(len(frames), device=lengths.device)[:, None] >= lengths
        values = self.normalised(frames.masked_fill(behind.unsqueeze(-1), silence))
        grouped = values.view(-1, reduction, frames.shape[1], bands).transpose(1, 2)
        return grouped.reshape(len(grouped), frames.shape[1], reduction * bands), counts

    def read(self, steps: Tensor, speakers: Tensor) -> Tensor:
        """Return what the layers read at each step, [S, B, features]: the last frame of the step
        before, and who speaks.

        Args:
            steps: [S, B, reduction · bands].
            speakers: their numbers, [B].
        """
        last = steps[..., -self.frames.bands :]
        before = torch.cat([torch.zeros_like(last[:1]), last[:-1]])
        who = self.speaker(speakers).expand(len(before), -1, -1)
        return torch.cat([self.prenet(before), who], -1)

    def memory(self, letters: Tensor, counts: Tensor) -> Tensor:
        """Return what the window looks at, [U, B, features].

        Args:
            letters: their numbers, [U, B].
            counts: how many of each text count, [B].
        """
        memory: Tensor = self.reader(letters, lengths=counts)[0]
        return memory

    def first_of(
        self, read: Tensor, counts: Tensor, memory: Places, *, traced: bool
    ) -> tuple[list[Tensor], list[Tensor], Tensor | None]:
        """Return what stands below the lowest layer of the cell: the output of the layer with the
        window; what all layers read besides; and, where it is asked for, how much the window weighs
        each letter, [S, B, U].

        Args:
            read: see ``read``.
            counts: how many steps of each sequence count, [B].
            memory: see ``memory``.
            traced: whether the weights are asked for.
        """
        first = self.layers[0]
        if isinstance(first, LocationLayer):
            # What is computed behind the end of a sequence is not counted.
            output, seen, looked = first(
                read, first.attention.prepare(memory.values, lengths=memory.lengths)
            )
            return [output], [read, seen], looked if traced else None
        answer = first({"x": read, "memory": memory}, lengths=counts, trace=traced)
        weights = answer[2]["a"] if traced else None
        return [answer[0].h], [read, answer[0].w], weights

    def rest_of(
        self, outputs: list[Tensor], beside: list[Tensor], counts: Tensor | None = None
    ) -> Tensor:
        """Return what the head says, [S, B, reduction · bands + 1], of the outputs up to the lowest
        layer of the cell.

        Args:
            outputs: of these layers.
            beside: what all layers read besides.
            counts: how many steps of each sequence count, [B]; None for all.
        """
        outputs = list(outputs)
        for layer in self._layers_above[len(outputs) - 1 :]:
            inputs = torch.cat([outputs[-1], *beside], -1)
            outputs.append(layer(inputs, lengths=counts)[0])
        answer: Tensor = self.head(torch.cat([*outputs, beside[-1]], -1))
        return answer

    def forward(
        self, steps: Tensor, counts: Tensor, letters: Tensor, letter_counts: Tensor, who: Tensor
    ) -> Tensor:
        """Return what the head says at each step, [S, B, reduction · bands + 1], where the frames
        before are known.

        Args:
            steps: see ``steps``.
            counts: how many of each sequence count, [B].
            letters: their numbers, [U, B].
            letter_counts: how many of each text count, [B].
            who: the number of each speaker, [B].
        """
        memory = Places(self.memory(letters, letter_counts), letter_counts)
        below, beside, _ = self.first_of(self.read(steps, who), counts, memory, traced=False)
        return self.rest_of(below, beside, counts)

    def losses(self, batch: SpokenBatch) -> SpokenLosses:
        """Return how far off the frames of a batch are, where those before are known."""
        steps, counts = self.steps(batch.frames, batch.lengths)
        said = self(steps, counts, batch.letters, batch.letter_counts, batch.speakers).float()
        place = torch.arange(len(steps), device=counts.device)[:, None]
        return SpokenLosses(
            (said[..., :-1] - steps).abs().mean(-1),
            binary_cross_entropy_with_logits(
                said[..., -1], (place == counts - 1).float(), reduction="none"
            ),
            place < counts,
        )

    def loss(self, batch: SpokenBatch, state: Any = None) -> Loss:
        """Return the mean over the steps of a batch of both losses together."""
        losses = self.losses(batch)
        value = mean_of(losses.frames + losses.stops, losses.counted)
        return Loss(value, int(losses.counted.sum()))

    @torch.no_grad()
    def errors(self, examples: SpokenExamples) -> float:
        """Return the mean absolute error of frames in deviations, where those before are known."""
        was_training = self.training
        self.eval()
        total, count = 0.0, 0
        for numbers in padded_batches(
            examples.lengths, _ROWS_AT_ONCE, _FRAMES_AT_ONCE, empty=False
        ):
            losses = self.losses(examples.__getitems__(numbers))
            total += float(losses.frames[losses.counted].double().sum())
            count += int(losses.counted.sum())
        self.train(was_training)
        return total / max(count, 1)

    def encode(self, text: str) -> Tensor:
        """Return the numbers of a text and its end, [U + 1].

        Raises:
            DataError: it holds nothing that is spoken, or what the network has never read.
        """
        tokens = self.speller.tokens(text)
        if not tokens:
            raise DataError(
                f"{named('text', text)}: there is nothing to speak. Give letters or digits."
            )
        unknown = self.speller.unknown(text)
        if unknown:
            known = ("" if self.speller.unit == "char" else " ").join(self.speller.labels)
            raise DataError(
                f"the run has never heard {', '.join(map(repr, unknown[:10]))} spoken. It can "
                f"speak {known if len(known) < 200 else known[:200] + ' …'}"
            )
        return torch.tensor([*self.speller.encode(text), END])

    def speaker_number(self, name: str | None) -> int:
        """Return the number of a speaker.

        Args:
            name: of the speaker; None for the first, who was heard most.

        Raises:
            DataError: the network has never heard that speaker.
        """
        if name is None:
            return 0
        if name not in self.names:
            if self.names == ("",):
                raise DataError(
                    f"{named('speaker', name)}: the recordings of this run name no speakers. Leave "
                    "it out."
                )
            raise DataError(f"{named('speaker', name)}: {did_you_mean(name, self.names)}")
        return self.names.index(name)

    @torch.no_grad()
    def speak(
        self, text: str, *, speaker: str | None = None, seed: int = 0, longest: int | None = None
    ) -> Spoken:
        """Return a text as the network speaks it.

        Args:
            text: what is spoken.
            speaker: who speaks; None for the first, who was heard most.
            seed: of what is read of frames before: the same seed gives the same sound.
            longest: frames at most; None for some times as many as such a text took in training.

        Raises:
            DataError: the text or the speaker was never heard.
        """
        letters, number = self.encode(text), self.speaker_number(speaker)
        was_training = self.training
        self.eval()
        try:
            return self._spoken(letters, number, seed, longest)
        finally:
            self.train(was_training)

    def _spoken(self, letters: Tensor, number: int, seed: int, longest: int | None) -> Spoken:
        if longest is None:
            longest = round(_LONGEST * float(self.pace) * len(letters)) + _MORE
        letters = letters.to(self.mean.device)
        count = letters.new_tensor([len(letters)])
        memory = self.memory(letters.unsqueeze(1), count)
        first: Any = self.layers[0]
        above, located = self._layers_above, isinstance(first, LocationLayer)
        attended = first.attention.prepare(memory) if located else None
        who = self.speaker(letters.new_tensor(number))
        generator = torch.Generator().manual_seed(seed)
        states: list[Any] = [None] * len(self.layers)
        frame = torch.zeros_like(self.mean)
        frames: list[Tensor] = []
        reads: list[Tensor] = []
        finished = False
        while len(frames) * self.sizes.reduction < longest and not finished:
            x = torch.cat([self.prenet(frame, generator), who])
            reads.append(x)
            if located:
                output, seen, states[0] = first.step(x.unsqueeze(0), attended, states[0])
                outputs, seen = [output[0]], seen[0]
            else:
                answer, states[0] = first.step({"x": x, "memory": memory[:, 0]}, states[0])
                outputs, seen = [answer.h], answer.w
            for place, layer in enumerate(above, 1):
                inputs = torch.cat([outputs[-1], x, seen])
                output, states[place] = layer.step(inputs, states[place])
                outputs.append(output)
            said = self.head(torch.cat([*outputs, seen]))
            frames.append(said[:-1].view(self.sizes.reduction, -1))
            frame, finished = frames[-1][-1], bool(said[-1] > 0)
        # The steps read as one sequence weigh the letters as they did one by one.
        read = torch.stack(reads).unsqueeze(1)
        steps = count.new_tensor([len(reads)])
        weights = self.first_of(read, steps, Places(memory, count), traced=True)[2]
        assert weights is not None
        values = torch.cat(frames) * self.deviation + self.mean
        return Spoken(values, weights[:, 0], finished)

    def wave(self, frames: Tensor, seed: int = 0) -> Tensor:
        """Return the sound of log-mel frames, float32 [N] from -1 to 1, by Griffin-Lim."""
        return wave_of(frames, self.frames, seed=seed).clamp(-1, 1)

    def description(self) -> dict[str, Any]:
        """Return the sizes, the frames, the speller and the speakers."""
        return {
            "network": asdict(self.sizes),
            "frames": self.frames.description(),
            "speller": self.speller.description(),
            "names": list(self.names),
        }

    @classmethod
    def described(cls, program: Program, description: Mapping[str, Any], where: str) -> "Voice":
        """Return the voice of a description; see ``Network.described``."""
        names = description["names"]
        if not fits(names, tuple[str, ...]) or not 0 < len(names) == len(set(names)):
            raise RunError(f"{where} is corrupt: the speakers are no list of names.")
        stored = {
            _FORMER.get(name, name): value for name, value in dict(description["network"]).items()
        }
        sizes = to_record(VoiceSizes, stored, where)
        frames = LogMel.described(description["frames"], where)
        speller = Speller.described(description["speller"], where)
        return cls(program, frames, speller, names, sizes)
