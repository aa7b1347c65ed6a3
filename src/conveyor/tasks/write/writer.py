"""The writer: a recurrent network that moves a pen, with a window on the text that it writes
(Graves 2013, Generating sequences with recurrent neural networks, sections 4 and 5)."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from math import log
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import one_hot

from conveyor.cells.definition import Cell
from conveyor.cells.memory_cells import graves_window
from conveyor.compiler.program import Program
from conveyor.data.handwriting import Handwriting
from conveyor.data.padded import before_each, padded_batches
from conveyor.data.pen_movements import movements_of, points_of, thinned
from conveyor.data.records import to_record
from conveyor.errors import SettingError, named
from conveyor.layers.places import Places
from conveyor.layers.recurrent import Recurrent
from conveyor.networks.network import Loss, Network, Sizes, projection_of
from conveyor.networks.noise import Noise
from conveyor.networks.pen_head import NARROWEST, PenHead
from conveyor.tasks.write.alphabet import END, Alphabet
from conveyor.tasks.write.pen_examples import PenBatch, PenExamples

# What the network knows of a movement: both directions, and whether the pen is lifted.
WIDTH = 3
# Texts that are scored together, at most, and movements with padding.
_ROWS_AT_ONCE, _STEPS_AT_ONCE = 64, 1 << 15
# A text that is written may take so many times the movements that its letters took in training,
# and so many more.
_LONGEST, _MORE = 3.0, 100
# Movements of strokes that mean nothing.
_SCRIBBLE = 400


@dataclass(frozen=True, kw_only=True)
class WriterSizes(Sizes):
    """The sizes of a writer, see ``Writer``."""

    texts: bool = True
    window: int = 10
    components: int = 20
    stretch: float = 1.0
    thin: int = 1
    narrowest: float = NARROWEST
    noise: float = NARROWEST


@dataclass(frozen=True)
class Written:
    """What a writer wrote.

    Attributes:
        movements: of the pen, [T, 3], as the network knows them.
        finished: whether it came to the end of the text, and was not cut off.
    """

    movements: Tensor
    finished: bool


class Writer(Network):
    """Movements of a pen in, a mixture of the next movement out.

    The first layer is an LSTM with a window on the text. Each layer above reads the movement, the
    layer below and what the window sees; the head reads all of them. Without a text all layers are
    of the cell.

    Args:
        cell: see ``conveyor.Recurrent``: of all layers but the one that looks at the text.
        alphabet: the characters that it knows.
        sizes: all of them.
    """

    deviation: Tensor
    pace: Tensor

    def __init__(self, cell: str | Cell | Program, alphabet: Alphabet, sizes: WriterSizes) -> None:
        super().__init__()
        self.alphabet, self.sizes = alphabet, sizes
        self.register_buffer("deviation", torch.ones(2))
        # Movements of a character in training, which say how long a text may take.
        self.register_buffer("pace", torch.tensor(50.0))
        hidden, more = sizes.hidden, projection_of(cell, sizes.projection)
        seen = alphabet.size if sizes.texts else 0
        layers: list[Recurrent] = []
        if sizes.texts:
            reads = {"x": WIDTH, "memory": alphabet.size}
            layers.append(Recurrent(graves_window, reads, hidden, sizes={"K": sizes.window}))
        for number in range(len(layers), sizes.layers):
            below = layers[-1].output_size if number else 0
            layers.append(Recurrent(cell, WIDTH + below + seen, hidden, sizes=more))
        self.layers = nn.ModuleList(layers)
        self.head = PenHead(
            sum(layer.output_size for layer in layers),
            sizes.components,
            narrowest=sizes.narrowest,
            dropout=sizes.dropout,
        )
        # What it draws lies beside the grid of the pen that it learned from: so does what it reads.
        self.noise = Noise(sizes.noise)

    @property
    def recurrent(self) -> Recurrent:  # type: ignore[override]
        """A layer of the cell."""
        return self._recurrent_layers[1 if self.sizes.texts else 0]

    @property
    def _recurrent_layers(self) -> list[Recurrent]:
        return list(self.layers)  # type: ignore[arg-type]

    @property
    def step_weights(self) -> int:
        """How many numbers a time step is computed with, which decides about threads."""
        return sum(parameter.numel() for parameter in self.layers.parameters())

    @torch.no_grad()
    def begin_at(self, pace: float, deviation: Sequence[float]) -> None:
        """Tell an untrained network what is known of its training set.

        Args:
            pace: movements of a character. The window goes on so fast at first, and its bumps
                together weigh a place as 1.
            deviation: of the movements in both directions, see ``deviation_of``.
        """
        self.deviation.copy_(torch.tensor(deviation))
        self.pace.fill_(pace)
        if self.sizes.texts:
            window = self.layers[0].get_parameter
            window("l0.d.k").fill_(-log(pace))
            window("l0.d.height").fill_(-log(self.sizes.window))

    def forward(
        self, movements: Tensor, lengths: Tensor, characters: Tensor, counts: Tensor
    ) -> Tensor:
        """Return what the head says of the movement after each, [T, B, outputs].

        Args:
            movements: [T, B, 3], the first of zeros.
            lengths: how many of each sequence count, [B].
            characters: their numbers, [U, B].
            counts: how many of each text count, [B].
        """
        read, states = self.run(movements, lengths, characters, counts)
        del states
        outputs: Tensor = self.head(read)
        return outputs

    def run(
        self,
        movements: Tensor,
        lengths: Tensor,
        characters: Tensor,
        counts: Tensor,
        *,
        traced: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        """Return what all layers give, [T, B, width], and, where it is asked for and the network
        writes a text, how much the window weighs each character, [T, B, U]; see ``forward``."""
        below, beside, weights = self.first_of(
            movements, lengths, characters, counts, traced=traced
        )
        lowest = self.recurrent(torch.cat([*below[-1:], *beside], -1), lengths=lengths)[0]
        return self.rest_of([*below, lowest], beside, lengths), weights

    def first_of(
        self,
        movements: Tensor,
        lengths: Tensor,
        characters: Tensor,
        counts: Tensor,
        *,
        traced: bool,
    ) -> tuple[list[Tensor], list[Tensor], Tensor | None]:
        """Return what stands below the lowest layer of the cell: the output of the layer with the
        window, if there is one, what all layers read besides, and the window's weights; see
        ``run``."""
        if not self.sizes.texts:
            return [], [movements], None
        looked_at = Places(self.memory(characters), counts)
        answer = self._recurrent_layers[0](
            {"x": movements, "memory": looked_at}, lengths=lengths, trace=traced
        )
        weights = answer[2]["a"] if traced else None
        return [answer[0].h], [movements, answer[0].w], weights

    def rest_of(
        self, outputs: list[Tensor], beside: list[Tensor], lengths: Tensor | None = None
    ) -> Tensor:
        """Return what all layers give, [T, B, width], of the outputs up to the lowest layer of the
        cell.

        Args:
            outputs: of these layers.
            beside: what all layers read besides.
            lengths: how many of each sequence count, [B]; None for all.
        """
        outputs = list(outputs)
        for layer in self._recurrent_layers[len(outputs) :]:
            inputs = torch.cat([outputs[-1], *beside], -1)
            outputs.append(layer(inputs, lengths=lengths)[0])
        return torch.cat(outputs, -1)

    def memory(self, characters: Tensor) -> Tensor:
        """Return what the window looks at: a 1 for each character, [U, B, alphabet]."""
        return one_hot(characters, self.alphabet.size).to(self.head.weight.dtype)

    def losses(self, batch: PenBatch) -> Tensor:
        """Return the nats of each movement of a batch, [T, B]; those of padding mean nothing."""
        movements = batch.movements
        before = before_each(movements)
        before = torch.cat([self.noise(before[..., :2]), before[..., 2:]], -1)
        outputs = self(before, batch.lengths, batch.characters, batch.character_counts)
        return self.head.losses(outputs.float(), movements)

    def loss(self, batch: PenBatch, state: Any = None) -> Loss:
        """Return the nats of a movement, the mean over all movements of a batch."""
        losses = self.losses(batch)
        return Loss(losses[counted_steps(batch)].mean(), int(batch.lengths.sum()))

    @torch.no_grad()
    def nats(self, examples: PenExamples) -> list[Tensor]:
        """Return the nats of each movement of each text.

        Args:
            examples: see ``PenExamples``.
        """
        was_training = self.training
        self.eval()
        answers = [torch.zeros(0)] * len(examples)
        for numbers in padded_batches(examples.lengths, _ROWS_AT_ONCE, _STEPS_AT_ONCE, empty=False):
            losses = self.losses(examples.__getitems__(numbers))
            for row, number in enumerate(numbers):
                answers[number] = losses[: examples.lengths[number], row]
        self.train(was_training)
        return answers

    @torch.no_grad()
    def window_of(self, movements: Tensor, characters: Tensor) -> Tensor:
        """Return how much the window weighs each character at each movement, [T, U].

        Args:
            movements: [T, 3].
            characters: numbers of a text and its end, [U].

        Raises:
            SettingError: the network writes no text.
        """
        if not self.sizes.texts:
            raise SettingError("this network was fitted without texts, and has no window.")
        before = before_each(movements).unsqueeze(1)
        lengths, counts = (torch.tensor([len(each)]) for each in (movements, characters))
        _, weights = self.run(before, lengths, characters.unsqueeze(1), counts, traced=True)
        assert weights is not None
        return weights[:, 0]

    @torch.no_grad()
    def write(
        self,
        text: str,
        *,
        bias: float = 0.0,
        seed: int = 0,
        prime: tuple[Tensor, str] | None = None,
        longest: int | None = None,
    ) -> Written:
        """Return a text as the network writes it. Without texts: strokes that mean nothing.

        Args:
            text: what is written; nothing of a network without texts.
            bias: 0 writes as varied as it was learned; 1 and more neater (section 5.4).
            seed: the same seed gives the same strokes.
            prime: movements and their text that the network goes on from, in whose style it then
                writes (section 5.5).
            longest: movements at most; None for some times as many as such a text took in training.

        Raises:
            DataError: the text holds a character that the network has never seen.
            SettingError: the bias is below 0, or a text is given to a network without texts.
        """
        if text and not self.sizes.texts:
            raise SettingError(
                f"this network was fitted without texts and can write none. Leave out "
                f"{named('text')}, or fit one with texts."
            )
        was_training = self.training
        self.eval()
        try:
            return self._written(text, bias, seed, prime, longest)
        finally:
            self.train(was_training)

    def _written(
        self,
        text: str,
        bias: float,
        seed: int,
        prime: tuple[Tensor, str] | None,
        longest: int | None,
    ) -> Written:
        begin = prime[1].strip() + " " if prime is not None and prime[1] else ""
        if begin and " " in self.alphabet.unknown(begin):
            begin = begin.strip()
        device = self.deviation.device
        characters = self.alphabet.encode(begin + text).to(device) if self.sizes.texts else None
        memory = None if characters is None else self.memory(characters)
        generator = torch.Generator().manual_seed(seed)
        if longest is None:
            longest = round(_LONGEST * float(self.pace) * len(text)) + _MORE
            if not self.sizes.texts:
                longest = _SCRIBBLE
        movement = torch.zeros(WIDTH, device=device)
        states: list[Any] = [None] * len(self.layers)
        outputs = self._step(movement, memory, states)[0]
        for movement in prime[0].to(device) if prime is not None else ():
            outputs = self._step(movement, memory, states)[0]
        movements: list[Tensor] = []
        finished = False
        while len(movements) < longest and not finished:
            movement = self.head.draw(outputs, bias, generator=generator)
            movements.append(movement)
            outputs, seen = self._step(movement, memory, states)
            # Behind the last character: the window weighs the end more than all of them.
            finished = seen is not None and bool(seen[END] > seen[END + 1 :].max())
        return Written(torch.stack(movements), finished)

    def _step(
        self, movement: Tensor, memory: Tensor | None, states: list[Any]
    ) -> tuple[Tensor, Tensor | None]:
        """Return what the head says after a movement, and what the window sees; the states of the
        layers go on."""
        outputs, beside, seen = [], [movement], None
        for number, layer in enumerate(self._recurrent_layers):
            if memory is not None and number == 0:
                answer, states[0] = layer.step({"x": movement, "memory": memory}, states[0])
                seen = answer.w
                beside.append(answer.w)
                outputs.append(answer.h)
                continue
            below = outputs[-1:]
            output, states[number] = layer.step(torch.cat([*below, *beside]), states[number])
            outputs.append(output)
        result: Tensor = self.head(torch.cat(outputs))
        return result, seen

    def movements(self, points: NDArray[np.float64]) -> Tensor:
        """Return points [T + 1, 3] of the units that it learned from as movements [T, 3], see
        ``read_handwriting``."""
        data = thinned(points, self.sizes.thin)
        return movements_of(data, self._units, self.sizes.stretch)

    def examples(self, handwriting: Handwriting, numbers: Sequence[int]) -> PenExamples:
        """Return some texts as the network knows them.

        Args:
            handwriting: what they are of.
            numbers: which.

        Raises:
            DataError: one holds a character that the network has never seen.
        """
        texts, places = handwriting.texts, handwriting.places
        end = torch.zeros(1, dtype=torch.long)
        return PenExamples(
            [self.movements(handwriting.strokes[n]) for n in numbers],
            [
                self.alphabet.encode(texts[n], places[n]) if self.sizes.texts else end
                for n in numbers
            ],
            [texts[n] for n in numbers],
            [places[n] for n in numbers],
        )

    def points(self, movements: Tensor) -> NDArray[np.float64]:
        """Return movements [T, 3] as points [T + 1, 3], the first of which is at 0, in the units
        that it learned from, but with x and y alike."""
        return points_of(movements, self._units)

    @property
    def _units(self) -> tuple[float, float]:
        across, down = self.deviation.tolist()
        return across, down

    def description(self) -> dict[str, Any]:
        """Return the sizes and the alphabet."""
        return {"network": asdict(self.sizes), "alphabet": self.alphabet.description()}

    @classmethod
    def described(cls, program: Program, description: Mapping[str, Any], where: str) -> "Writer":
        """Return the writer of a description; see ``Network.described``."""
        alphabet = Alphabet.described(description["alphabet"], where)
        sizes = to_record(WriterSizes, description["network"], where)
        return cls(program, alphabet, sizes)


def counted_steps(batch: PenBatch) -> Tensor:
    """Return which movements of a batch count, [T, B]."""
    steps = torch.arange(len(batch.movements), device=batch.lengths.device)
    return steps[:, None] < batch.lengths
