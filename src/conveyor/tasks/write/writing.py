"""The task ``write``: handwriting of a text, or strokes that mean nothing."""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from conveyor.compiler.program import Program
from conveyor.data.handwriting import Handwriting, read_handwriting
from conveyor.data.pen_movements import deviation_of, movements_of, thinned
from conveyor.errors import DataError, counted, named
from conveyor.pages.stroke_picture import stroke_picture
from conveyor.pages.words import Words
from conveyor.tasks.drawn_parts import TEST, TRAIN, VALIDATION
from conveyor.tasks.known_keys import hash_of_parts, packed_hashes, told_leaks
from conveyor.tasks.read_sequence import ReadSequence
from conveyor.tasks.results import Metric, Results
from conveyor.tasks.sequence_choice import check_row
from conveyor.tasks.task import Say, Task, whole
from conveyor.tasks.write.alphabet import Alphabet
from conveyor.tasks.write.looked_at_strokes import looked_at_strokes
from conveyor.tasks.write.pen_baselines import pen_baselines
from conveyor.tasks.write.pen_examples import PenExamples
from conveyor.tasks.write.scored_strokes import ScoredStrokes
from conveyor.tasks.write.write_results import NATS, results_of
from conveyor.tasks.write.write_settings import WriteSettings
from conveyor.tasks.write.writer import Writer, WriterSizes
from conveyor.tasks.write.writing_options import WritingOptions

# The least texts that can be split into three parts.
_LEAST = 3


class Writing(Task[Writer]):
    """The task of moving a pen, beside a Gaussian, a line and a network that remembers nothing. Its
    score is nats per movement."""

    name = "write"
    network_type = Writer
    next_command: tuple[str, ...] = ("generate", "--out", "writing.svg")
    holds_sequence = False
    metric: Metric = NATS
    loss = "nats per movement"
    join: Callable[[Any], Any] | None = staticmethod(whole)
    settings: WriteSettings
    train: PenExamples

    def __init__(self, handwriting: Handwriting, settings: WriteSettings, say: Say) -> None:
        self.settings = settings
        file = Path(handwriting.name).name
        self.title = Words(f"Handwriting of {file}", f"Chữ viết tay trong {file}")
        for note in handwriting.notes:
            say(note)
        count = len(handwriting.texts)
        if count < _LEAST:
            raise DataError(
                f"{handwriting.name} has {counted(count, 'text')}; expected {_LEAST} or more: to "
                "learn from, to validate and to test."
            )
        data = settings.data
        test = max(round(count * data.split[2] / sum(data.split)), 1)
        validation = max(round(count * data.split[1] / sum(data.split)), 1)
        cuts = (0, count - validation - test, count - test, count)
        points = [thinned(each, data.thin) for each in handwriting.strokes]
        known = range(cuts[0], cuts[1])
        if not known:
            raise DataError(
                f"{handwriting.name}: of {counted(count, 'text')} none is left to learn from. Give "
                f"another {named('split')}."
            )
        self.deviation = deviation_of([points[n] for n in known], data.stretch)
        self.keys = keys_of(handwriting)
        self.alphabet = Alphabet.of(handwriting.texts[n] for n in known)
        self.parts = [
            self._examples(handwriting, points, range(cuts[part], cuts[part + 1]), say)
            for part in (TRAIN, VALIDATION, TEST)
        ]
        self.train, self.validation = self.parts[TRAIN], self.parts[VALIDATION].by_length()
        self.lengths: list[int] = self.train.lengths
        if settings.network.texts:
            # A text that the network has learned from: of another it may not know a letter.
            text = min(self.train.texts, key=lambda text: (len(text), text))
            self.next_command = ("generate", "--text", text, "--out", "writing.svg")
        self.data_hash = hash_of_parts(
            zip(each.movements, each.characters, strict=True) for each in self.parts
        )
        say(
            f"{counted(len(self.train), 'text')} to train, {len(self.validation):,} to validate, "
            f"{len(self.parts[TEST]):,} to test; {counted(sum(self.train.lengths), 'movement')}, "
            f"{self.pace:.0f} of each character"
        )

    def _examples(
        self, handwriting: Handwriting, points: list[Any], numbers: range, say: Say
    ) -> PenExamples:
        texts, kept = handwriting.texts, list(numbers)
        if self.settings.network.texts:
            unseen = [n for n in kept if self.alphabet.unknown(texts[n])]
            if unseen:
                first = unseen[0]
                letters = ", ".join(map(repr, self.alphabet.unknown(texts[first])))
                say(
                    f"warning: {counted(len(unseen), 'text')} left out of validation or test for "
                    f"characters that no training text has, as {letters} in "
                    f"{handwriting.places[first]}"
                )
            kept = [n for n in kept if n not in set(unseen)]
            if not kept:
                raise DataError(
                    f"{handwriting.name}: every text of the validation or the test set has a "
                    "character that no training text has. Give more texts."
                )
            characters = [self.alphabet.encode(texts[n], handwriting.places[n]) for n in kept]
        else:
            characters = [torch.zeros(1, dtype=torch.long)] * len(kept)
        stretch = self.settings.data.stretch
        return PenExamples(
            [movements_of(points[n], self.deviation, stretch) for n in kept],
            characters,
            [texts[n] for n in kept],
            [handwriting.places[n] for n in kept],
        )

    @classmethod
    def prepare(cls, source: Any, settings: WriteSettings, say: Say) -> "Writing":
        """Return the task on a file of handwriting, see ``read_handwriting``."""
        return cls(read_handwriting(source), settings, say)

    @property
    def pace(self) -> float:
        """Movements of a character."""
        return sum(self.train.lengths) / sum(map(len, self.train.texts))

    def network(self, program: Program, sizes: Any) -> Writer:
        """Return an untrained writer, whose window goes on as fast as the hand does."""
        data = self.settings.data
        values = {**sizes.besides_the_cell(), "stretch": data.stretch, "thin": data.thin}
        network = Writer(program, self.alphabet, WriterSizes(**values))
        network.begin_at(self.pace, self.deviation)
        return network

    def about(self, network: Writer) -> str:
        """Return how large a network is, and how much it learns from."""
        count = counted(network.parameter_count, "parameter")
        return f"{network.title} with {count} on {counted(len(self.train), 'text')}"

    @cached_property
    def _baselines(self) -> dict[str, float]:
        return pen_baselines(
            self.train.movements,
            self.parts[TEST].movements,
            narrowest=self.settings.network.narrowest,
        )

    def baselines(self) -> Mapping[str, float]:
        """Return the nats of a movement of the baselines."""
        return self._baselines

    def score(self, network: Writer) -> float:
        """Return the nats of a movement on the test set."""
        return ScoredStrokes(network, self.parts[TEST]).mean

    def results(self, network: Writer) -> Results:
        """Return the scores on the test set beside the baselines."""
        return results_of(ScoredStrokes(network, self.parts[TEST]), self._baselines)

    def fitted_on(self) -> dict[str, Any]:
        """Return what later commands need: what was learned from."""
        known = [*self.keys[: -len(self.parts[TEST])]]
        return {"source": packed_hashes(self.keys), "known": packed_hashes(known)}

    @classmethod
    def evaluate(
        cls,
        network: Writer,
        source: Any,
        *,
        settings: Any,
        fitted_on: Mapping[str, Any] | None,
        options: Any,
        say: Say,
    ) -> Results:
        """Score a writer: of the data that the run was fitted on its test set, of other
        handwriting all texts whose characters it knows, in its own units.

        Raises:
            DataError: the data cannot be used.
        """
        known, fitted = read_handwriting(source), fitted_on or {}
        keys = keys_of(known)
        if packed_hashes(keys) == fitted.get("source"):
            say("this is the data of the run: its test set is scored")
            return cls.prepare(source, settings, say).results(network)
        for note in known.notes:
            say(note)
        numbers = list(range(len(keys)))
        if network.sizes.texts:
            numbers = [n for n in numbers if not network.alphabet.unknown(known.texts[n])]
            if len(numbers) < len(keys):
                left_out = counted(len(keys) - len(numbers), "text")
                say(f"warning: {left_out} left out for characters that the run has never seen")
        if not numbers:
            raise DataError(f"{known.name}: there is no text that can be scored.")
        told_leaks([keys[n] for n in numbers], fitted, say, "text")
        return results_of(ScoredStrokes(network, network.examples(known, numbers)), {})

    @classmethod
    def read(
        cls,
        network: Writer,
        source: Any,
        *,
        settings: Any,
        fitted_on: Mapping[str, Any] | None,
        options: Any,
        say: Say,
    ) -> ReadSequence:
        """Return strokes as a network reads them.

        Raises:
            DataError: there is no such text.
        """
        if source is None:
            raise DataError(f"a run keeps no strokes. Give {named('data')}: new.jsonl.")
        known = read_handwriting(source)
        row = check_row(options.row or 1, len(known.texts), "text")
        return looked_at_strokes(network, network.examples(known, [row]))

    @classmethod
    def generate(cls, network: Writer, options: WritingOptions) -> Iterator[str]:
        """Yield a picture of what the network writes, as SVG.

        Raises:
            DataError: the text holds a character that the network has never seen, or the file of
                the style cannot be read.
        """
        prime = None
        if options.prime is not None:
            known = read_handwriting(options.prime)
            row = check_row(options.prime_row, len(known.texts), "text")
            prime = network.movements(known.strokes[row]), known.texts[row]
        written = network.write(options.text, bias=options.bias, seed=options.seed, prime=prime)
        yield stroke_picture(network.points(written.movements), options.text or "strokes")


def keys_of(handwriting: Handwriting) -> list[str]:
    """Return what tells whether two handwritten texts are the same, of each."""
    return [
        hashlib.sha256(text.encode() + b"\0" + points.tobytes()).hexdigest()
        for text, points in zip(handwriting.texts, handwriting.strokes, strict=True)
    ]
