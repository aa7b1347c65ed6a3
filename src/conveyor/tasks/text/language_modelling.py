"""The task ``text``: predicts the next character of a text."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from math import exp, inf
from pathlib import Path
from typing import Any

import torch

from conveyor.compiler.program import Program
from conveyor.data.drawn_text import CHARACTERS, TEXTS, draw_text
from conveyor.data.text import Chunks, Vocabulary, normal, read_text
from conveyor.errors import DataError, SettingError, counted, named
from conveyor.pages.frame import sample
from conveyor.pages.words import Words, counted_words, joined, number_text
from conveyor.tasks.question import Question
from conveyor.tasks.read_sequence import ReadSequence
from conveyor.tasks.results import Metric, Results, Scores, Section
from conveyor.tasks.task import Say, Task
from conveyor.tasks.text.kneser_ney import KneserNey
from conveyor.tasks.text.language_model import LanguageModel
from conveyor.tasks.text.ngram import Ngram
from conveyor.tasks.text.text_settings import TextData, TextNetwork, TextSettings
from conveyor.tasks.text.unit_search import LEAST_CHARACTERS, search_units
from conveyor.tasks.tracked_property import UnitSearch

# Validation and test texts are read in this many streams. There are few because each begins without
# a past, and more than one because a batch takes little more time than a single stream.
SCORING_STREAMS = 8

# The order of each counting model: the character and those before it. The longest is smoothed by
# Kneser and Ney, which nothing that only counts beats at that order.
KNESER_NEY = {"5-gram": 5}
BASELINES = {"3-gram": 3, "unigram": 1}

# The samples of the report: their length, their temperatures from safer to more varied, and top-p.
SAMPLE_LENGTH, SAMPLE_TEMPERATURES, SAMPLE_TOP_P = 400, (0.5, 0.8, 1.0), 0.95

NATS = Metric(
    "nats_per_character", "nats per character", "nats per character", ".4f", apart="difference"
)
PERPLEXITY = Metric("perplexity", "perplexity", digits=".2f")

# So many characters are looked at, at most: each takes some kilobytes of memory.
MOST_READ = 200_000
# So many characters of the test part are kept in a run, to look at: some lines.
SAMPLE_KEPT = 200

_ADVICE = Words(
    "Train longer, or give more text.", "Hãy huấn luyện lâu hơn, hoặc cho nhiều văn bản hơn."
)


def _row(nats: float) -> tuple[float, float]:
    """Return nats per character and the perplexity, which is the number of equally likely
    characters that are as hard to predict."""
    return nats, exp(nats) if nats < 700 else inf  # a float64 ends at e^709


def _scores(network: LanguageModel, chunks: Chunks, baselines: Mapping[str, float]) -> Scores:
    """Return the scores of a model on a text beside the nats of baselines."""
    return Scores.of(
        "",
        (NATS, PERPLEXITY),
        title=network.title,
        ours=_row(network.nats(chunks)),
        baselines={name: _row(nats) for name, nats in baselines.items()},
        advice=_ADVICE,
    )


def _scoring_streams(characters: int) -> int:
    """Return the number of streams that a part is scored in, which is smaller for short parts."""
    return min(SCORING_STREAMS, characters - 1)


def _check_parts(
    path: Path, settings: TextData, lengths: tuple[int, int, int], streams: int
) -> None:
    """Check that every part holds two characters or more, and the training part enough for all
    streams.

    Raises:
        DataError: a part is too short.
    """
    whole = counted(sum(lengths), "character")
    split = "/".join(f"{part:g}" for part in settings.split)
    for name, length in zip(("training", "validation", "test"), lengths, strict=True):
        if length < 2:
            larger = round(0.6 * sum(lengths))
            advice = (
                f", or larger parts, as {named('split', '0.6/0.2/0.2')}"
                if sum(lengths) >= 10
                else ""
            )
            advice += f" {named('batch', larger - 1)}" * bool(advice and larger <= streams)
            raise DataError(
                f"{path}: the text has {whole}, and with {named('split', split)} the {name} part "
                f"has {length}; expected 2 or more in each part. Give a longer text{advice}."
            )
    if lengths[0] <= streams:
        raise DataError(
            f"{path}: the training part has {counted(lengths[0], 'character')}; "
            f"{counted(streams, 'stream')} of text need {streams + 1:,} or more. Give a longer "
            f"text, or {named('batch', lengths[0] - 1)} or less."
        )


class LanguageModelling(Task[LanguageModel]):
    """The task of predicting a text by characters, beside counting models of its training part."""

    name = "text"
    network_type = LanguageModel
    metric = NATS
    loss = "nats per character"
    in_order = True
    source_names = TEXTS
    settings: TextSettings
    next_command = ("generate", "--length", "400")

    def __init__(self, path: Path, settings: TextSettings, say: Say) -> None:
        self.settings = settings
        streams, data = settings.training.batch, settings.data
        if str(path) in TEXTS and not path.exists():
            draw = torch.Generator().manual_seed(data.data_seed)
            text = draw_text(str(path), CHARACTERS, draw)
        else:
            text = read_text(path)
        first = round(len(text) * data.split[0])
        second = round(len(text) * (data.split[0] + data.split[1]))
        _check_parts(path, data, (first, second - first, len(text) - second), streams)
        self.vocabulary = Vocabulary.of(text[:first])
        numbers = self.vocabulary.encode(text)
        self.known, self.asked = numbers[:first], numbers[second:]
        self.sample = text[second : second + SAMPLE_KEPT]
        self.train = Chunks(self.known, streams, data.chunk)
        self.validation = Chunks(
            numbers[first:second], _scoring_streams(second - first), data.chunk
        )
        self.test = Chunks(self.asked, _scoring_streams(len(text) - second), data.chunk)
        self.data_hash = hashlib.sha256(text.encode())
        self.title = Words(f"Language model of {path.name}", f"Mô hình ngôn ngữ của {path.name}")
        different = counted(len(self.vocabulary) - 1, "different one")
        say(f"{counted(len(text), 'character')}, {different} in the training part")
        unknown = int((numbers[first:] == 0).sum())
        if unknown:
            many = "is unknown there and stands" if unknown == 1 else "are unknown there and stand"
            say(f"{counted(unknown, 'character')} after it {many} as one character")

    @classmethod
    def prepare(cls, source: Any, settings: TextSettings, say: Say) -> "LanguageModelling":
        """Return the task on a text file in UTF-8."""
        return cls(Path(source), settings, say)

    def fitted_on(self) -> dict[str, Any]:
        """Return the beginning of the test part, which ``inspect`` looks at."""
        return {"sample": self.sample}

    def network(self, program: Program, sizes: TextNetwork) -> LanguageModel:
        """Return an untrained language model of the training part's characters."""
        return LanguageModel(program, self.vocabulary, **sizes.besides_the_cell())

    def about(self, network: LanguageModel) -> str:
        """Return the size of a network, and how it reads the text."""
        count = network.parameter_count
        settings = self.settings
        return (
            f"{network.title} with {counted(count, 'parameter')}, "
            f"{counted(settings.training.batch, 'stream')} in chunks of "
            f"{counted(settings.data.chunk, 'step')}, {counted(len(self.train), 'chunk')} an epoch"
        )

    def results(self, network: LanguageModel) -> Results:
        """Return nats and perplexity on the test part, with samples of the model's text."""
        scores = _scores(network, self.test, self.baselines())
        count = counted_words(self.test.next.numel(), "character", "ký tự")
        return Results((scores,), count, draw=lambda: _samples(network))

    def score(self, network: LanguageModel) -> float:
        """Return the nats per character on the test part."""
        return network.nats(self.test)

    def baselines(self) -> Mapping[str, float]:
        """Return the scores of counting models of the training part on the test part."""
        known, asked, symbols = self.known.tolist(), self.asked.tolist(), len(self.vocabulary)
        smoothed = {
            name: KneserNey(known, min(order, len(known)), symbols).nats(asked)
            for name, order in KNESER_NEY.items()
        }
        counting = {
            name: Ngram(known, order, symbols).nats(asked) for name, order in BASELINES.items()
        }
        return {**smoothed, **counting}

    @classmethod
    def evaluate(
        cls,
        network: LanguageModel,
        source: Any,
        *,
        settings: TextSettings,
        fitted_on: Mapping[str, Any] | None,
        options: Any,
        say: Say,
    ) -> Results:
        """Return nats and perplexity on a whole text, beside a model for which all characters are
        equally likely. All characters that the run has not seen count as one unknown character."""
        path = Path(source)
        numbers = network.vocabulary.encode(read_text(path))
        if len(numbers) < 2:
            raise DataError(f"{path}: the text has 1 character; expected 2 or more.")
        unknown = int((numbers == 0).sum())
        if unknown:
            say(f"{counted(unknown, 'character')} of it the run does not know")
        chunks = Chunks(numbers, _scoring_streams(len(numbers)), settings.data.chunk)
        uniform = Ngram([], 0, len(network.vocabulary)).nats(numbers.tolist())
        scores = _scores(network, chunks, {"uniform": uniform})
        return Results((scores,), counted_words(chunks.next.numel(), "character", "ký tự"))

    @classmethod
    def generate(cls, network: LanguageModel, options: Any) -> Iterator[str]:
        """Yield the characters that continue the prompt, one by one as they are drawn."""
        return network.generate(
            options.prompt,
            options.length,
            temperature=options.temperature,
            top_k=options.top_k,
            top_p=options.top_p,
            seed=options.seed,
        )

    @classmethod
    def question(cls, network: LanguageModel, fitted_on: Mapping[str, Any] | None) -> Question:
        """Return that a prompt is asked for."""
        return Question("prompt", Words("The beginning of a text", "Phần mở đầu của văn bản"))

    @classmethod
    def read(
        cls,
        network: LanguageModel,
        source: Any,
        *,
        settings: TextSettings,
        fitted_on: Mapping[str, Any] | None,
        options: Any,
        say: Say,
    ) -> ReadSequence:
        """Return a text as the language model reads it: the one given, a file, or the beginning of
        the run's test part; without one, what the model writes. The answer is the logarithm of the
        probability of the likeliest next character."""
        if options.text is not None and source is not None:
            raise SettingError(f"there are a file and {named('text')}. Give one of them.")
        if source is not None:
            text = read_text(Path(source))
        elif options.text is not None:
            text = normal(options.text)
        else:
            text = str((fitted_on or {}).get("sample", ""))
            text = text or "".join(network.generate("", SAMPLE_KEPT, temperature=0.5))
        if not text:
            raise DataError(f"{named('text')} is empty. Give one character or more.")
        if not text.isascii() and text.encode(errors="replace").decode() != text:
            raise DataError(f"{named('text')} is no UTF-8. Give it in UTF-8, or a file.")
        if len(text) > MOST_READ:
            say(f"of {counted(len(text), 'character')} the first {MOST_READ:,} are read")
            text = text[:MOST_READ]
        return network.read(text, say)

    @classmethod
    def search_units(
        cls,
        network: LanguageModel,
        source: Any,
        *,
        settings: TextSettings,
        whole: bool,
        say: Say,
    ) -> UnitSearch:
        """Search a language model for units that track properties of a text: of its test part, so
        that what was learned by heart does not count."""
        text = read_text(Path(source))
        if not whole:
            text = text[round(len(text) * sum(settings.data.split[:2])) :]
            if len(text) < LEAST_CHARACTERS:
                raise DataError(
                    f"{source}: the test part has {counted(len(text), 'character')}; expected "
                    f"{LEAST_CHARACTERS} or more. Give a longer text, or {named('whole', True)} if "
                    "the run has not learned from it."
                )
        return search_units(network, text, say)


def _samples(network: LanguageModel) -> Iterable[Section]:
    """Yield the section with a model's samples at several temperatures."""
    bodies = [
        sample(
            joined([Words("At temperature", "Ở nhiệt độ"), number_text(temperature, "g"), ":"]),
            "".join(
                network.generate("", SAMPLE_LENGTH, temperature=temperature, top_p=SAMPLE_TOP_P)
            ),
        )
        for temperature in SAMPLE_TEMPERATURES
    ]
    yield Section(Words("What it writes", "Mạng viết gì"), "\n".join(bodies))
