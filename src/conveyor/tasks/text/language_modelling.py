"""The task ``text``: predicts a text, character by character or in larger units."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from math import exp, inf
from pathlib import Path
from typing import Any

from conveyor.compiler.program import Program
from conveyor.data.drawn_text import TEXTS
from conveyor.data.text import Chunks, Vocabulary, normal
from conveyor.data.text_blocks import TextBlocks
from conveyor.data.text_pieces import Pieces
from conveyor.errors import DataError, SettingError, counted, named
from conveyor.pages.frame import sample
from conveyor.pages.words import Words, cell_text, counted_words, joined, number_text
from conveyor.tasks.kneser_ney import KneserNey, bits_per_character
from conveyor.tasks.known_keys import tell_not_kept
from conveyor.tasks.question import Question
from conveyor.tasks.read_sequence import ReadSequence
from conveyor.tasks.results import Metric, Results, Scores, Section
from conveyor.tasks.task import Say, Task
from conveyor.tasks.text.language_model import UNIT_WORDS, LanguageModel
from conveyor.tasks.text.ngram import Ngram
from conveyor.tasks.text.prepared_text import SAMPLE_KEPT, Part, prepared_text, read_part
from conveyor.tasks.text.text_settings import TextNetwork, TextSettings
from conveyor.tasks.text.unit_search import LEAST_CHARACTERS, MOST_CHARACTERS, search_units
from conveyor.tasks.tracked_property import UnitSearch

# Validation and test texts are read in this many streams. There are few because each begins without
# a past, and more than one because a batch takes little more time than a single stream.
SCORING_STREAMS = 8

# The order of each counting model: the symbol and those before it. Those of characters are smoothed
# by Kneser and Ney where they look far, those of other units always: nothing that only counts beats
# that there.
KNESER_NEY = {"5-gram": 5}
BASELINES = {"3-gram": 3, "unigram": 1}
# Counting models count so many symbols at the end of the training set, at most: all counts are in
# memory.
MOST_COUNTED = 5_000_000

# The samples of the report: their length, their temperatures from safer to more varied, and top-p.
SAMPLE_LENGTH, SAMPLE_TEMPERATURES, SAMPLE_TOP_P = 400, (0.5, 0.8, 1.0), 0.95
# The length in other units than characters.
SAMPLE_PIECES = 120

NATS = Metric(
    "nats_per_character", "nats per character", "nats per character", ".4f", apart="difference"
)
BITS = Metric("bits_per_character", "bits per character", digits=".4f")
# What is minimised, by unit.
LOSSES = {
    "char": "nats per character",
    "word": "nats per word",
    "syllable": "nats per syllable",
    "subword": "nats per sub-word",
}
PERPLEXITIES = {
    "char": Metric("perplexity", "perplexity", digits=".2f"),
    "word": Metric("perplexity", "perplexity per word", digits=".1f"),
    "syllable": Metric("perplexity", "perplexity per syllable", digits=".1f"),
    "subword": Metric("perplexity", "perplexity per sub-word", digits=".1f"),
}

# So many characters are looked at, at most: each takes some kilobytes of memory.
MOST_READ = 200_000

_ADVICE = Words(
    "Train longer, or give more text.", "Hãy huấn luyện lâu hơn, hoặc cho nhiều văn bản hơn."
)


def _row(nats: float, part: Part) -> tuple[float, float, float]:
    """Return nats and bits per character, and the perplexity, which is the number of equally likely
    symbols that are as hard to predict.

    Args:
        nats: per symbol.
        part: the text that they are of.
    """
    per_character = nats * part.per_character
    bits = bits_per_character(nats, len(part), part.characters)
    return per_character, bits, exp(nats) if nats < 700 else inf  # a float64 ends at e^709


def _scores(
    network: LanguageModel,
    chunks: Chunks,
    part: Part,
    baselines: Mapping[str, float],
    remark: Words | None = None,
) -> Scores:
    """Return the scores of a model on a text beside the nats per symbol of baselines."""
    remarks = [remark] if remark else []
    if network.vocabulary.unit == "word":
        remarks.insert(0, _unknown_words(part.unknown_share))
    return Scores.of(
        "",
        (NATS, BITS, PERPLEXITIES[network.vocabulary.unit]),
        title=network.title,
        ours=_row(network.nats(chunks), part),
        baselines={name: _row(nats, part) for name, nats in baselines.items()},
        advice=_ADVICE,
        remark=joined(remarks) if remarks else None,
    )


def _unknown_words(share: float) -> Words:
    """Return what unknown words do to a score per character."""
    percent = cell_text(f"{100 * share:.1f} %")
    return Words(
        f"{percent.en} of these words are unknown. They count as one word, without their letters, "
        "so the nats per character are too low compared with units that spell every word.",
        f"{percent.vi} số từ ở đây mô hình không biết và được coi là một từ chung, không đánh vần: "
        "so với các đơn vị khác, vốn đánh vần được mọi từ, số nat mỗi ký tự ở đây thấp hơn thực "
        "tế.",
    )


def _scoring_streams(symbols: int) -> int:
    """Return the number of streams that a part is scored in, which is smaller for short parts."""
    return min(SCORING_STREAMS, symbols - 1)


class LanguageModelling(Task[LanguageModel]):
    """The task of predicting a text, symbol by symbol, beside counting models of its training
    set."""

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
        streams, chunk = settings.training.batch, settings.data.chunk
        self.text = text = prepared_text(path, settings.data, streams, say)
        self.vocabulary = text.vocabulary
        name = self.vocabulary.unit_name
        self.loss = LOSSES[self.vocabulary.unit]
        self.train = Chunks(text.known.numbers, streams, chunk, name)
        self.validation = Chunks(
            text.checked.numbers, _scoring_streams(len(text.checked)), chunk, name
        )
        self.test = Chunks(text.asked.numbers, _scoring_streams(len(text.asked)), chunk, name)
        if settings.data.random_chunks:
            self.usual_steps = chunk
        self.data_hash = text.data_hash
        self.title = Words(f"Language model of {path.name}", f"Mô hình ngôn ngữ của {path.name}")

    @classmethod
    def prepare(cls, source: Any, settings: TextSettings, say: Say) -> "LanguageModelling":
        """Return the task on a text file in UTF-8."""
        return cls(Path(source), settings, say)

    def fitted_on(self) -> dict[str, Any]:
        """Return the beginning of the test set, which ``inspect`` looks at."""
        return {"sample": self.text.sample}

    def network(self, program: Program, sizes: TextNetwork) -> LanguageModel:
        """Return an untrained language model of the training set's symbols."""
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
        """Return the scores on the test set, with samples of the model's text."""
        text, asked = self.text, self.text.asked
        scores = _scores(network, self.test, asked, self._counting(), self._counted_little())
        details = {
            "unit": self.vocabulary.unit,
            "symbols": len(self.vocabulary),
            "symbols_per_character": asked.per_character,
            "unknown": {"training": text.known.unknown_share, "test": asked.unknown_share},
        }
        count = _count(self.test.predicted, self.vocabulary)
        return Results((scores,), count, details, draw=lambda: _samples(network))

    def score(self, network: LanguageModel) -> float:
        """Return the nats per character on the test set."""
        return network.nats(self.test) * self.text.asked.per_character

    def baselines(self) -> Mapping[str, float]:
        """Return the nats per character of counting models of the training set on the test
        set."""
        per_character = self.text.asked.per_character
        return {name: nats * per_character for name, nats in self._counting().items()}

    def _counting(self) -> Mapping[str, float]:
        """Return the nats per symbol of counting models."""
        count, symbols = len(self.text.known), len(self.vocabulary)
        known = self.text.known.numbers[max(count - MOST_COUNTED, 0) : count].tolist()
        asked = self.text.asked.numbers[0 : len(self.text.asked)].tolist()
        characters = self.vocabulary.unit == "char"
        kneser_ney = KNESER_NEY if characters else {**KNESER_NEY, "3-gram": 3}
        smoothed = {
            name: KneserNey(known, min(order, len(known)), symbols).nats(asked)
            for name, order in kneser_ney.items()
        }
        counting = {
            name: Ngram(known, order, symbols).nats(asked)
            for name, order in BASELINES.items()
            if name not in smoothed
        }
        return {**smoothed, **counting}

    def _counted_little(self) -> Words | None:
        """Return that the counting models have not counted all of a large text; None if they
        have."""
        if len(self.text.known) <= MOST_COUNTED:
            return None
        count = _count(MOST_COUNTED, self.vocabulary)
        return Words(
            f"The text is large: the n-gram models counted only the last {count.en} of the "
            "training set.",
            f"Văn bản lớn: các mô hình đếm chỉ đếm {count.vi} cuối của phần huấn luyện.",
        )

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
        """Return the scores on a whole text, beside a model for which all symbols are equally
        likely. All symbols that the run has not seen count as one unknown symbol."""
        path, vocabulary = Path(source), network.vocabulary
        part = read_part(vocabulary, TextBlocks.of_file(path))
        name = vocabulary.unit_name
        if len(part) < 2:
            raise DataError(f"{path}: the text has 1 {name}; expected 2 or more.")
        if part.unknown:
            what = name if vocabulary.unit == "word" else "character"
            say(f"{counted(part.unknown, what)} of it the run does not know")
        tell_not_kept([*KNESER_NEY, *BASELINES], say)
        chunks = Chunks(part.numbers, _scoring_streams(len(part)), settings.data.chunk, name)
        uniform = Ngram([], 0, len(vocabulary)).nats([0, 0])  # of any text
        scores = _scores(network, chunks, part, {"uniform": uniform})
        return Results((scores,), _count(chunks.predicted, vocabulary))

    @classmethod
    def generate(cls, network: LanguageModel, options: Any) -> Iterator[str]:
        """Yield the symbols that continue the prompt, one by one as they are drawn."""
        return network.generate(
            options.prompt,
            options.length,
            temperature=options.temperature,
            top_k=options.top_k,
            top_p=options.top_p,
            seed=options.seed,
        )

    @classmethod
    def log_probabilities(cls, network: LanguageModel, texts: Sequence[str]) -> list[float]:
        """Return the logarithm of the probability of each text as the beginning of a line."""
        return network.log_probabilities(texts)

    @classmethod
    def question(cls, network: LanguageModel, fitted_on: Mapping[str, Any] | None) -> Question:
        """Return that a prompt is asked for."""
        return Question("prompt", Words("Beginning of a text", "Phần mở đầu của văn bản"))

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
        the run's test set; without one, what the model writes. The answer is the logarithm of the
        probability of the likeliest next character."""
        if options.text is not None and source is not None:
            raise SettingError(f"there are a file and {named('text')}. Give one of them.")
        if source is not None:
            # One more than is read, so that it is told that it is cut.
            text = TextBlocks.of_file(Path(source)).beginning(MOST_READ + 1)
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
            say(f"of the text's characters the first {MOST_READ:,} are read")
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
        """Search a language model for units that track properties of a text: of its test set, so
        that what was learned by heart does not count."""
        blocks = TextBlocks.of_file(Path(source))
        if not whole:
            total = sum(map(len, blocks))
            first = round(total * sum(settings.data.split[:2]))
            blocks = blocks.part(first, total, words=network.vocabulary.unit != "char")
        text = blocks.beginning(MOST_CHARACTERS + 1)
        if not whole and len(text) < LEAST_CHARACTERS:
            raise DataError(
                f"{source}: the test set has {counted(len(text), 'character')}; expected "
                f"{LEAST_CHARACTERS} or more. Give a longer text, or {named('whole', True)} if "
                "the run has not learned from it."
            )
        return search_units(network, text, say)


def _count(symbols: int, vocabulary: Vocabulary | Pieces) -> Words:
    """Return how many symbols there are, in words."""
    return counted_words(symbols, vocabulary.unit_name, UNIT_WORDS[vocabulary.unit].vi)


def _samples(network: LanguageModel) -> Iterable[Section]:
    """Yield the section with a model's samples at several temperatures."""
    length = SAMPLE_LENGTH if network.vocabulary.unit == "char" else SAMPLE_PIECES
    bodies = [
        sample(
            joined([Words("At temperature", "Ở nhiệt độ"), number_text(temperature, "g"), ":"]),
            "".join(network.generate("", length, temperature=temperature, top_p=SAMPLE_TOP_P)),
        )
        for temperature in SAMPLE_TEMPERATURES
    ]
    yield Section(Words("Samples", "Mạng viết gì"), "\n".join(bodies))
